"""`recovery-console`: the command of the console."""

from typing import Annotated

import typer

from recovery_console.settings import PACKAGE, Settings
from service_kit.cli import clear_errors, command_app, start_process

app = command_app("SmartRecover's console: a web page for recovery leads and operators.")


def main() -> None:
    """Run a command; any error is one clear line and a non-zero exit."""
    app()


@app.callback()
def _commands() -> None:
    """Keep `serve` a command of its own: with one command alone, typer would leave its name out."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (CONSOLE_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (CONSOLE_PORT)")] = None,
) -> None:
    """Serve the console until asked to stop."""
    from service_kit.http.serving.server import serve as serve_app  # noqa: PLC0415 - help shows without it

    settings = start_process(Settings, PACKAGE, "console_host", console_host=host, console_port=port)
    with clear_errors(PACKAGE):
        from recovery_console.app import create_app  # noqa: PLC0415 - needs the extra `console`

        application = create_app(settings)
    raise typer.Exit(serve_app(application, settings.console_host, settings.console_port))


if __name__ == "__main__":
    main()
