"""`explain` and `replay`: tables for people, JSON for programs, and an exit code that says how a replay ended."""

import json
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from tests.recovery_core.own_policies import own_document
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import generate_debtors
from tests.risk_assessment.commands import Done, run, the_error
from tests.risk_assessment.evidence.test_routes import planned
from tests.risk_assessment.holds.placing import a_stored_debtor
from tests.risk_assessment.planned import a_planned_run, batches_of, order_of
from tests.risk_assessment.portfolios.activating import activated
from tests.risk_assessment.responses import created, shown

from risk_assessment.tables import assessments, run_batches
from service_kit.database.engine import Database


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)


def test_a_place_is_explained_in_tables(api: Api, portfolio: str) -> None:
    first = a_stored_debtor(api, portfolio, total_debt_amount="900.00")
    second = a_stored_debtor(api, portfolio, total_debt_amount="800.00")
    paid = a_stored_debtor(api, portfolio, payment_status="PAID")
    run_id = planned(api, portfolio)

    done, left = (run("explain", run_id, one, RISK_API_URL=api.url) for one in (second, paid))

    assert (done.code, left.code) == (0, 0), (done.err, left.err)
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == f"debtor {second} in run {run_id}: rank 2 of 2, batch 1 of the standard lane, position 1"
    assert any(line.startswith(f"above: debtor {first}, priority") for line in lines)
    assert "debt_ratio 0.32 2 9 18" in lines
    assert any(line.startswith("debt_ratio above 1 up to 3") and line.endswith(" 1") for line in lines)
    assert left.out.splitlines()[0] == f"debtor {paid} in run {run_id}: left out, PAID"
    as_json = run("explain", run_id, second, "--json", RISK_API_URL=api.url)
    assert json.loads(as_json.out) == shown(api.get(f"/runs/{run_id}/explain/{second}"))
    assert "404" in the_error(run("explain", run_id, 999_999, RISK_API_URL=api.url))


def test_true_and_false_read_as_in_a_policy(api: Api, portfolio: str) -> None:
    created(api.put(f"/portfolios/{portfolio}", json={"attributes": {"insured": {"type": "boolean"}}}))
    cover = {"input": "attributes.insured", "weight": 4, "neutral": 1, "missing": 2, "points": {"true": 1, "false": 6}}
    draft = created(
        api.post(
            "/policies",
            json=own_document()
            | {"name": portfolio, "factors": {"cover": cover}, "treatment": [{"action": "AGENT_CALL"}]},
        )
    )
    activated(api, draft["hash"], portfolio)
    one = created(
        api.post(
            "/debtors",
            json={"portfolio": portfolio, "name": "A", "total_debt_amount": 5, "attributes": {"insured": False}},
        )
    )

    done = run("explain", planned(api, portfolio), one["id"], RISK_API_URL=api.url)

    lines = [line.split() for line in done.out.splitlines()]
    assert ["cover", "false", "6", "4", "24"] in lines
    assert ["cover", "true", "4", "LOW", "20.00", "1"] in lines


def replayed(database: Database, *options: object) -> Done:
    return run("replay", *options, RISK_DATABASE_URL=str(database.url))


def test_the_exit_code_says_how_a_replay_ended(sqlite: Database) -> None:
    generate_debtors(sqlite, 30)
    run_id = a_planned_run(sqlite, batch_size=7)
    first, second = order_of(sqlite, run_id)[0][1], batches_of(sqlite, run_id)[1]

    same, unknown = replayed(sqlite, run_id), replayed(sqlite, "no-such-run")
    with sqlite.write() as connection:
        connection.execute(update(run_batches).where(run_batches.c.sequence == 2).values(debtors=99))
    other = replayed(sqlite, run_id, "--json")
    with sqlite.write() as connection:
        connection.execute(delete(assessments).where(assessments.c.debtor_id == first))
    erased = replayed(sqlite, run_id)

    assert (same.code, other.code, erased.code, unknown.code) == (0, 1, 2, 3)
    shown_hash = json.loads(other.out)["manifest_hash"]
    assert same.out == f"identical {shown_hash}\n"
    assert json.loads(other.out) == {
        "run_id": run_id,
        "result": "different",
        "manifest_hash": shown_hash,
        "difference": {
            "what": "debtors",
            "lane": second.lane,
            "batch_sequence": 2,
            "position": None,
            "debtor_id": None,
            "stored": 99,
            "recomputed": 7,
        },
    }
    assert erased.out.startswith("inputs erased (")
    assert unknown.err == "error: there is no such run\n"
