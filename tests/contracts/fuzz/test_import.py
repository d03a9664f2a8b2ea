"""Importing files that are almost right, or not at all: never a crash, every row accounted for, twice is as once."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select
from tests.contracts.conftest import EFFORT
from tests.risk_assessment.builders import NOON, a_registry

from risk_assessment.debtors.importing.file_import import ImportReport, import_file
from risk_assessment.debtors.importing.mapping import ImportMapping, ImportRefusedError, read_mapping
from risk_assessment.tables import assessments, audit_records, debtors
from service_kit.audit import Audit, Caller
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

REGISTRY = a_registry()
HEADER = (
    "external_ref",
    "name",
    "total_debt_amount",
    "monthly_income",
    "late_payments_count",
    "employment_status",
    "contract_type",
    "industry_sector",
    "family_situation",
    "payment_status",
)
GOOD = {
    "name": "Alex",
    "total_debt_amount": "5000.00",
    "monthly_income": "2500",
    "late_payments_count": "1",
    "employment_status": "EMPLOYED",
    "contract_type": "PERMANENT",
    "industry_sector": "TECHNOLOGY",
    "family_situation": "",
    "payment_status": "PAID",
}
MAPPINGS: dict[str, dict[str, Any] | None] = {
    "own columns": None,
    "other words": {
        "encoding": "cp1252",
        "fields": {name: {"column": name} for name in HEADER if name not in ("employment_status", "payment_status")}
        | {"employment_status": {"column": "employment_status", "map": {"EMPLOYED": "RETIRED", "": "STUDENT"}}},
        "skip": [{"column": "payment_status", "equals": "PARTIAL"}],
    },
    "made up": {
        "encoding": "latin-1",
        "fields": {name: {"column": name} for name in HEADER[:4]}
        | {
            "name": {"template": "Client {external_ref} {name}"},
            "late_payments_count": {"count_above": 0, "columns": ["late_payments_count", "monthly_income"]},
            "employment_status": {"fixed": "EMPLOYED"},
            "contract_type": {"fixed": "PERMANENT"},
            "industry_sector": {"fixed": "FINANCE"},
        },
        "skip": [{"column": "total_debt_amount", "at_most": 0.5}],
    },
}

cells = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "0", "-1", "0.01", "0.001", "1e3", "nan", "inf", "１２", "99999999999", '"', "=1+1", "\x00"]
    ),
    st.sampled_from(["EMPLOYED", "FREELANCE", "RETAIL", "PARTIAL", "WIDOWED_WITH_DEPENDENTS", "ä" * 129, "x" * 201]),
)
rows = st.builds(
    lambda ref, changes: {"external_ref": ref} | GOOD | changes,
    st.sampled_from(["a", "b", "c", "d", "A", " a", "e\n", "f" * 129, ""]),
    st.dictionaries(st.sampled_from(HEADER[1:]), cells, max_size=2),
)
# A place, how many bytes go from there, and what comes instead.
damage = st.lists(
    st.tuples(
        st.integers(0, 2_000),
        st.integers(0, 3),
        st.one_of(
            st.sampled_from(
                [b'"', b"\r", b"\n", b"\r\n", b"\0", b",", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\x81", b'""']
            ),
            st.binary(max_size=3),
        ),
    ),
    max_size=3,
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path_factory.mktemp('import') / 'risk.db'}"
    upgrade(url, "risk_assessment")
    database = Database(url)
    yield database
    database.dispose()


@settings(max_examples=EFFORT.examples(120))
@given(rows=st.lists(rows, max_size=8), harm=damage, mapping=st.sampled_from(sorted(MAPPINGS)))
@example(rows=[], harm=[(0, 3, b"\xff\xfe")], mapping="own columns")
def test_a_damaged_file_is_refused_or_accounted_for_row_by_row(
    database: Database, tmp_path: Path, rows: list[dict[str, str]], harm: list[tuple[int, int, bytes]], mapping: str
) -> None:
    _check(database, tmp_path, _damaged(_csv(rows), harm), mapping)


@settings(max_examples=EFFORT.examples(60))
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
@example(content=b",".join(name.encode() for name in HEADER) + b",\xff,\xff\n")
@example(content=b"\xff,\xff\n")
def test_whatever_is_no_csv_is_refused_in_one_line(database: Database, tmp_path: Path, content: bytes) -> None:
    _check(database, tmp_path, content, "own columns")


@settings(max_examples=EFFORT.examples(80))
@given(
    st.one_of(
        st.binary(max_size=80),
        st.text(max_size=80).map(str.encode),
        st.dictionaries(
            st.sampled_from(["portfolio", "delimiter", "encoding", "fields", "skip", "x"]),
            st.sampled_from(
                ['""', '"a"', '"\\u0000"', "1", "[]", "{}", '{ name = { column = "a" } }', "1979-05-27", "nan"]
            ),
        ).map(lambda table: "\n".join(f"{key} = {value}" for key, value in table.items()).encode()),
    )
)
def test_whatever_is_no_mapping_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mapping.toml"
    path.write_bytes(content)
    with pytest.raises(ImportRefusedError) as refused:
        read_mapping(path)
    assert str(refused.value)


def _check(database: Database, folder: Path, content: bytes, mapping: str) -> None:
    """Import a file twice into an empty portfolio."""
    path, rejects = folder / "file.csv", folder / "rejects.csv"
    path.write_bytes(content)
    with database.write() as connection:
        for table in (debtors, assessments, audit_records):
            connection.execute(delete(table))
    try:
        first = _import(database, path, mapping, rejects)
    except ImportRefusedError:
        assert _stored(database) == ([], [])
        return
    rejected = rejects.read_bytes() if rejects.exists() else b""
    stored = _stored(database)
    assert first.changes.created == len(stored[0]) == len(stored[1])
    assert (first.changes.updated, first.changes.unchanged) == (0, 0)
    _assert_accounted(first, rejects)

    second = _import(database, path, mapping, rejects)

    assert (second.changes.created, second.changes.updated) == (0, 0)
    assert second.changes.unchanged == first.changes.created
    assert (second.rows, second.skipped, second.rejected) == (first.rows, first.skipped, first.rejected)
    assert _stored(database) == stored
    assert (rejects.read_bytes() if rejects.exists() else b"") == rejected


def _import(database: Database, path: Path, mapping: str, rejects: Path) -> ImportReport:
    rejects.unlink(missing_ok=True)
    known = MAPPINGS[mapping]
    audit = Audit(audit_records, Caller("cli:test"), NOON)
    read: list[int] = []
    chosen = None if known is None else ImportMapping.model_validate(known)
    return import_file(database, REGISTRY, audit, path, chosen, None, rejects, read.append)


def _assert_accounted(report: ImportReport, rejects: Path) -> None:
    counts = report.as_dict()
    kinds = ("created", "updated", "unchanged", "skipped", "rejected")
    assert sum(int(str(counts[kind])) for kind in kinds) == report.rows
    assert (counts["reject_file"] is not None) == rejects.exists() == (report.rejected > 0)
    if report.rejected:
        with rejects.open(encoding="utf-8", newline="") as file:
            reasons = list(csv.DictReader(file))
        assert len({reason["row"] for reason in reasons}) == report.rejected
        assert all(reason["reason"] for reason in reasons)


def _stored(database: Database) -> tuple[list[Any], list[Any]]:
    def rows_of(connection: Connection, table: Any) -> list[Any]:
        return [tuple(row) for row in connection.execute(select(table))]

    with database.read() as connection:
        return rows_of(connection, debtors), rows_of(connection, assessments)


def _csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _damaged(content: bytes, harm: list[tuple[int, int, bytes]]) -> bytes:
    for place, gone, instead in harm:
        at = place % (len(content) + 1)
        content = content[:at] + instead + content[at + gone :]
    return content
