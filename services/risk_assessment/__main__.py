"""`risk-assessment`: the commands of the risk service; each translates its options and calls a room."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import Progress

from risk_assessment import following, generator
from risk_assessment import portfolio as portfolios
from risk_assessment.clock import utc_now
from risk_assessment.failures import explain
from risk_assessment.import_mapping import read_mapping
from risk_assessment.importer import Import
from risk_assessment.key_commands import add_key_commands
from risk_assessment.policies import PolicyShelf, open_shelf
from risk_assessment.schemas import PortfolioName
from risk_assessment.settings import Settings
from risk_assessment.tables import audit_records
from service_kit.audit import Audit, command_line
from service_kit.database import Database
from service_kit.logs import configure
from service_kit.migrations import downgrade, upgrade

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="SmartRecover's risk service."
)
PACKAGE = "risk_assessment"

Portfolio = Annotated[str, typer.Option(help="Which portfolio")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]


def main() -> None:
    """Run a command; any error is one clear line and a non-zero exit."""
    app()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (RISK_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (RISK_PORT)")] = None,
) -> None:
    """Serve the HTTP API until told to stop."""
    from risk_assessment.app import create_app  # noqa: PLC0415 - the other commands start without it
    from service_kit.lifecycle import serve as serve_app  # noqa: PLC0415

    settings = _settings(risk_host=host, risk_port=port)
    _configure_logs(settings)
    with _clear_errors():
        settings.refuse_open_doors(settings.risk_host)
        application = create_app(settings)
    raise typer.Exit(serve_app(application, settings.risk_host, settings.risk_port))


@app.command()
def dispatch() -> None:
    """Carry runs and scoring jobs out until told to stop."""
    from risk_assessment.dispatching import dispatch_until_stopped  # noqa: PLC0415
    from service_kit.lifecycle import run_loop  # noqa: PLC0415

    settings = _settings()
    _configure_logs(settings)
    with _clear_errors():
        main_loop = dispatch_until_stopped(settings)
    raise typer.Exit(run_loop(main_loop))


@app.command()
def migrate(
    revision: Annotated[str, typer.Option(help="Up to which revision")] = "head",
    down: Annotated[
        str | None, typer.Option(help="Go down to this revision instead; `base` removes everything")
    ] = None,
) -> None:
    """Bring the database's schema up to date."""
    settings = _settings()
    with _clear_errors():
        if down is not None:
            downgrade(settings.risk_database_url, PACKAGE, down)
        else:
            upgrade(settings.risk_database_url, PACKAGE, revision)
    typer.echo(f"risk database is at {down or revision}")


@app.command()
def process_debtors(
    batch_size: Annotated[int, typer.Option(help="Debtors a batch")] = 100,
    threshold: Annotated[str, typer.Option(help="Priority above which a debtor is in the high lane")] = "500000",
    portfolio: Portfolio = "default",
    limit: Annotated[int | None, typer.Option(help="Rank only the best so many")] = None,
    policy: Annotated[str | None, typer.Option(help="Policy other than the active one")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show who would come first; writes nothing")] = False,
    top_k: Annotated[int, typer.Option(help="How many debtors a dry run shows")] = 10,
    as_json: AsJson = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start the run and leave")] = False,
) -> None:
    """Prioritise a portfolio, send it out, and follow it to the report."""
    settings = _settings()
    apis = following.Apis(
        settings.risk_api_url.rstrip("/"), settings.debt_api_url.rstrip("/"), settings.recovery_api_key
    )
    options = {
        "portfolio": portfolio,
        "batch_size": batch_size,
        "threshold": threshold,
        "limit": limit,
        "policy": policy,
    }
    console = Console(stderr=as_json)
    with _clear_errors():
        if dry_run:
            found = following.preview(apis, options, top_k)
            _print_json(found) if as_json else following.show_preview(console, found)
            return
        run = following.start(apis, options)
        if no_wait:
            _print_json(run) if as_json else typer.echo(f"run {run['id']} {run['state']}")
            return
        run, report = following.follow(apis, run["id"], console)
        _print_json(report or run) if as_json else following.show_report(console, run, report)
    if run["state"] != "completed" or run["batches_dead"]:
        raise typer.Exit(1)


@app.command()
def generate_debtors(
    count: Annotated[int, typer.Option(min=1, max=100_000_000, help="How many debtors")] = 50_000,
    distribution: Annotated[str, typer.Option(help="balanced, high-risk or low-risk")] = "balanced",
    seed: Annotated[int, typer.Option(help="The same seed gives the same portfolio")] = 42,
    clear: Annotated[bool, typer.Option("--clear", help="Delete the portfolio's debtors first")] = False,
    portfolio: Portfolio = "default",
    as_json: AsJson = False,
) -> None:
    """Fill a portfolio with invented debtors."""
    settings = _settings()
    with _clear_errors(), _opened(settings) as (database, shelf):
        kind = generator.distribution_named(distribution)
        name = _portfolio_name(portfolio)
        audit = _audit()
        judge = portfolios.judge_of(database, shelf, audit.at)
        cleared = database.transact(lambda c: portfolios.clear(c, name, audit)) if clear else 0
        load = portfolios.Load(database, name, judge, audit, "portfolio.generated")
        rows = generator.generate(count, kind, seed)
        with _progress("generating", count) as advance:
            while chunk := list(islice(rows, portfolios.CHUNK)):
                load.take(chunk)
                advance(len(chunk))
    counted = {"portfolio": name, "cleared": cleared, **load.changes.as_dict()}
    _print_json(counted) if as_json else typer.echo(_sentence(counted))


@app.command()
def import_debtors(
    file: Annotated[Path, typer.Argument(help="CSV file")],
    mapping: Annotated[Path | None, typer.Option(help="Mapping file (TOML): where each field comes from")] = None,
    portfolio: Annotated[str | None, typer.Option(help="Portfolio other than the mapping's")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where bad rows are listed; otherwise in FILE.rejects.csv, here")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a portfolio from CSV. Bad rows are listed and left out; importing a file twice changes nothing."""
    settings = _settings()
    with _clear_errors(), _opened(settings) as (database, shelf):
        chosen = read_mapping(mapping) if mapping else None
        name = _portfolio_name(portfolio) if portfolio else None
        reject_file = rejects or Path(f"{file.stem}.rejects.csv")
        with _progress("importing", file.stat().st_size if file.is_file() else None) as advance:
            report = Import(database, shelf, _audit()).carry_out(file, chosen, name, reject_file, advance)
    _print_json(report.as_dict()) if as_json else typer.echo(_sentence(report.as_dict()))


def _settings(**given: object) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        _fail("; ".join(f"{'.'.join(map(str, p['loc'])).upper()}: {_reason(p['msg'])}" for p in problems), code=2)


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")


def _configure_logs(settings: Settings) -> None:
    configure("risk-assessment", settings.recovery_log_level)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what can go wrong into one line and a non-zero exit."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        _fail("interrupted", code=130)
    except Exception as error:
        _fail(explain(error))


def _fail(text: str, code: int = 1) -> NoReturn:
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(code)


def _audit() -> Audit:
    return Audit(audit_records, command_line(), utc_now())


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Database, PolicyShelf]]:
    database = Database(settings.risk_database_url)
    try:
        yield database, open_shelf(settings.risk_policy, settings.risk_policy_dir)
    finally:
        database.dispose()


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere; what is yielded is told how much more is done."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda more: progress.advance(task, more)


def _portfolio_name(name: str) -> str:
    try:
        return TypeAdapter(PortfolioName).validate_python(name)
    except ValidationError as error:
        _fail(f"portfolio: {error.errors()[0]['msg']}", code=2)


def _print_json(content: object) -> None:
    typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())


def _sentence(counted: dict[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counted.items() if value is not None)


@contextmanager
def _keys_database() -> Iterator[Database]:
    settings = _settings()
    with _clear_errors():
        database = Database(settings.risk_database_url)
        yield database
        database.dispose()


add_key_commands(app, _keys_database)

if __name__ == "__main__":
    main()
