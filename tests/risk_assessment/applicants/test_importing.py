"""Real loan applicants, with their holes, come in by the mapping of the example and are scored by its policy."""

import json
import shutil
from pathlib import Path

import pytest
from tests.risk_assessment.applicants.oracle import EXAMPLES, HOLES, NAME, Applicant, applicants_file, extract, score_of
from tests.risk_assessment.builders import NOON, a_registry, debtor_rows
from tests.risk_assessment.commands import run

from risk_assessment.portfolios import service
from risk_assessment.portfolios.schemas import PortfolioIn
from service_kit.database.engine import Database


def test_a_file_with_holes_becomes_a_portfolio_without_an_invented_value(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = extract(applicants_file(), tmp_path / "extract.csv", each=5, first=30)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    shutil.copy(EXAMPLES / f"{NAME}.json", tmp_path / "policies")
    declared = PortfolioIn.model_validate_json((EXAMPLES / f"{NAME}.declaration.json").read_bytes())
    sqlite.transact(lambda c: service.replace(c, NAME, declared, a_registry(), NOON))
    command = ("import-debtors", "extract.csv", "--mapping", EXAMPLES / f"{NAME}.toml", "--json")
    env = {"RISK_DATABASE_URL": str(sqlite.engine.url), "RISK_POLICY_DIR": "policies", "RISK_POLICY": NAME}

    first, again = run(*command, **env), run(*command, **env)

    assert json.loads(first.out)["created"] == len(rows), first.err
    assert json.loads(again.out)["unchanged"] == len(rows), again.err
    debtors = {row["external_ref"]: row for row in debtor_rows(sqlite, NAME)}
    for row in rows:
        found = debtors[row["rownames"]]
        attributes = json.loads(found["attributes"])
        holes = {name for name in HOLES if not row[name]}
        assert holes == {name for name, own in HOLES.items() if own not in attributes}
        assert (found["monthly_income"], found["employment_status"]) == (None, None)
        assert found["total_score"] == score_of(Applicant(row).cells())
