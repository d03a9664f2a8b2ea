"""Real applicants on each kind of database."""

from pathlib import Path

import pytest
from tests.risk_assessment.applicants import book
from tests.risk_assessment.applicants.oracle import Applicant

from service_kit.database.engine import Database


@pytest.fixture
def applicants(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Applicant]:
    """The applicants of the example, imported and then changed."""
    monkeypatch.chdir(tmp_path)
    return book.imported(database, tmp_path)
