"""A dispatcher sends the feed to its queue and hears how far it is known; it believes the debt service alone."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tests.risk_assessment.builders import NOON
from tests.risk_assessment.debt_service import DebtService
from tests.risk_assessment.dispatching import Dispatching, dispatcher_settings
from tests.support.processes import eventually

from recovery_core.messages.stops import Stops, StopsKnown, decode_stops, encode_stops_known
from risk_assessment.settings import Settings
from risk_assessment.stops import service
from risk_assessment.stops.queries import feed
from service_kit.database.engine import Database

CONSUMER = "0f7f3c5e-7a43-4c8e-9f1b-2d3c4b5a6978"


def acknowledged(database: Database) -> int:
    with database.read() as connection:
        return feed(connection).acknowledged


def received(debt_service: DebtService, settings: Settings) -> Sequence[Stops]:
    """The stretches that wait, proven to be of the dispatcher."""
    taken = debt_service._take(settings.recovery_queue_stops)
    assert all(settings.message_keys.refusal(*message, datetime.now(UTC)) is None for message in taken)
    return [decode_stops(body) for body, _ in taken]


def test_the_feed_goes_out_signed_and_what_is_known_comes_back(sqlite: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, recovery_message_keys=f"one:{'k' * 32}")
    debt_service = DebtService(settings)
    sqlite.transact(lambda c: service.note(c, [3, 5], NOON))
    forged = encode_stops_known(StopsKnown(CONSUMER, 1, datetime.now(UTC))).decode()

    with Dispatching(sqlite, settings):
        stretches = eventually(lambda: received(debt_service, settings), 20, "stops")
        debt_service.put(forged, {})
        debt_service.put(encode_stops_known(StopsKnown(CONSUMER, 2, datetime.now(UTC))).decode())
        eventually(lambda: acknowledged(sqlite) == 2, 20, "the acknowledgement")
        refused = eventually(debt_service.refused, 20, "the forged one")

    assert [(one.after, one.through, [stop.debtor_id for stop in one.stops]) for one in stretches] == [(0, 2, [3, 5])]
    assert stretches[0].as_of is not None
    assert refused == {forged: "unauthentic"}
