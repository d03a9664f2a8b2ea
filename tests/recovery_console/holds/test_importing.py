"""A CSV file of holds: which rows are sent, which are rejected and why, and what is not a file of holds."""

from datetime import UTC, datetime

import httpx
import pytest
from tests.recovery_console.holds.builders import a_hold

from recovery_client.errors import RejectedError, UnreachableError
from recovery_console.holds.importing import MAX_ROWS, HoldRow, Reject, UnreadableFileError, place_all, read_rows

HEADER = "debtor_id,portfolio,external_ref,person_ref,kind,from,until,reason,source\n"
BEGAN_AT = datetime(2026, 3, 1, tzinfo=UTC)


def rows(text: str) -> list[HoldRow | Reject]:
    return list(read_rows(text.encode()))


def test_a_row_becomes_what_it_says_and_nothing_more():
    (row,) = rows(HEADER + "7,,,,dispute,2026-03-01,,Letter,crm\n")

    assert row.number == 2
    assert row.body == {"debtor_id": 7, "kind": "DISPUTE", "from": "2026-03-01", "reason": "Letter", "source": "crm"}


def test_the_same_hold_has_the_same_key_whatever_its_reason_and_order_of_columns():
    (first,) = rows("debtor_id,kind,from,reason\n7,DISPUTE,2026-03-01,Letter\n")
    (again,) = rows("reason,from,kind,debtor_id\nanother,2026-03-01,DISPUTE,7\n")
    (other,) = rows("debtor_id,kind,from,reason\n8,DISPUTE,2026-03-01,Letter\n")

    assert first.key == again.key != other.key


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",,,,DISPUTE,2026-03-01,,Letter,", "give one of debtor_id, external_ref, person_ref"),
        ("7,,A-1,,DISPUTE,2026-03-01,,Letter,", "give one of debtor_id, external_ref, person_ref"),
        ("7,,,,DISPUTE,2026-03-01,,,", "reason: missing"),
        ("x7,,,,DISPUTE,2026-03-01,,Letter,", "debtor_id: must be a whole number"),
        ("7,DISPUTE", "the row has another number of cells than the header"),
    ],
)
def test_a_row_that_cannot_be_sent_is_a_reject(line, reason):
    assert rows(HEADER + line + "\n") == [Reject(2, reason)]


def test_blank_rows_are_passed_over_and_rows_keep_their_numbers():
    found = rows("\ufeff" + HEADER + ",,,,,,,,\n7,,,,DISPUTE,2026-03-01,,Letter,\n")

    assert [row.number for row in found] == [3]


def test_semicolons_are_taken_too():
    (row,) = rows("debtor_id;kind;from;reason\n7;DISPUTE;2026-03-01;one, two\n")

    assert row.body["reason"] == "one, two"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe\x00", "UTF-8"),
        (b"a\0b", "text file"),
        (b"kind,from\nx,y\n", "lacks a column: reason"),
        (b"kind,from,reason\nx,y,z\n", "lacks a column: one of"),
        (b"debtor_id,kind,from,reason,colour\n", "unknown column: 'colour'"),
        (b'debtor_id,kind,from,reason\n1,"DISPUTE,2026,x\n', "no CSV"),
        (b"", "lacks a column"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_with_the_reason(content, reason):
    with pytest.raises(UnreadableFileError, match=reason):
        list(read_rows(content))


def test_a_file_of_too_many_rows_names_the_command_that_takes_it():
    line = "7,,,,DISPUTE,2026-03-01,,Letter,\n"

    with pytest.raises(UnreadableFileError, match="import-holds"):
        list(read_rows((HEADER + line * (MAX_ROWS + 1)).encode()))


def a_refusal(status: int, detail: str = "no such debtor") -> RejectedError:
    response = httpx.Response(status, json={"detail": detail}, request=httpx.Request("POST", "http://risk/holds"))
    return RejectedError("risk-service", response)


def some_rows(count: int) -> list[HoldRow]:
    return [HoldRow(number, {"debtor_id": number}, f"key-{number}") for number in range(2, count + 2)]


@pytest.mark.anyio
async def test_rows_are_placed_unchanged_or_rejected_each_by_itself():
    async def place(row):
        if row.number == 3:
            raise a_refusal(404)
        return a_hold(recorded_at="2026-02-01T00:00:00Z" if row.number == 4 else "2026-03-02T00:00:00Z")

    report = await place_all([*some_rows(3), Reject(5, "reason: missing")], place, BEGAN_AT)

    assert (report.rows, report.created, report.unchanged) == (4, 1, 1)
    assert report.rejects == [Reject(3, "no such debtor"), Reject(5, "reason: missing")]
    assert report.stopped is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    "failure",
    [
        a_refusal(429, "too many"),
        a_refusal(503, "away"),
        UnreachableError("risk-service", "http://risk", OSError("no")),
    ],
)
async def test_a_service_that_fails_stops_the_import_and_no_row_is_called_a_reject(failure):
    sent = []

    async def place(row):
        sent.append(row.number)
        raise failure

    report = await place_all(some_rows(30), place, BEGAN_AT)

    assert report.stopped is not None
    assert report.stopped.startswith("Stopped at row 2")
    assert report.rejects == []
    assert len(sent) < 30
