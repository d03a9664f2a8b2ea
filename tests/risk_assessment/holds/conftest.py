"""Imports of holds through the command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.risk_assessment.commands import Done, run

from service_kit.database.engine import Database

Importer = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def env(database: Database) -> dict[str, str]:
    return {"RISK_DATABASE_URL": database.engine.url.render_as_string(hide_password=False)}


@pytest.fixture
def attempt(folder: Path, env: dict[str, str]) -> Callable[..., Done]:
    """Import a file whose content is given as text or bytes."""

    def run_import(content: str | bytes, *options: object) -> Done:
        (folder / "file.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        return run("import-holds", "file.csv", *options, **env)

    return run_import


@pytest.fixture
def imported(attempt: Callable[..., Done]) -> Importer:
    """Import a file and return the report."""

    def run_import(content: str | bytes, *options: object) -> dict[str, Any]:
        done = attempt(content, "--json", *options)
        assert done.out, done.err
        report: dict[str, Any] = json.loads(done.out)
        counted = ("created", "unchanged", "skipped", "rejected")
        assert sum(report[name] for name in counted) == report["rows"]
        came_in = report["created"] + report["unchanged"]
        assert done.code == (0 if not report["rejected"] else 3 if came_in else 4)
        return report

    return run_import
