"""`holds list`, `place` and `end`: calls of the API at the command line."""

import json
from pathlib import Path

import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import add_debtor
from tests.risk_assessment.commands import Done, run, the_error


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def debtor(api: Api, portfolio: str) -> int:
    return add_debtor(api.database, portfolio=portfolio, external_ref="ACC-1")


def holds(api: Api, *arguments: object) -> Done:
    return run("holds", *arguments, RISK_API_URL=api.url)


def placed(api: Api, *target: object, kind: str = "DISPUTE") -> dict[str, object]:
    done = holds(api, "place", *target, "--kind", kind, "--reason", "a letter", "--json")
    assert done.code == 0, done.err
    hold: dict[str, object] = json.loads(done.out)
    return hold


def test_a_hold_is_placed_listed_and_ended(api: Api, portfolio: str, debtor: int) -> None:
    hold = placed(api, "--debtor-id", debtor)
    assert (hold["debtor_id"], hold["kind"], hold["active"]) == (debtor, "DISPUTE", True)

    line = holds(api, "list", "--portfolio", portfolio).out
    assert line.startswith(f"{hold['id']}  DISPUTE of debtor {debtor} in {portfolio} blocks everything from ")
    assert line.endswith(": a letter\n")

    ended = holds(api, "end", hold["id"], "--reason", "settled", "--json")
    assert json.loads(ended.out)["end_reason"] == "settled"
    assert holds(api, "list", "--portfolio", portfolio).out == ""
    assert [one["id"] for one in json.loads(holds(api, "list", "--debtor-id", debtor, "--all", "--json").out)] == [
        hold["id"]
    ]


def test_a_person_may_be_on_hold_for_some_actions_between_two_days(api: Api, portfolio: str, debtor: int) -> None:
    dated = ("--from", "2026-03-01", "--until", "2026-03-31", "--block", "AGENT_CALL", "--block", "LEGAL_REVIEW")

    hold = placed(api, "--portfolio", portfolio, "--person-ref", "P-1", *dated, kind="HARDSHIP")

    assert (hold["person_ref"], hold["blocks"]) == ("P-1", ["AGENT_CALL", "LEGAL_REVIEW"])
    assert (hold["from"], hold["until"]) == ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("place", "--kind", "DISPUTE", "--reason", "x"), "debtor_id: give one of"),
        (("place", "--debtor-id", 1, "--kind", "DISPUTE", "--reason", "x", "--from", "soon"), "from: must be a date"),
        (("end", "no-such-hold", "--reason", "x"), "there is no such hold"),
    ],
)
def test_a_refusal_is_one_clear_line(api: Api, arguments: tuple[object, ...], said: str) -> None:
    done = holds(api, *arguments)

    assert done.code == 1
    assert said in the_error(done)
