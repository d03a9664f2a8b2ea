"""The state of a portfolio, as far as its change counters show it."""

from sqlalchemy import Connection, bindparam, select

from risk_assessment.changes.tables import portfolio_changes

State = tuple[tuple[int, int], ...]
"""The counter of each part. Equal states of one portfolio are the same debtors and holds."""

# Built once: building a statement costs several times as much as executing it.
_STATE = (
    select(portfolio_changes.c.part, portfolio_changes.c.changes)
    .where(portfolio_changes.c.portfolio == bindparam("wanted"))
    .order_by(portfolio_changes.c.part)
)


def state_of(connection: Connection, portfolio: str) -> State:
    """Return the state of a portfolio in the snapshot of this connection."""
    return tuple((part, changes) for part, changes in connection.execute(_STATE, {"wanted": portfolio}))
