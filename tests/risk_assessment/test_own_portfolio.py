"""Real loan applicants, with their holes, come in by the mapping of the example and are scored by its policy."""

import csv
import json
import shutil
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.risk_assessment.builders import NOON, a_registry, debtor_rows, shared_file
from tests.risk_assessment.commands import run
from tests.support.processes import repository

from risk_assessment.portfolios import service
from risk_assessment.portfolios.schemas import PortfolioIn
from service_kit.database.engine import Database

EXAMPLES = repository() / "docs" / "examples"
NAME = "credit-applicants"
JOBS = {"fixed": 2, "freelance": 5, "partime": 9, "others": 7, "": 5}
HOMES = {"owner": 1, "parents": 3, "priv": 4, "rent": 6, "ignore": 4, "other": 6, "": 4}


def test_a_file_with_holes_becomes_a_portfolio_without_an_invented_value(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shared_file("credit_data.csv")
    if source is None:
        pytest.skip("no credit_data.csv under $SMARTRECOVER_SHARED/data: no import of a file with holes was tried")
    monkeypatch.chdir(tmp_path)
    rows = _extract(source, Path("extract.csv"))
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
        holes = {name for name in ("Income", "Assets", "Debt", "Home", "Job") if not row[name]}
        assert holes == {name for name, own in OWN.items() if own not in attributes}
        assert (found["monthly_income"], found["employment_status"]) == (None, None)
        assert found["total_score"] == _score(row)


OWN = {"Income": "income", "Assets": "assets", "Debt": "other_debt", "Home": "home", "Job": "job"}


def _extract(source: Path, target: Path) -> list[dict[str, str]]:
    """Write rows with holes of every kind, and some without."""
    with source.open(newline="") as file:
        found = list(csv.DictReader(file))
    rows = [row for name in OWN for row in islice((row for row in found if not row[name]), 5)] + found[:30]
    unique = list({row["rownames"]: row for row in rows}.values())
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(unique)
    return unique


def _score(row: dict[str, Any]) -> int:
    """The score by plain rules."""
    years = int(row["Seniority"])
    return (
        9 * (9 if row["Records"] == "yes" else 2)
        + 8 * next(points for up_to, points in ((1, 9), (4, 7), (10, 4), (99, 2)) if years <= up_to)
        + 8 * JOBS[row["Job"]]
        + 7 * _ratio(row["Expenses"], row["Income"], ((Fraction(3, 10), 2), (Fraction(6, 10), 5)), 8, 10)
        + 6 * HOMES[row["Home"]]
        + 5 * _ratio(row["Amount"], row["Assets"], ((Fraction(1, 4), 1), (Fraction(1), 4)), 7, 8)
    )


def _ratio(upper: str, lower: str, bands: Any, above: int, zero: int) -> int:
    if not upper or not lower:
        return 5
    if Fraction(lower) <= 0:
        return zero
    return next((points for border, points in bands if Fraction(upper) / Fraction(lower) <= border), above)
