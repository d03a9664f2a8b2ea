"""The data walk lists every log event, metric and table there is, and none that there is not."""

import ast
import re
from collections.abc import Iterator

import pytest

from debt_processing import tables as debt_tables
from risk_assessment import tables as risk_tables

from .tree import ROOT

WALK = (ROOT / "docs/data-walk.md").read_text(encoding="utf-8")
EVENT = re.compile(r"[a-z]+(\.[a-z_]+)+")
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
KINDS = ("Counter", "Gauge", "Histogram")


def rows(heading: str) -> dict[str, str]:
    """The table under a heading: what stands in the first column, and in the second."""
    section = re.split(r"^#+ ", WALK.split(f" {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.*?) \|", section, re.MULTILINE))


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the product whose first argument is a text, with the name of what is called."""
    for folder in ("libs", "services", "infra/local"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    yield ast.unparse(node.func), node


def logged() -> dict[str, set[str]]:
    """Each event in the code, and the levels at which it is logged."""
    found: dict[str, set[str]] = {}
    for function, call in calls():
        event = call.args[0].value
        level = function.removeprefix("log.")
        if function == "LoggedOutages":
            found |= {f"{event}.outage.began": {"warning"}, f"{event}.outage.ended": {"info"}}
        if isinstance(event, str) and EVENT.fullmatch(event) and (level in LEVELS or function == "write"):
            found.setdefault(event, set()).add(LEVELS.get(level, "info"))
    return found


def test_every_log_event_is_listed_with_its_levels():
    listed = {event: set(levels.split(", ")) for event, levels in rows("Log events").items()}

    assert listed == logged()


def test_every_metric_is_listed_with_its_kind():
    counted = {call.args[0].value: kind.lower() for kind, call in calls() if kind in KINDS}

    assert rows("Metrics") == counted


@pytest.mark.parametrize(
    ("heading", "tables"),
    [("The risk service's database", risk_tables), ("The debt service's database", debt_tables)],
)
def test_every_table_is_listed(heading, tables):
    assert set(rows(heading)) == set(tables.metadata.tables)


def definitions() -> dict[str, set[str]]:
    """What each module of the product defines at its top."""
    found: dict[str, set[str]] = {}
    for folder in ("libs", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            found.setdefault(path.stem, set()).update(names)
    return found


def test_what_it_names_in_the_code_is_there():
    prose = re.sub(r"^\|.*$", "", WALK, flags=re.MULTILINE)
    named = set(re.findall(r"`((?:recovery_core\.|service_kit\.)?[a-z_]+\.[A-Za-z_]+)`", prose))
    known = definitions()
    places = {f"{module}.{name}" for module in known for name in known[module]}
    places |= {f"{package}.{module}" for package in ("recovery_core", "service_kit") for module in known}

    short = {name.removeprefix("recovery_core.").removeprefix("service_kit.") for name in named - places}
    assert short - places - set(logged()) == {"debtor.created"}  # the one that is an audit record
