"""Calls as values, and every one of them against what the APIs say of themselves."""

import inspect
import re
from typing import Any

import pytest

from debt_processing.app import create_app as create_debt_app
from debt_processing.settings import Settings as DebtSettings
from recovery_client import debt, risk
from recovery_client.calls import Call, Service, get
from risk_assessment.app import create_app as create_risk_app
from risk_assessment.settings import Settings as RiskSettings

HOSTILE = "../me?x=1#y"


def every_call() -> dict[str, Call[Any]]:
    """Each call that the client knows, by its name, with an X for each argument that it must have."""
    found = {}
    for module in (risk, debt):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__:
                continue
            needed = [
                parameter
                for parameter in inspect.signature(function).parameters.values()
                if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            ]
            found[f"{module.__name__.rpartition('.')[2]}.{name}"] = function(*("X" for _ in needed))
    return found


CALLS = every_call()


@pytest.fixture(scope="module")
def operations() -> dict[Service, set[tuple[str, str]]]:
    documents = {
        Service.RISK: create_risk_app(RiskSettings()).openapi(),
        Service.DEBT: create_debt_app(DebtSettings()).openapi(),
    }
    return {
        service: {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        for service, document in documents.items()
    }


@pytest.mark.parametrize("name", CALLS)
def test_an_api_serves_the_call(name: str, operations: dict[Service, set[tuple[str, str]]]) -> None:
    call = CALLS[name]

    def serves(method: str, path: str) -> bool:
        pattern = re.sub(r"\{[a-z_]+\}", "X", path)
        return (method, pattern) == (call.method, call.path)

    assert any(serves(*operation) for operation in operations[call.service])


def test_options_that_are_none_are_left_out() -> None:
    assert risk.preview(portfolio="default", limit=None).params == {"portfolio": "default"}
    assert risk.start_run(threshold="1", policy=None).json == {"threshold": "1"}


def test_what_a_person_typed_stays_one_part_of_the_path() -> None:
    assert get(Service.RISK, "runs", HOSTILE).path == "/risk-service/runs/..%2Fme%3Fx%3D1%23y"


def test_a_call_at_a_cursor_keeps_its_filters() -> None:
    assert risk.debtors(q="Ada").at("c2").params == {"q": "Ada", "cursor": "c2"}
    assert risk.debtors(q="Ada").at(None).params == {"q": "Ada"}


def test_a_key_makes_repeats_harmless() -> None:
    assert risk.start_run().once("k-1").headers == {"Idempotency-Key": "k-1"}


@pytest.mark.parametrize(
    ("reason", "header"),
    [
        ("wrong threshold", "wrong threshold"),
        ("  two\nlines ", "two lines"),
        ("Köln", "K%C3%B6ln"),
        ("x" * 199 + "ö", "x" * 199),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_reason_fits_into_its_header(reason: str, header: str) -> None:
    assert risk.cancel_run("r1", reason).headers == {"X-Reason": header}


def test_without_a_reason_there_is_no_header() -> None:
    assert risk.cancel_run("r1").headers == {}
