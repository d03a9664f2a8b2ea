"""The baseline: how the program that this one replaces works, one object and one commit for each debtor.

It is rebuilt here in its own style, with an ORM and SQLite, and with our scoring, so that only the way of working
differs.
"""

from collections.abc import Iterator
from heapq import heapify, heappop
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import BigInteger, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.measure import Figure, seconds
from recovery_core.policies.builtin import built_in_policy
from recovery_core.profile import FACTS
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.debtors.generating import Distribution, generate


class _Base(DeclarativeBase):
    """The tables of the baseline."""


class Debtor(_Base):
    """A debtor with its score."""

    __tablename__ = "debtors"

    id: Mapped[int] = mapped_column(primary_key=True)
    total_debt_amount: Mapped[int] = mapped_column(BigInteger)
    monthly_income: Mapped[int] = mapped_column(BigInteger)
    late_payments_count: Mapped[int]
    employment_status: Mapped[str] = mapped_column(String(32))
    contract_type: Mapped[str] = mapped_column(String(32))
    industry_sector: Mapped[str] = mapped_column(String(32))
    family_situation: Mapped[str | None] = mapped_column(String(32))
    total_score: Mapped[int | None]
    processed: Mapped[bool] = mapped_column(default=False)


def measure(debtors: int, repeats: int) -> Iterator[Figure]:
    """Debtors a second from ranking to the last commit."""
    values = []
    for _ in range(repeats):
        with TemporaryDirectory(prefix="smartrecover-bench-") as folder:
            values.append(debtors / _process(Path(folder) / "naive.db", debtors))
    yield Figure("naive", f"one object, one commit each, sqlite, {debtors:,} debtors", "debtors/s", tuple(values))


def _process(path: Path, debtors: int) -> float:
    engine = create_engine(f"sqlite:///{path}")
    _Base.metadata.create_all(engine)
    # As in the original, an object keeps its values after a commit.
    with Session(engine, expire_on_commit=False) as session:
        session.add_all(
            Debtor(**dict(zip(FACTS, row.facts, strict=True))) for row in generate(debtors, Distribution.BALANCED, 42)
        )
        session.commit()
        took = seconds(lambda: _work(session))
    engine.dispose()
    return took


def _work(session: Session) -> None:
    scorer = scorer_for(built_in_policy("standard"))
    heap = []
    for debtor in session.scalars(select(Debtor)):
        score = scorer.score([getattr(debtor, name) for name in FACTS])
        heap.append((-score.total_score * debtor.total_debt_amount, debtor.id, debtor))
    heapify(heap)
    while heap:
        _, _, debtor = heappop(heap)
        score = scorer.score([getattr(debtor, name) for name in FACTS])
        debtor.total_score = score.total_score
        debtor.processed = True
        session.commit()
