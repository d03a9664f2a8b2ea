"""`redrive`: send dead letters back."""

import asyncio
from typing import Annotated

import typer

from debt_processing.metadata import audit_records
from debt_processing.queues import service
from debt_processing.queues.schemas import Redriven, RedriveRequest
from debt_processing.settings import PACKAGE, Settings
from recovery_core.policies.parts import Lane
from service_kit.audit import Audit
from service_kit.cli import audit_of_command, clear_errors, fail, opened, start_command
from service_kit.database.engine import Database
from service_kit.sqs.queues import open_sqs


def add_queue_commands(app: typer.Typer) -> None:
    """Add the commands about queues."""

    @app.command()
    def redrive(
        lane: Annotated[Lane | None, typer.Option(help="Only this lane")] = None,
        limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many")] = 1_000,
        repair: Annotated[
            bool, typer.Option("--repair", help="Vouch for them: each replaces what was recorded and contradicts it")
        ] = False,
    ) -> None:
        """Send dead letters back to their lane's queue, to be processed again."""
        settings = start_command(Settings, PACKAGE)
        request = RedriveRequest(lane=lane, limit=limit, repair=repair)
        with clear_errors(PACKAGE), opened(settings.debt_database_url) as database:
            done = asyncio.run(_redrive(settings, database, request, audit_of_command(audit_records)))
        typer.echo(f"redriven {done.redriven} ({', '.join(f'{name} {count}' for name, count in done.lanes.items())})")
        if done.failed:
            fail(f"the queue refused {done.failed} messages, which stay among the dead letters")


async def _redrive(settings: Settings, database: Database, request: RedriveRequest, audit: Audit) -> Redriven:
    async with open_sqs(settings) as sqs:
        return await service.redrive(sqs, settings, database, database.transact, request, audit)
