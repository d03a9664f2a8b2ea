"""`policies`: documents are checked and compared without a database."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.recovery_core.builders import a_document
from tests.risk_assessment.commands import run, run_child, the_error

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy

NO_DATABASE = {"RISK_DATABASE_URL": "mysql+pymysql://none@127.0.0.1:1/none"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_file(folder: Path, name: str = "mine.json", **changes: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(a_document() | {"name": "mine"} | changes), encoding="utf-8")
    return path


@pytest.mark.parametrize(("jurisdiction", "code"), [("US", 1), ("UK", 0), ("EU", 0), ("none", 0)])
def test_an_error_under_the_jurisdiction_is_in_the_exit_code(jurisdiction: str, code: int) -> None:
    done = run("policies", "lint", "classic", "--jurisdiction", jurisdiction, **NO_DATABASE)
    assert done.code == code
    assert done.out.startswith(f"classic version 1 (934b4544cc8c), jurisdiction {jurisdiction}: ")
    assert ("FACTOR_PROHIBITED" in done.out) == (jurisdiction == "US")


def test_findings_come_as_json_too() -> None:
    shown = json.loads(run("policies", "lint", "standard", "--jurisdiction", "US", "--json").out)
    assert shown["policy"] == built_in_policy("standard").ref.model_dump()
    assert shown["jurisdiction"] == "US"
    assert {finding["code"] for finding in shown["findings"]} == {"VALUE_DOUBTFUL", "TREATMENT_ROW_UNREACHABLE"}
    assert set(shown["findings"][0]) == {"code", "severity", "place", "message", "rule"}
    assert shown["influence"]["contract_type"] == {
        "points_span": 42,
        "level_flip_share": "55/136",
        "priority_percent": 77,
    }


def test_a_policy_is_found_by_file_by_name_and_by_hash(folder: Path) -> None:
    path = a_file(folder)
    policy = load_policy(path.read_bytes())
    for named in (path, "./mine.json", "mine", policy.hash):
        done = run("policies", "lint", named, RISK_POLICY_DIR=str(folder))
        assert (done.code, done.out.splitlines()[0]) == (
            0,
            f"mine version 1 ({policy.hash[:12]}), " + "jurisdiction none: 1 warning",
        )


def test_lint_needs_neither_a_database_nor_a_file_of_settings(folder: Path) -> None:
    done = run_child(folder, "policies", "lint", built_in_policy("standard").hash)
    assert done.code == 0, done.err
    assert list(folder.iterdir()) == []


def test_every_fault_of_a_document_is_shown_with_its_place(folder: Path) -> None:
    path = a_file(folder, max_points="ten", surprise=1, treatment=[{"action": "NO_ACTION", "lane": ["high"]}])
    done = run("policies", "lint", path)
    assert done.code == 1
    assert [line.split()[0] for line in done.out.splitlines()] == ["no", "max_points", "surprise", "treatment.0"]

    shown = json.loads(run("policies", "lint", path, "--json").out)
    assert [problem["place"] for problem in shown["problems"]] == ["max_points", "surprise", "treatment.0"]
    assert (shown["policy"], shown["findings"]) == (None, [])


def test_an_objective_that_overflows_is_a_finding(folder: Path) -> None:
    document = a_document()
    document["factors"]["debt_ratio"]["weight"] = 1_000_000
    done = run("policies", "lint", a_file(folder, factors=document["factors"]), "--json")
    assert done.code == 1
    [finding] = json.loads(done.out)["findings"]
    assert (finding["code"], finding["severity"], finding["place"]) == ("OBJECTIVE_OVERFLOW", "error", "objective")


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("strict", "no policy is named 'strict'; there are: classic, standard"),
        ("f" * 64, "cannot reach http://127.0.0.1:1/risk-service/policies/fff"),
        ("gone.json", "gone.json: No such file or directory"),
    ],
)
@pytest.mark.parametrize("command", [("lint",), ("diff", "standard")])
def test_a_policy_that_is_not_there_is_one_clear_line(command: tuple[str, ...], named: str, reason: str) -> None:
    assert the_error(run("policies", *command, named, RISK_API_URL="http://127.0.0.1:1")).startswith(reason)


def test_a_folder_of_policies_that_is_wrong_is_not_taken_for_the_policy(folder: Path) -> None:
    error = the_error(run("policies", "lint", "standard", RISK_POLICY_DIR=str(folder / "none")))
    assert error.startswith("RISK_POLICY_DIR: there is no folder")


def test_a_diff_shows_both_sides_of_each_place(folder: Path) -> None:
    path = a_file(folder, max_points=11, treatment=a_document()["treatment"][:9] + a_document()["treatment"][10:])
    assert run("policies", "diff", "standard", path).out.splitlines() == [
        f"standard version 1 (5c26d60969b2) to mine version 1 ({load_policy(path.read_bytes()).hash[:12]}): 5 changes",
        "name",
        '  - "standard"',
        '  + "mine"',
        "max_points",
        "  - 10",
        "  + 11",
        "treatment.9.action",
        '  - "PAYMENT_PLAN_OFFER"',
        '  + "SELF_SERVICE_REMINDER"',
        "treatment.9.lane",
        '  - ["high"]',
        "  + (absent)",
        "treatment.10",
        '  - {"action":"SELF_SERVICE_REMINDER"}',
        "  + (absent)",
    ]
    shown = json.loads(run("policies", "diff", path, "standard", "--json").out)
    assert (shown["left"]["name"], shown["right"]["name"]) == ("mine", "standard")
    assert shown["changes"][1] == {"place": "max_points", "left": 11, "right": 10}
    assert shown["changes"][-1] == {
        "place": "treatment.10",
        "left": None,
        "right": {"action": "SELF_SERVICE_REMINDER"},
    }


def test_a_diff_names_the_file_that_is_no_policy(folder: Path) -> None:
    path = a_file(folder, surprise=1)
    assert the_error(run("policies", "diff", "standard", path)).startswith(f"{path}: surprise: ")


def test_policies_that_do_not_differ_have_no_changes() -> None:
    assert run("policies", "diff", "standard", "standard").out.endswith(": 0 changes\n")
