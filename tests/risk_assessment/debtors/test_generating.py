"""`generate-debtors`: invented portfolios, the same for the same seed."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.builders import accept_run, add_debtor, debtor_rows
from tests.risk_assessment.commands import run, the_error

from risk_assessment.debtors.generating import Distribution
from service_kit.database.engine import Database


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def env(sqlite: Database) -> dict[str, str]:
    return {"RISK_DATABASE_URL": str(sqlite.engine.url)}


def generate(env: dict[str, str], *options: object) -> dict[str, Any]:
    done = run("generate-debtors", "--json", *options, **env)
    assert done.code == 0, done.err
    report: dict[str, Any] = json.loads(done.out)
    return report


def facts(database: Database, portfolio: str) -> list[dict[str, Any]]:
    """What is the same whenever and wherever a portfolio is made."""
    changing = {"id", "portfolio", "assessed_at", "created_at", "updated_at"}
    return [{k: v for k, v in row.items() if k not in changing} for row in debtor_rows(database, portfolio)]


def test_the_same_seed_gives_the_same_portfolio(sqlite: Database, env: dict[str, str]) -> None:
    assert generate(env, "--count", 300, "--seed", 7)["created"] == 300
    generate(env, "--count", 300, "--seed", 7, "--portfolio", "again")
    generate(env, "--count", 300, "--seed", 8, "--portfolio", "other")

    assert facts(sqlite, "default") == facts(sqlite, "again")
    assert facts(sqlite, "default") != facts(sqlite, "other")
    assert generate(env, "--count", 300, "--seed", 7) | {"created": 0, "unchanged": 300} == generate(
        env, "--count", 300, "--seed", 7
    )


def test_the_smaller_portfolio_is_the_beginning_of_the_larger(sqlite: Database, env: dict[str, str]) -> None:
    generate(env, "--count", 50)
    generate(env, "--count", 80, "--portfolio", "larger")

    assert facts(sqlite, "larger")[:50] == facts(sqlite, "default")


def test_clear_deletes_the_portfolio_first_and_no_other(sqlite: Database, env: dict[str, str]) -> None:
    generate(env, "--count", 50)
    other = add_debtor(sqlite, portfolio="other")
    add_debtor(sqlite)

    report = generate(env, "--count", 20, "--clear")

    assert (report["cleared"], report["created"]) == (51, 20)
    assert len(debtor_rows(sqlite, "default")) == 20
    assert [row["id"] for row in debtor_rows(sqlite, "other")] == [other]


def test_a_portfolio_that_a_run_is_about_is_not_cleared(sqlite: Database, env: dict[str, str]) -> None:
    generate(env, "--count", 20)
    accept_run(sqlite)

    assert "'default' is active" in the_error(run("generate-debtors", "--count", "5", "--clear", **env))

    assert len(debtor_rows(sqlite, "default")) == 20


def test_distributions_differ_in_risk(sqlite: Database, env: dict[str, str]) -> None:
    shares = {}
    for kind in Distribution:
        generate(env, "--count", 400, "--distribution", kind, "--portfolio", kind)
        rows = debtor_rows(sqlite, kind)
        levels = Counter(row["risk_level"] for row in rows)
        shares[kind] = (levels["HIGH"] + levels["CRITICAL"]) / len(rows)
        assert {row["payment_status"] for row in rows} == {"UNPAID", "PARTIAL", "PAID"}

    assert shares[Distribution.LOW_RISK] < 0.1 < shares[Distribution.BALANCED] < 0.5 < shares[Distribution.HIGH_RISK]


def test_generated_debtors_are_scored_like_all_others(sqlite: Database, env: dict[str, str]) -> None:
    generate(env, "--count", 200)

    for row in debtor_rows(sqlite):
        assert row["total_score"] == independent.score(row)
        assert row["priority"] == independent.priority(row)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--distribution", "sad"), "balanced, high-risk, low-risk"),
        (("--portfolio", "a b"), "portfolio: "),
    ],
)
def test_a_bad_option_is_reported_in_one_line(env: dict[str, str], options: tuple[str, ...], reason: str) -> None:
    assert reason in the_error(run("generate-debtors", *options, **env))


@pytest.mark.parametrize("options", [("--count", "0"), ("--count", "many"), ("--seed", "1.5"), ("--nonsense",)])
def test_a_wrong_usage_exits_with_2(env: dict[str, str], options: tuple[str, ...]) -> None:
    done = run("generate-debtors", *options, **env)

    assert done.code == 2
    assert "Traceback" not in done.err
