"""What each task does, the same for every library: select the debtors of one message, score them, upsert, commit.

The scorer is our own and the statements are the fastest that SQLAlchemy has, so only the way to the task differs.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, event, text

from recovery_core.policies.builtin import built_in_policy
from recovery_core.profile import FACTS
from recovery_core.scoring.scorer import scorer_for

DEBTORS_A_MESSAGE = 100
QUEUE = "peer-work"
ENDPOINT, REGION = os.environ["AWS_ENDPOINT_URL_SQS"], os.environ["AWS_REGION"]
_scorer = scorer_for(built_in_policy("standard"))


def _engine(url: str) -> Engine:
    engine = create_engine(url, pool_size=10)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: object) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=60000"):
                connection.execute(f"PRAGMA {pragma}")

    return engine


_risk, _debt = _engine(os.environ["RISK_DATABASE_URL"]), _engine(os.environ["DEBT_DATABASE_URL"])
_marker = "?" if _debt.dialect.name == "sqlite" else "%s"


def prepare() -> None:
    """Make the table of decisions, empty."""
    with _debt.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS peer_decisions"))
        connection.execute(
            text(
                "CREATE TABLE peer_decisions (debtor_id BIGINT PRIMARY KEY, total_score INTEGER, level VARCHAR(16),"
                " decided_at VARCHAR(32))"
            )
        )


def messages() -> Iterator[list[int]]:
    """The ids of all debtors, as many a message as it takes."""
    with _risk.connect() as connection:
        ids = list(connection.execute(text("SELECT id FROM debtors ORDER BY id")).scalars())
    for start in range(0, len(ids), DEBTORS_A_MESSAGE):
        yield ids[start : start + DEBTORS_A_MESSAGE]


def decided() -> int:
    """How many debtors are decided."""
    with _debt.connect() as connection:
        return int(connection.execute(text("SELECT COUNT(*) FROM peer_decisions")).scalar_one())


def work(ids: Sequence[int]) -> None:
    """One message's debtors: selected, scored, upserted, committed."""
    now = datetime.now(UTC).isoformat()
    with _risk.connect() as connection:
        marks = ",".join([_marker] * len(ids))
        found = connection.exec_driver_sql(
            f"SELECT id, {', '.join(FACTS)} FROM debtors WHERE id IN ({marks})",
            tuple(ids),
        ).fetchall()
    rows = []
    for debtor_id, *facts in found:
        score = _scorer.score(facts)
        rows.append((debtor_id, score.total_score, str(score.risk_level), now))
    with _debt.begin() as connection:
        connection.exec_driver_sql(f"REPLACE INTO peer_decisions VALUES ({','.join([_marker] * 4)})", rows)
