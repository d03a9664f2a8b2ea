"""A real portfolio of 30,000 clients comes in through the mapping that the documents show, every row accounted for."""

import csv
import json
from pathlib import Path

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.builders import debtor_rows, every_row, shared_file
from tests.risk_assessment.commands import run
from tests.risk_assessment.planned import a_planned_run, order_of, run_view
from tests.support.processes import repository

from service_kit.database.engine import Database

FILE = "uci_default_of_credit_card_clients.csv"
MAPPING = repository() / "docs" / "examples" / "uci-credit-cards.toml"
MONTHS = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")


@pytest.fixture
def clients() -> Path:
    path = shared_file(FILE)
    if path is None:
        pytest.skip(f"no {FILE} under $SMARTRECOVER_SHARED/data: no import of a real portfolio was tried")
    return path


def test_a_real_portfolio_comes_in_and_again_changes_nothing(
    clients: Path, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("import-debtors", clients, "--mapping", MAPPING, "--json")
    with clients.open(newline="") as file:
        rows = {row["ID"]: row for row in csv.DictReader(file)}
    # A spreadsheet wrote two bills as 1.00E+05, which may be rounded: no amount to collect by.
    unclear = {ref for ref, row in rows.items() if "E" in row["BILL_AMT1"]}
    owing = {ref: row for ref, row in rows.items() if ref not in unclear and int(row["BILL_AMT1"]) > 0}
    owing_nothing = len(rows) - len(owing) - len(unclear)

    first = run(*command, RISK_DATABASE_URL=str(sqlite.engine.url))

    assert first.code == 3, first.err  # some rows were rejected
    counted = {"rows": 30_000, "created": len(owing), "skipped": owing_nothing, "rejected": len(unclear), "updated": 0}
    assert json.loads(first.out) | counted == json.loads(first.out)
    with (tmp_path / f"{clients.stem}.rejects.csv").open(newline="") as file:
        rejected = list(csv.DictReader(file))
    assert {(str(int(row["row"]) - 1), row["column"]) for row in rejected} == {(ref, "BILL_AMT1") for ref in unclear}
    debtors = debtor_rows(sqlite, "uci-cards")
    assert {debtor["external_ref"] for debtor in debtors} == set(owing)
    for debtor in debtors:
        row = owing[debtor["external_ref"]]
        assert debtor["total_debt_amount"] == 100 * int(row["BILL_AMT1"])
        assert debtor["late_payments_count"] == sum(int(row[month]) > 0 for month in MONTHS)
        assert debtor["name"] == f"Client {row['ID']}"
        assert debtor["priority"] == independent.priority(debtor)

    run_id = a_planned_run(sqlite, portfolio="uci-cards", batch_size=500)
    assert order_of(sqlite, run_id) == independent.ranking(debtors)
    assert run_view(sqlite, run_id)["excluded"] == {}

    before = {name: rows for name, rows in every_row(sqlite).items() if name != "audit_records"}
    again = run(*command, RISK_DATABASE_URL=str(sqlite.engine.url))
    assert json.loads(again.out)["unchanged"] == len(owing)
    assert {name: rows for name, rows in every_row(sqlite).items() if name != "audit_records"} == before
