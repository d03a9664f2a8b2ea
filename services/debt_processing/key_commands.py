"""`create-key`, `list-keys` and `revoke-key`: who may call this service's API when RECOVERY_AUTH is `keys`."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

import orjson
import typer

from debt_processing.clock import utc_now
from debt_processing.tables import api_keys, audit_records
from service_kit import keys
from service_kit.audit import Audit, command_line
from service_kit.database import Database

Opened = Callable[[], AbstractContextManager[Database]]


def add_key_commands(app: typer.Typer, opened: Opened) -> None:
    """Add the commands; `opened` opens the database and turns what can go wrong into one line."""

    @app.command()
    def create_key(
        name: Annotated[str, typer.Option(help="What it is called, in the list of keys and in audit records")],
        role: Annotated[str, typer.Option(help="viewer, operator, approver or admin")],
        from_stdin: Annotated[
            bool, typer.Option("--stdin", help="Let in a key made before, so that one key opens both services")
        ] = False,
    ) -> None:
        """Make an API key and print it. Only its hash is kept, so it is shown this once."""
        with opened() as database:
            token = sys.stdin.readline().strip() if from_stdin else keys.new_token()
            keys.issue(database, api_keys, _audit(), name, role, token)
        if not from_stdin:
            typer.echo(token)

    @app.command()
    def list_keys(as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False) -> None:
        """List the keys and their roles, revoked ones too."""
        with opened() as database:
            found = keys.listed(database, api_keys)
        if as_json:
            typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
        for key in () if as_json else found:
            state = f"revoked {key['revoked_at']:%Y-%m-%d %H:%M}" if key["revoked_at"] else "valid"
            typer.echo(f"{key['id']}  {key['role']:8}  {key['created_at']:%Y-%m-%d %H:%M}  {state:24}  {key['name']}")

    @app.command()
    def revoke_key(id_or_name: Annotated[str, typer.Argument(help="Id or name of the key")]) -> None:
        """End a key. Running processes notice within a few seconds."""
        with opened() as database:
            name = keys.withdraw(database, api_keys, _audit(), id_or_name)
        typer.echo(f"key {name} is revoked")


def _audit() -> Audit:
    return Audit(audit_records, command_line(), utc_now())
