"""One JSON line per event, of libraries too, without personal values."""

import json
import subprocess
from datetime import datetime
from typing import Any

from tests.support.processes import environment, python

SETUP = """
import logging, structlog
from service_kit.observability import logs
logs.configure("risk", {level!r}, json={json!r})
log = structlog.get_logger("any")
"""


def run(code: str, level: str = "info", as_json: bool | None = None) -> str:
    """Run code in a fresh process and return what it logged."""
    script = SETUP.format(level=level, json=as_json) + code
    done = subprocess.run(python("-c", script), env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def lines(code: str, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(code, level).splitlines()]


def test_an_event_is_a_line_with_its_time_level_and_service_and_bound_ids() -> None:
    [line] = lines("logs.bind(run_id='r1'); log.info('risk.run.planned', batches=3)")

    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == {"level": "info", "event": "risk.run.planned", "service": "risk", "run_id": "r1", "batches": 3}


def test_an_id_that_was_unbound_is_gone() -> None:
    [line] = lines("logs.bind(run_id='r1'); logs.unbind('run_id'); log.info('x')")

    assert "run_id" not in line


def test_ids_are_bound_while_a_block_runs_and_then_what_they_were() -> None:
    [outer, inner, after] = lines("""
logs.bind(actor='ann')
log.info('x')
with logs.bound(actor='ben', run_id='r1'): log.info('x')
log.info('x')
""")

    assert (outer["actor"], inner["actor"], inner["run_id"]) == ("ann", "ben", "r1")
    assert after["actor"] == "ann"
    assert "run_id" not in after


def test_no_value_takes_the_place_of_the_time_the_level_or_the_service() -> None:
    [line] = lines("log.info('x', level='HIGH', service='other', timestamp='never')")

    assert (line["level"], line["service"]) == ("info", "risk")
    assert datetime.fromisoformat(line["timestamp"])


def test_what_is_no_plain_json_is_written_as_python_shows_it() -> None:
    [line] = lines("import datetime; log.info('x', day=datetime.date(2026, 1, 2), big=2**70, of={1: 2})")

    assert (line["day"], line["big"], line["of"]) == ("datetime.date(2026, 1, 2)", 2**70, {"1": 2})


def test_libraries_log_the_same_way() -> None:
    [line] = lines("logs.bind(run_id='r1'); logging.getLogger('alembic').warning('went %s', 'up')")

    assert (line["event"], line["level"], line["service"], line["run_id"]) == ("went up", "warning", "risk", "r1")


def test_a_check_of_the_schema_is_not_logged_and_a_migration_is() -> None:
    says = ["Context impl %s.", "Will assume %s DDL.", "Running upgrade %s"]

    [line] = lines(f"for text in {says}: logging.getLogger('alembic.runtime.migration').info(text, 'x')")

    assert line["event"] == "Running upgrade x"


def test_personal_and_secret_values_are_hidden() -> None:
    keys = ["name", "debtor_name", "authorization", "Authorization", "password", "token"]
    values = dict.fromkeys(keys, "Jane Doe")
    [line] = lines(f"log.info('x', **{values}, request={{**{values}, 'id': 5}})")

    assert {key: line[key] for key in keys} == dict.fromkeys(keys, "[hidden]")
    assert line["request"] == {**dict.fromkeys(keys, "[hidden]"), "id": 5}


def test_nothing_can_break_a_line() -> None:
    [line] = lines(r"log.info('a\nb \ud800 ä', value=object(), text='\x00\u2028')")

    assert line["event"] == "a\nb \ud800 ä"
    assert line["value"].startswith("<object")


def test_an_exception_is_one_line_without_the_values_of_variables() -> None:
    [line] = lines("secret = 'hunter2'\ntry:\n  1/0\nexcept Exception: log.exception('x')")

    assert "ZeroDivisionError" in line["exception"]
    assert "hunter2" not in line["exception"]


def test_levels_below_the_wanted_one_are_left_out() -> None:
    assert [line["event"] for line in lines("log.info('low'); log.warning('high')", level="warning")] == ["high"]


def test_on_a_terminal_lines_are_for_people() -> None:
    assert "risk.run.planned" in run("log.info('risk.run.planned')", as_json=False)
    assert "{" not in run("log.info('risk.run.planned')", as_json=False)
