"""Debtors and their assessments. Money and priority are whole minor units (cents); times are UTC.

A fact that is NULL is one that the portfolio's policy does not need. An assessment has the inputs it judged, is never
updated, and is named by (debtor_id, version). A run keeps its snapshot by referring to assessments instead of copying
them.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, UniqueConstraint

from risk_assessment.metadata import metadata
from service_kit.database.types import LongText, RowId, UtcDateTime, table_options


def _profile_columns() -> list[Column]:  # type: ignore[type-arg]
    return [
        Column("total_debt_amount", BigInteger, nullable=False),
        Column("monthly_income", BigInteger),
        Column("late_payments_count", Integer),
        Column("employment_status", String(32)),
        Column("contract_type", String(32)),
        Column("industry_sector", String(32)),
        Column("family_situation", String(32)),
        Column("payment_status", String(8), nullable=False),
    ]


def _attributes_column() -> Column:  # type: ignore[type-arg]
    return Column("attributes", LongText)  # JSON with its names in order; NULL: none


def _assessment_columns() -> list[Column]:  # type: ignore[type-arg]
    return [
        Column("total_score", Integer, nullable=False),
        Column("risk_level", String(8), nullable=False),
        Column("priority", BigInteger, nullable=False),
        Column("policy_id", Integer, nullable=False),
        Column("assessed_at", UtcDateTime, nullable=False),
    ]


ASSESSMENT_FIELDS = tuple(column.name for column in _assessment_columns())

debtors = Table(
    "debtors",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("portfolio", String(64), nullable=False),
    Column("external_ref", String(128)),
    Column("name", String(200), nullable=False),
    *_profile_columns(),
    *_assessment_columns(),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("person_id", BigInteger),  # NULL: a person of its own
    Column("name_key", String(400)),  # the name in lower case, for searches; NULL where the version before wrote it
    _attributes_column(),
    UniqueConstraint("portfolio", "external_ref", name="uq_debtors_portfolio_external_ref"),
    # A number is never given to a second debtor, even after the newest one was deleted.
    sqlite_autoincrement=True,
    **table_options(),
)
# Ranking a portfolio, filters included, reads this index and nothing else.
Index(
    "ix_debtors_portfolio_priority",
    debtors.c.portfolio,
    debtors.c.priority.desc(),
    debtors.c.id,
    debtors.c.payment_status,
    debtors.c.risk_level,
    debtors.c.policy_id,
    debtors.c.version,
    debtors.c.person_id,
    debtors.c.total_debt_amount,
    debtors.c.total_score,
)
Index(
    "ix_debtors_portfolio_debt",
    debtors.c.portfolio,
    debtors.c.total_debt_amount.desc(),
    debtors.c.id,
    debtors.c.payment_status,
    debtors.c.risk_level,
)
# A summary is one walk along this index, in groups that need no sorting.
Index(
    "ix_debtors_summary",
    debtors.c.portfolio,
    debtors.c.risk_level,
    debtors.c.payment_status,
    debtors.c.policy_id,
    debtors.c.total_score,
    debtors.c.total_debt_amount,
)
Index("ix_debtors_name", debtors.c.portfolio, debtors.c.name_key, debtors.c.id)
Index("ix_debtors_person", debtors.c.person_id, debtors.c.id)
Index("ix_debtors_level_priority", debtors.c.risk_level, debtors.c.priority.desc(), debtors.c.id)

assessments = Table(
    "assessments",
    metadata,
    Column("debtor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *_profile_columns(),
    *_assessment_columns(),
    Column("person_id", BigInteger),
    _attributes_column(),
    sqlite_with_rowid=False,
    **table_options(),
)
