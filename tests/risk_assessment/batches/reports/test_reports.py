"""A report is believed when it fits the very message that was sent, and for nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update
from tests.risk_assessment.batches.reports.builders import (
    LATER,
    NO_KEYS,
    a_message,
    a_report,
    checked,
    received,
    recorded,
    reports_of,
    send_all,
    states,
)
from tests.risk_assessment.builders import NOON, accept_run, every_row, generate_debtors
from tests.risk_assessment.planned import a_planned_run, batches_of, plan, run_row

from recovery_core.messages.results import encode_results
from risk_assessment.batches import reports
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.reports import Refusal
from risk_assessment.runs.planning import PlanInterruptedError
from risk_assessment.tables import run_batches
from service_kit.database.engine import Database
from service_kit.message_keys import MessageKeys

OTHER_DIGEST = "0" * 64
KEYS = MessageKeys.parse("new:a secret of the tests,old:the secret before it")
SECOND = timedelta(seconds=1)

MISFITS = [
    (Refusal.UNKNOWN_RUN, {"run_id": "00000000-0000-0000-0000-000000000000"}),
    (Refusal.UNKNOWN_BATCH, {"sequence": 99}),
    (Refusal.UNKNOWN_BATCH, {"sequence": 2**31 - 1}),
    (Refusal.BATCH_ID, {"batch_id": "any"}),
    (Refusal.COUNTS, {"succeeded": 2}),
    (Refusal.COUNTS, {"succeeded": 3, "failed": 1}),
    (Refusal.COUNTS, {"succeeded": 0}),
    (Refusal.COUNTS, {"skipped": 1}),
    (Refusal.COUNTS, {"succeeded": 1, "skipped": 1}),
    (Refusal.COUNTS, {"outcome": "dead", "reason": "broken"}),
    (Refusal.COUNTS, {"outcome": "dead", "succeeded": 0, "skipped": 3, "reason": "broken"}),
    (Refusal.DIGEST, {"digest": OTHER_DIGEST}),
    (Refusal.DIGEST, {"digest": None}),
    (Refusal.DIGEST, {"outcome": "dead", "succeeded": 0, "reason": "broken", "digest": OTHER_DIGEST}),
]


@pytest.fixture
def run_id(database: Database) -> str:
    """A run of four batches with three debtors each, planned and not yet sent."""
    generate_debtors(database, 60)
    run_id = a_planned_run(database, batch_size=3, limit=12)
    assert [batch.debtors for batch in batches_of(database, run_id)] == [3] * 4
    return run_id


def forget_digests(database: Database) -> None:
    """Leave the rows as version 1.0 would have."""
    with database.write() as connection:
        connection.execute(update(run_batches).values(digest=None))


# --- what is believed


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"succeeded": 2, "failed": 1},
        {"succeeded": 0, "failed": 3},
        {"succeeded": 1, "failed": 1, "skipped": 1},
        {"succeeded": 0, "skipped": 3},
    ],
)
def test_a_report_on_the_message_that_was_sent_is_believed(
    database: Database, run_id: str, changes: dict[str, int], marked: bool
) -> None:
    if marked:
        send_all(database, run_id)
    number = run_row(database, run_id).number
    done, dead = a_report(database, run_id, 1, **changes), a_report(database, run_id, 2, "dead")

    found = checked(database, a_message(done, dead))

    assert (found.believed, found.refused) == ([(number, done), (number, dead)], [])


def test_reports_on_several_runs_are_believed_each_for_its_own(database: Database, run_id: str) -> None:
    other = a_planned_run(database, batch_size=5, limit=10)
    send_all(database, other)
    numbers = [run_row(database, one).number for one in (run_id, other)]
    mine, theirs = a_report(database, run_id, 1), a_report(database, other, 1)

    found = checked(database, a_message(mine, number=1), a_message(theirs, number=2))

    assert (found.believed, found.refused) == ([(numbers[0], mine), (numbers[1], theirs)], [])


def test_a_message_is_built_once_more_only_where_its_digest_was_not_recorded(database: Database, run_id: str) -> None:
    send_all(database, run_id, 1, 2, 3)
    built: list[BatchKey] = []

    def rebuild(_: Connection, keys: Sequence[BatchKey]) -> dict[BatchKey, str]:
        built.extend(keys)
        return dict.fromkeys(keys, OTHER_DIGEST)

    with database.read() as connection:
        messages = [a_message(*reports_of(database, run_id))] * 2
        found = reports.check(connection, messages, NO_KEYS, rebuild, LATER)

    assert [key.sequence for key in built] == [4]
    assert [result.sequence for _, result in found.believed] == [1, 2, 3] * 2


def test_what_version_1_0_sent_is_believed_by_the_digest_of_the_same_message(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    forget_digests(database)
    right, wrong = a_report(database, run_id, 1), a_report(database, run_id, 2, digest=OTHER_DIGEST)

    found = checked(database, a_message(right, wrong))

    assert [result for _, result in found.believed] == [right]
    assert [(refused.refusal, refused.result) for refused in found.refused] == [(Refusal.DIGEST, wrong)]


# --- what is refused


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(("refusal", "changes"), MISFITS)
def test_a_report_that_does_not_fit_is_refused_and_changes_nothing(
    database: Database, run_id: str, refusal: Refusal, changes: dict[str, Any], marked: bool
) -> None:
    if marked:
        send_all(database, run_id)
    forged = a_report(database, run_id, 1, **changes)
    before = every_row(database)

    found = checked(database, a_message(forged))

    assert found.believed == []
    assert [(one.message_id, one.refusal, one.result) for one in found.refused] == [("message-1", refusal, forged)]
    assert recorded(database, forged) == []
    assert every_row(database) == before


def test_a_report_on_another_batch_of_the_run_is_refused(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    another = a_report(database, run_id, 2).digest

    [refused] = checked(database, a_message(a_report(database, run_id, 1, digest=another))).refused

    assert refused.refusal == Refusal.DIGEST


@pytest.mark.parametrize("body", ["junk", "{}", "[]", '{"schema":"smartrecover.batch-results.v1","results":[{}]}'])
def test_a_message_that_cannot_be_read_is_refused_as_a_whole(database: Database, body: str) -> None:
    [refused] = checked(database, received(body)).refused

    assert (refused.message_id, refused.refusal, refused.result) == ("message-1", Refusal.UNREADABLE, None)
    assert refused.detail


def test_the_good_reports_of_a_message_are_believed_though_others_are_not(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    good = reports_of(database, run_id, 1, 2, 4)
    bad = a_report(database, run_id, 3, succeeded=0)

    found = checked(database, received("junk", 1), a_message(*good[:2], bad, good[2], number=2))
    recorded(database, *good[:2], bad, good[2])

    assert [result for _, result in found.believed] == good
    refused = [(one.message_id, one.refusal) for one in found.refused]
    assert refused == [("message-1", Refusal.UNREADABLE), ("message-2", Refusal.COUNTS)]
    assert states(database, run_id) == ["done", "done", "sent", "done"]
    assert run_row(database, run_id).state == "published"


def test_forged_reports_on_batches_that_never_left_complete_no_run(database: Database, run_id: str) -> None:
    send_all(database, run_id, 1)
    honest = a_report(database, run_id, 1)
    # What the audit sent: any id, no count, no digest; and what a forger would send who has read this page.
    naive = [a_report(database, run_id, n, batch_id="any", succeeded=0, digest=None) for n in (2, 3, 4)]
    careful = [a_report(database, run_id, n, digest=OTHER_DIGEST) for n in (2, 3, 4)]

    assert recorded(database, honest, *naive, *careful) == []

    assert states(database, run_id) == ["done", "planned", "planned", "planned"]
    assert run_row(database, run_id).state == "publishing"
    send_all(database, run_id)
    [completion] = recorded(database, *reports_of(database, run_id))
    assert completion.run_id == run_id


def test_a_report_on_a_plan_that_is_being_made_is_refused(database: Database) -> None:
    generate_debtors(database, 60)
    run_id = accept_run(database, batch_size=3)
    interruptions = iter([False, True])
    with pytest.raises(PlanInterruptedError):
        plan(database, run_id, interrupted=lambda: next(interruptions))
    assert (run_row(database, run_id).state, set(states(database, run_id))) == ("planning", {"planned"})

    [refused] = checked(database, a_message(a_report(database, run_id, 1, digest=OTHER_DIGEST))).refused

    assert refused.refusal == Refusal.DIGEST


# --- messages that are not authentic, and those of version 1.0


def test_with_keys_only_what_is_signed_is_believed(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    body = encode_results(reports_of(database, run_id)).decode()
    others = MessageKeys.parse("new:quite another secret")
    attributes = [
        {},
        others.sign(body),
        KEYS.sign(body) | {"key_id": "older"},
        KEYS.sign(body + " "),
        {"mac": KEYS.sign(body)["mac"]},
        {"mac": "", "key_id": "new"},
    ]

    messages = [received(body, number, given) for number, given in enumerate(attributes)]
    found = checked(database, *messages, keys=KEYS)

    assert found.believed == []
    assert [(one.message_id, one.refusal) for one in found.refused] == [
        (f"message-{number}", Refusal.UNAUTHENTIC) for number in range(len(attributes))
    ]
    assert all(one.detail for one in found.refused)


@pytest.mark.parametrize("key_id", ["new", "old"])
def test_each_key_that_is_known_proves_a_message(database: Database, run_id: str, key_id: str) -> None:
    send_all(database, run_id)
    body = encode_results(reports_of(database, run_id)).decode()
    signer = MessageKeys({key_id: KEYS.secrets[key_id]})

    found = checked(database, received(body, attributes=signer.sign(body)), keys=KEYS)

    assert (len(found.believed), found.refused) == (4, [])


def test_a_report_that_is_signed_must_fit_nevertheless(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    body = encode_results([a_report(database, run_id, 1, digest=None)]).decode()

    [refused] = checked(database, received(body, attributes=KEYS.sign(body)), keys=KEYS).refused

    assert refused.refusal == Refusal.DIGEST


@pytest.mark.parametrize(("keys", "afterwards"), [(NO_KEYS, Refusal.DIGEST), (KEYS, Refusal.UNAUTHENTIC)])
def test_reports_of_version_1_0_are_believed_until_the_moment_that_is_set(
    database: Database, run_id: str, keys: MessageKeys, afterwards: Refusal
) -> None:
    send_all(database, run_id)
    old = a_message(*(replace(one, digest=None) for one in reports_of(database, run_id)))
    until = replace(keys, unsigned_until=LATER)

    before = checked(database, old, keys=until, at=LATER - SECOND)
    after = checked(database, old, keys=until, at=LATER)
    never = checked(database, old, keys=keys, at=NOON)

    assert (len(before.believed), before.refused) == (4, [])
    assert (after.believed, {one.refusal for one in after.refused}) == ([], {afterwards})
    assert (never.believed, {one.refusal for one in never.refused}) == ([], {afterwards})


@pytest.mark.parametrize(("refusal", "changes"), [one for one in MISFITS if one[1] != {"digest": None}])
def test_a_report_of_version_1_0_must_fit_in_all_else(
    database: Database, run_id: str, refusal: Refusal, changes: dict[str, Any]
) -> None:
    send_all(database, run_id)
    old = a_report(database, run_id, 1, **{"digest": None} | changes)

    [refused] = checked(database, a_message(old), keys=MessageKeys({}, LATER + SECOND)).refused

    assert refused.refusal == refusal
