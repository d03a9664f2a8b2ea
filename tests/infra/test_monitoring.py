"""Alarms and dashboard: they speak of metrics that exist, every alarm is tried, and each leads to its page."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from service_kit.database.engine import Database
from service_kit.http.context import THREADS
from service_kit.observability.metrics import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "infra/monitoring"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
TRIED = yaml.safe_load((MONITORING / "rules_test.yaml").read_text(encoding="utf-8"))["tests"]
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

ALARMS = {
    "dispatcher-gone",
    "consumers-gone",
    "api-gone",
    "api-errors",
    "api-slow",
    "batches-dead",
    "runs-stalled",
    "reports-refused",
    "stops-too-old",
    "stops-refused",
    "batches-failing",
    "debtors-failing",
    "scores-differ",
    "batches-slow",
    "batches-redelivered",
    "leases-lost",
    "dependency-unsteady",
    "pool-exhausted",
}
COUNTS_IN_ITSELF = (
    "import importlib, prometheus_client as p; importlib.import_module({!r}); print(p.generate_latest().decode())"
)
PROCESSES = ("risk_assessment.app", "risk_assessment.worker", "debt_processing.app", "debt_processing.worker")
SERVER = "service_kit.http.serving.protocol"  # what an API loads when it serves
OF_TARGETS = {"job", "instance"}  # labels that Prometheus gives to whatever it scrapes
WORDS = {"and", "or", "unless", "offset", "bool"}
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"\b([a-zA-Z_]\w*)\b(?!\s*\()\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"')


def slug(alert: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alert).lower()


def expressions() -> Iterator[tuple[str, str]]:
    """Every question to Prometheus, with where it stands."""
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    yield from ((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"])


def read(expression: str) -> tuple[dict[str, set[str]], set[str]]:
    """The metrics in an expression with the labels that they are chosen by, and the labels that it groups by."""
    plain = re.sub(r"\[[^\]]*\]", "", expression)
    groups = {label.strip() for inside in GROUPING.findall(plain) for label in inside.split(",")}
    chosen: dict[str, set[str]] = {}
    for name, inside in SELECTOR.findall(re.sub(r"\boffset \w+", "", GROUPING.sub("", plain))):
        if name not in WORDS:
            chosen.setdefault(name, set()).update(MATCHER.findall(inside))
    return chosen, groups


@cache
def counted() -> dict[str, set[str]]:
    """Every series that a process of ours can serve, with its labels."""
    for process in (*PROCESSES, SERVER):
        import_module(process)
    return {
        name: set(getattr(collector, "_labelnames", ())) | ({"le"} if name.endswith("_bucket") else set())
        for collector, names in REGISTRY._collector_to_names.items()
        for name in names
    }


@pytest.mark.parametrize(
    ("process", "metric"),
    [("risk_assessment.app", "risk_batches_outstanding"), ("debt_processing.app", "debt_held_batches")],
)
def test_an_api_shows_what_the_alarm_on_apis_knows_it_by(process, metric):
    """In a process of its own, because here all four have been imported."""
    command = [sys.executable, "-c", COUNTS_IN_ITSELF.format(process)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)

    assert any(metric in rule["expr"] for rule in RULES if rule["alert"] == "ApiGone")
    assert re.search(rf"^{metric} 0.0$", shown.stdout, re.MULTILINE)


def test_expressions_are_read_well():
    expression = 'sum by (job, le) (rate(a_b{c=~"x|(y)", d!="e"}[5m])) > 1 unless on (job) f_g offset 15m'

    assert read(expression) == ({"a_b": {"c", "d"}, "f_g": set()}, {"job", "le"})


@pytest.mark.parametrize(("where", "expression"), list(expressions()), ids=[where for where, _ in expressions()])
def test_a_metric_that_is_asked_for_exists_with_its_labels(where, expression):
    chosen, groups = read(expression)

    assert set(chosen) - set(counted()) == set(), where
    for name, labels in chosen.items():
        assert labels - counted()[name] - OF_TARGETS == set(), where
    assert groups - OF_TARGETS - set().union(*(counted()[name] for name in chosen)) == set(), where


# --- Alarms ---


def test_all_alarms_are_there():
    assert {slug(rule["alert"]) for rule in RULES} == ALARMS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alarm_says_how_grave_it_is_and_where_to_read_on(rule):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/operations.md#alarm-{slug(rule['alert'])}"


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_has_its_page(alarm):
    headings = re.findall(r"^#+ (Alarm: .*)$", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert f"alarm-{alarm}" in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_is_seen_to_fire_and_not_to_fire(alarm):
    seen = {
        bool(check["exp_alerts"])
        for test in TRIED
        for check in test["alert_rule_test"]
        if slug(check["alertname"]) == alarm
    }

    assert seen == {True, False}


def test_every_try_has_a_name_of_its_own():
    names = [test["name"] for test in TRIED]

    assert len(set(names)) == len(names)


def test_the_alarm_about_the_pool_comes_before_an_api_has_no_place_left():
    size = inspect.signature(Database).parameters["pool_size"].default
    (rule,) = [rule for rule in RULES if rule["alert"] == "PoolExhausted"]

    assert 2 * size > THREADS
    assert float(rule["expr"].rsplit(">", 1)[1]) == THREADS - 2


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip(
            "NO PROMTOOL (Debian's package prometheus): THE ALARMS WERE NOT TRIED, only their names were looked at"
        )
    done = subprocess.run([program, *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules():
    promtool("check", "rules", "rules.yaml")


def test_the_alarms_fire_for_what_they_should_and_for_nothing_else():
    promtool("test", "rules", "rules_test.yaml")


def test_prometheus_takes_the_questions_of_the_dashboard(tmp_path):
    rules = [
        {"record": f"question:{number}", "expr": target["expr"].replace("$__rate_interval", "1m")}
        for number, target in enumerate(target for panel in PANELS for target in panel["targets"])
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")

    promtool("check", "rules", file)


# --- Dashboard ---


def test_a_panel_says_what_it_shows():
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"]
        assert panel["targets"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_panels_have_names_of_their_own_and_room():
    places = [(panel["gridPos"], panel["id"]) for panel in DASHBOARD["panels"]]

    assert len({number for _, number in places}) == len(places)
    for (one, _), (other, _) in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(place["x"] + place["w"] <= 24 for place, _ in places)


def test_the_dashboard_marks_every_alarm():
    (alarms,) = DASHBOARD["annotations"]["list"]
    (names,) = re.findall(r'alertname=~"([^"]*)"', alarms["expr"])

    assert set(names.split("|")) == {rule["alert"] for rule in RULES}


def test_every_metric_of_ours_is_on_the_dashboard():
    shown = {name for panel in PANELS for target in panel["targets"] for name in read(target["expr"])[0]}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    ours = {
        family.name + ("_total" if family.type == "counter" else "")
        for collector in REGISTRY._collector_to_names
        for family in (collector.describe() if hasattr(collector, "describe") else ())
        if family.name.startswith(("risk_", "debt_", "http_", "recovery_"))
    }

    assert counted()
    assert ours - families == set()
