"""CSV files as texts, and the reject files that imports write."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLUMNS = (
    "external_ref",
    "name",
    "total_debt_amount",
    "monthly_income",
    "late_payments_count",
    "employment_status",
    "contract_type",
    "industry_sector",
)


Importer = Callable[..., dict[str, Any]]


def a_row(ref: object = "A-1", **changes: object) -> dict[str, object]:
    values = (ref, "Alex Example", "5000.00", "2500.00", 1, "EMPLOYED", "PERMANENT", "TECHNOLOGY")
    return dict(zip(COLUMNS, values, strict=True)) | changes


def text_of(*rows: dict[str, object], columns: tuple[str, ...] = COLUMNS) -> str:
    lines = [",".join(columns)]
    lines += [",".join(f'"{row[column]}"' for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def rejects(folder: Path, name: str = "file.rejects.csv") -> list[tuple[str, str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "column", "reason"]
    return [(row, column, reason) for row, column, reason in rows]
