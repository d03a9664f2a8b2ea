"""`smartrecover`: the whole system on one machine, to use (`up`) or to see it work (`demo`)."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, TextIO

import typer

from service_kit.lifecycle import Stop, run_loop
from service_kit.observability.logs import configure
from service_kit.private_files import keep_files_private
from smartrecover.console import PORT, console_obstacle, find_console_port
from smartrecover.running import running
from smartrecover.stack import Stack, free_port, own_environment
from smartrecover.supervisor import StartFailedError, print_line

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="SmartRecover on one machine."
)
DEMO_PORTFOLIO = "demo"


def main() -> None:
    """Run a command; any error is one clear line and a non-zero exit. All its files are for their owner alone."""
    keep_files_private()
    app()


@app.command()
def up(
    data_dir: Annotated[Path, typer.Option(help="Where the SQLite files are")] = Path(".smartrecover"),
    risk_port: Annotated[int, typer.Option(help="Port of the risk API")] = 8001,
    debt_port: Annotated[int, typer.Option(help="Port of the debt API")] = 8002,
    sqs_port: Annotated[int, typer.Option(help="Port of the local SQS")] = 9324,
    console_port: Annotated[
        int | None, typer.Option(help=f"Port of the console; by default {PORT}, or a free one where that is taken")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start with empty SQLite files")] = False,
) -> None:
    """Start a local SQS, both databases, all four processes and the console; Ctrl-C stops them."""
    obstacle = console_obstacle(own_environment())
    if obstacle:
        print_line(f"the console is left out: {obstacle}")
    stack = Stack(data_dir, risk_port, debt_port, sqs_port, None if obstacle else find_console_port(console_port))

    async def until_stopped(stop: Stop) -> None:
        async with running(stack, print_line, fresh=fresh):
            sqs = own_environment().get("AWS_ENDPOINT_URL_SQS") or f"http://127.0.0.1:{sqs_port}"
            apis = f"risk={stack.risk_url}/risk-service debt={stack.debt_url}/debt-service"
            console = f" console={stack.console_url}" if stack.console_url else ""
            print_line(f"ready {apis} sqs={sqs}{console}")
            await stop.wait()
        print_line("stopped")

    raise typer.Exit(_run(until_stopped))


@app.command()
def demo(
    debtors: Annotated[int, typer.Option(min=1, help="How many debtors to invent and process")] = 50_000,
    batch_size: Annotated[int, typer.Option(min=1, max=1000, help="Debtors a batch")] = 500,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the data here; by default they are deleted at the end")
    ] = None,
) -> None:
    """Do the main job end to end: set up, generate, rank, send, process every debtor, print the report."""
    with ExitStack() as cleanup:
        folder = data_dir or Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="smartrecover-")))
        folder.mkdir(parents=True, exist_ok=True)
        log = cleanup.enter_context((folder / "demo.log").open("w"))
        stack = Stack(folder, free_port(), free_port(), free_port())

        async def job(stop: Stop) -> None:
            await _demonstrate(stack, debtors, batch_size, log, stop)

        code = _run(job)
        if code:
            _show_end((folder / "demo.log").read_text())
    raise typer.Exit(code)


async def _demonstrate(stack: Stack, debtors: int, batch_size: int, log: TextIO, stop: Stop) -> None:
    started_at = time.monotonic()
    print_line("starting a local SQS, two databases and four processes")
    async with running(stack, lambda line: print(line, file=log, flush=True)):
        portfolio = ("--portfolio", DEMO_PORTFOLIO)
        await _command(stack, stop, "generate-debtors", "--count", str(debtors), *portfolio)
        await _command(stack, stop, "process-debtors", "--batch-size", str(batch_size), *portfolio)
    print_line(f"done in {time.monotonic() - started_at:.1f} s, set-up included")


async def _command(stack: Stack, stop: Stop, *arguments: str) -> None:
    print_line(f"$ risk-assessment {' '.join(arguments)}")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "risk_assessment", *arguments, env=stack.environment(own_environment())
    )
    finished = asyncio.create_task(child.wait())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({finished, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not finished.done():
        child.terminate()
        await finished
        raise StartFailedError("interrupted")
    if child.returncode:
        raise StartFailedError(f"risk-assessment {arguments[0]} failed (exit code {child.returncode})")


def _run(job: Callable[[Stop], Awaitable[None]]) -> int:
    """Run a job; an error becomes one line and exit code 1."""
    failures: list[str] = []

    async def guarded(stop: Stop) -> None:
        try:
            await job(stop)
        except (StartFailedError, ModuleNotFoundError, OSError) as error:
            failures.append(getattr(error, "strerror", None) or str(error))

    configure("smartrecover", "warning")
    # The children have their own deadline, and are killed past it; they would inherit the niceness.
    code = run_loop(guarded, within=None, niceness=0)
    for failure in failures:
        typer.echo(f"error: {failure}", err=True)
    return 1 if failures else code


def _show_end(log: str) -> None:
    typer.echo("the end of the log:", err=True)
    for line in log.splitlines()[-30:]:
        typer.echo(f"  {line}", err=True)


if __name__ == "__main__":
    main()
