"""docs/api.md lists every operation of both APIs, with the role that it needs."""

import re

import pytest
from fastapi import FastAPI
from tests.support.processes import repository

from debt_processing.app import create_app as debt_app
from debt_processing.settings import Settings as DebtSettings
from risk_assessment.app import create_app as risk_app
from risk_assessment.settings import Settings as RiskSettings

PAGE = (repository() / "docs" / "api.md").read_text(encoding="utf-8")


def listed(heading: str) -> set[tuple[str, str, str]]:
    """Method, path and role of each row under a heading."""
    section = PAGE.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `(\w+)` \| `(\S+)` \| (\w+) \|$", section, re.MULTILINE))


def operations(app: FastAPI) -> set[tuple[str, str, str]]:
    """Method, path and role of each operation; those that need none are left out."""
    return {
        (method.upper(), path, operation["security"][0]["bearer"][0])
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        if "security" in operation
    }


@pytest.mark.parametrize(
    ("heading", "app"),
    [
        ("Risk service", risk_app(RiskSettings(_env_file=None, recovery_auth="keys"))),
        ("Debt service", debt_app(DebtSettings(_env_file=None, recovery_auth="keys"))),
    ],
    ids=["risk", "debt"],
)
def test_every_operation_is_listed_with_its_role(heading: str, app: FastAPI) -> None:
    assert listed(heading) == operations(app)
