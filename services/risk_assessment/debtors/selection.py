"""Lists of debtors: which ones a list is about, in which order, and its pages. A cursor of another order is rejected.

No filter reads all debtors, whatever it matches. Where few match, an index of the filter finds them, and they are
sorted. Where many match, a walk along the order comes upon them soon. A range of scores may lie at the end of an order:
it is then looked for in an index that has the scores, so that no debtor is read in vain.
"""

from collections.abc import Sequence
from dataclasses import replace
from heapq import merge
from itertools import islice
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select, union_all

from recovery_core.policies.parts import RiskLevel
from recovery_core.profile import PaymentStatus
from risk_assessment.debtors.searching import MAX_ID, DebtorFilter, Search, hidden_column
from risk_assessment.debtors.tables import debtors
from risk_assessment.persons import queries as persons
from risk_assessment.policies.tables import policies
from risk_assessment.portfolios.tables import portfolios
from service_kit.http.pages import BadCursor, Page, decode_cursor, page_of

Sort = Literal["id", "priority", "debt"]
FEW = 5_000
"""Up to so many matches are found by an index of the filter and then sorted."""
WINDOW = 10_000
"""Among so many debtors a walk by id looks first: where many match, it finds a page of them there."""
MAX_POLICIES = 100
"""Among so many policies scores are looked up policy by policy; among more, the index is read over all its scores."""
_BY = {"priority": debtors.c.priority, "debt": debtors.c.total_debt_amount}
_INDEX = {"priority": "ix_debtors_portfolio_priority", "debt": "ix_debtors_portfolio_debt"}


class PortfolioMissingError(ValueError):
    """A reference is looked up without its portfolio. It is unique, and indexed, in its portfolio only."""

    field = "portfolio"

    def __init__(self, given: str) -> None:
        super().__init__(f"portfolio must be given with {given}, which is unique in its portfolio only")


class NotByPriorityError(ValueError):
    """A list is to begin at a priority, and has another order."""

    field = "from_priority"

    def __init__(self) -> None:
        super().__init__("from_priority needs sort=priority")


def page(connection: Connection, wanted: DebtorFilter, sort: Sort, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Return one page by id, or by priority or debt: highest first, then lower id.

    Raises BadCursor, PortfolioMissingError, NotByPriorityError.
    """
    if wanted.from_priority is not None and sort != "priority":
        raise NotByPriorityError
    if wanted.external_ref is not None:
        return _page_by_reference(connection, wanted, cursor)
    order = _Order(sort, cursor)
    if wanted.person_ref is not None:
        found = _of_person(connection, wanted, order, limit + 1)
    else:
        found = _first(connection, wanted, order, limit + 1)
    return page_of(found, limit, order.key)


class _Order:
    """The order of a list, and where its next page begins."""

    def __init__(self, sort: Sort, cursor: str | None) -> None:
        self.sort = sort
        self.after: tuple[int, ...] | None = None
        if cursor is not None:
            self.after = tuple(map(int, decode_cursor(cursor, (int,) if sort == "id" else (int, int))))

    def key(self, row: Row[Any]) -> list[int]:
        """Return the sort key of a row."""
        return [row.id] if self.sort == "id" else [row._mapping[_BY[self.sort].name], row.id]

    def rank(self, row: Row[Any]) -> tuple[int, ...]:
        """Return a key by which rows of this order ascend."""
        *value, debtor_id = self.key(row)
        return (*(-one for one in value), debtor_id)

    def begun(self) -> list[ColumnElement[bool]]:
        """Return the condition of rows that come after the cursor."""
        if self.after is None:
            return []
        if self.sort == "id":
            return [debtors.c.id > self.after[0]]
        value, debtor_id = self.after
        column = _BY[self.sort]
        # The first comparison alone gives the index its range; the second breaks the ties.
        return [and_(column <= value, or_(column < value, debtors.c.id > debtor_id))]

    def by(self) -> list[ColumnElement[Any]]:
        """Return what to sort by."""
        return [debtors.c.id] if self.sort == "id" else [_BY[self.sort].desc(), debtors.c.id]

    def in_order(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Select the rows after the cursor in this order."""
        return select(debtors).where(*self.begun(), *conditions).order_by(*self.by())


def _page_by_reference(connection: Connection, wanted: DebtorFilter, cursor: str | None) -> Page[Row[Any]]:
    """Return the one debtor of a portfolio that has this reference, or none: in no order, lest its index be read."""
    if wanted.portfolio is None:
        raise PortfolioMissingError("external_ref")
    if cursor is not None:
        raise BadCursor
    statement = select(debtors).where(debtors.c.portfolio == wanted.portfolio, *wanted.conditions())
    found = connection.execute(statement).all()
    return Page([row for row in found if wanted.q is None or Search(wanted.q).matches(row)], None)


def _of_person(connection: Connection, wanted: DebtorFilter, order: _Order, top: int) -> Sequence[Row[Any]]:
    """Return the debtors of a person, who are few: none of a person that the portfolio does not know."""
    if wanted.portfolio is None or wanted.person_ref is None:
        raise PortfolioMissingError("person_ref")
    person_id = persons.find(connection, wanted.portfolio, wanted.person_ref)
    if person_id is None:
        return []
    # Of one portfolio, which is not named lest its index be read.
    statement = order.in_order(*replace(wanted, person_id=person_id).conditions(hidden=True))
    if wanted.q is None:
        return connection.execute(statement.limit(top)).all()
    search = Search(wanted.q)
    return list(islice((row for row in connection.execute(statement) if search.matches(row)), top))


def _first(connection: Connection, wanted: DebtorFilter, order: _Order, top: int) -> Sequence[Row[Any]]:
    named = wanted.portfolios
    if order.sort == "id" and wanted.q is None:
        near = _within_window(connection, wanted, order, top)
        if near is not None:
            return near
    if named is None and _is_plain_walk(wanted, order) and order.sort == "priority" and wanted.payment_status is None:
        return _best_of_levels(connection, wanted, order, top)
    if named is None:
        named = tuple(connection.execute(select(portfolios.c.name)).scalars())
    if len(named) > 1 and _is_plain_walk(wanted, order):
        return _merged(connection, [_walk(wanted, order, name) for name in named], order, top)
    parts = [_of_portfolio(connection, wanted, order, name, top) for name in named]
    return parts[0] if len(parts) == 1 else list(islice(merge(*parts, key=order.rank), top))


def _within_window(connection: Connection, wanted: DebtorFilter, order: _Order, top: int) -> Sequence[Row[Any]] | None:
    """Return the first rows by id where they stand close together; None where they may not."""
    named = wanted.portfolios
    of_these = [] if named is None else [hidden_column(debtors.c.portfolio).in_(named)]
    statement = order.in_order(*of_these, *wanted.conditions(hidden=True)).limit(top)
    after = order.after[0] if order.after is not None else 0
    if named is None and not wanted.conditions():
        return connection.execute(statement).all()
    found = connection.execute(statement.where(debtors.c.id <= min(after + WINDOW, MAX_ID))).all()
    return found if len(found) == top else None


def _best_of_levels(connection: Connection, wanted: DebtorFilter, order: _Order, top: int) -> Sequence[Row[Any]]:
    """Return the best of all portfolios: a merge of the best of each level, each of them a range of one index."""
    rest = replace(wanted, risk_levels=None).conditions()
    # A level asked for twice would show its debtors twice.
    levels = dict.fromkeys(wanted.risk_levels or RiskLevel)
    statements = [order.in_order(debtors.c.risk_level == level, *rest) for level in levels]
    return _merged(connection, statements, order, top)


def _merged(connection: Connection, statements: list[Select[Any]], order: _Order, top: int) -> Sequence[Row[Any]]:
    """Return the first rows of several selects in one order."""
    found: list[Sequence[Row[Any]]] = []
    for start in range(0, len(statements), _PARTS_A_QUERY):
        some = statements[start : start + _PARTS_A_QUERY]
        parts = union_all(*(select(one.limit(top).subquery()) for one in some)).subquery()
        by = [parts.c.id] if order.sort == "id" else [parts.c[_BY[order.sort].name].desc(), parts.c.id]
        found.append(connection.execute(select(parts).order_by(*by).limit(top)).all())
    return found[0] if len(found) == 1 else list(islice(merge(*found, key=order.rank), top))


_PARTS_A_QUERY = 200  # SQLite takes 500


def _is_plain_walk(wanted: DebtorFilter, order: _Order) -> bool:
    """Return whether the index of the order has all that the filters ask for, so that nothing is looked up first."""
    if wanted.q is not None or wanted.has_score:
        return False
    return order.sort == "debt" or (order.sort == "priority" and not wanted.has_debt)


def _of_portfolio(
    connection: Connection, wanted: DebtorFilter, order: _Order, name: str, top: int
) -> Sequence[Row[Any]]:
    """Return the first rows of one portfolio."""
    if _is_plain_walk(wanted, order):
        return connection.execute(_walk(wanted, order, name).limit(top)).all()
    search = None if wanted.q is None else Search(wanted.q)
    few = _few(connection, wanted, name) if search is None else search.few(connection, name, FEW)
    if few is not None:
        return connection.execute(
            order.in_order(debtors.c.id.in_(few), *wanted.conditions(hidden=True)).limit(top)
        ).all()
    if search is not None:
        return connection.execute(_walk(wanted, order, name, search.condition()).limit(top)).all()
    if order.sort == "id" or (order.sort == "debt" and wanted.has_score):
        ids = list(connection.execute(_next_ids(connection, wanted, order, name).limit(top)).scalars())
        return connection.execute(select(debtors).where(debtors.c.id.in_(ids)).order_by(*order.by())).all()
    return connection.execute(_walk(wanted, order, name).limit(top)).all()


def _walk(wanted: DebtorFilter, order: _Order, name: str, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Select along the order; the index of a sort value also has what the filters ask for."""
    if order.sort == "id":
        return order.in_order(hidden_column(debtors.c.portfolio) == name, *conditions, *wanted.conditions(hidden=True))
    rest = replace(wanted, min_debt=None, max_debt=None) if order.sort == "debt" else wanted
    debt = [] if rest is wanted else _debt_of(wanted)
    statement = order.in_order(debtors.c.portfolio == name, *debt, *conditions, *rest.conditions(hidden=True))
    return _hinted(statement, _INDEX[order.sort])


def _few(connection: Connection, wanted: DebtorFilter, name: str) -> list[int] | None:
    """Return the ids of the debtors that match the filters, None where they are not few. An index has all of it."""
    statement = select(debtors.c.id).where(debtors.c.portfolio == name, *_found_by(connection, wanted)).limit(FEW + 1)
    found = list(connection.execute(_hinted(statement, _index_of(wanted))).scalars())
    return found if len(found) <= FEW else None


def _next_ids(connection: Connection, wanted: DebtorFilter, order: _Order, name: str) -> Select[Any]:
    """Select the next ids of many that match: an index has them, so that no debtor is read that does not match."""
    # Plus nothing: as an expression, the id keeps both databases from walking the table in its order.
    by_itself = debtors.c.id + 0
    by: list[ColumnElement[Any]] = [by_itself]
    after = [] if order.after is None else [by_itself > order.after[-1]]
    if order.sort == "debt":
        debt = hidden_column(debtors.c.total_debt_amount)
        by = [debt.desc(), by_itself]
        after = [] if order.after is None else [or_(debt < order.after[0], and_(debt == order.after[0], *after))]
    found_by = _found_by(connection, wanted)
    statement = select(debtors.c.id).where(debtors.c.portfolio == name, *after, *found_by).order_by(*by)
    return _hinted(statement, _index_of(wanted))


def _found_by(connection: Connection, wanted: DebtorFilter) -> list[ColumnElement[bool]]:
    """Return the conditions by which an index finds debtors: of debt by its own, of anything else by the summary's."""
    if wanted.has_score:
        return _by_score(connection, wanted)
    if not wanted.has_debt:
        levels = wanted.risk_levels or tuple(map(str, RiskLevel)) if wanted.payment_status else wanted.risk_levels
        return replace(wanted, risk_levels=levels, from_priority=None).conditions()
    rest = replace(wanted, min_debt=None, max_debt=None, from_priority=None)
    return [*_debt_of(wanted), *rest.conditions(hidden=True)]


def _by_score(connection: Connection, wanted: DebtorFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of a range of scores, with all that stands before the score in the index of the summary."""
    levels = wanted.risk_levels or tuple(map(str, RiskLevel))
    statuses = [wanted.payment_status] if wanted.payment_status else list(map(str, PaymentStatus))
    known = list(connection.execute(select(policies.c.id).limit(MAX_POLICIES + 1)).scalars())
    of_policies = [debtors.c.policy_id.in_(known)] if len(known) <= MAX_POLICIES else []
    rest = replace(
        wanted, risk_levels=levels, payment_status=None, min_debt=None, max_debt=None, from_priority=None
    ).conditions()
    debt = DebtorFilter(min_debt=wanted.min_debt, max_debt=wanted.max_debt).conditions(hidden=True)
    return [debtors.c.payment_status.in_(statuses), *of_policies, *rest, *debt]


def _debt_of(wanted: DebtorFilter) -> list[ColumnElement[bool]]:
    return DebtorFilter(min_debt=wanted.min_debt, max_debt=wanted.max_debt).conditions()


def _index_of(wanted: DebtorFilter) -> str:
    return "ix_debtors_portfolio_debt" if wanted.has_debt and not wanted.has_score else "ix_debtors_summary"


def _hinted(statement: Select[Any], index: str) -> Select[Any]:
    for dialect in ("mysql", "mariadb"):
        statement = statement.with_hint(debtors, f"FORCE INDEX ({index})", dialect)
    return statement
