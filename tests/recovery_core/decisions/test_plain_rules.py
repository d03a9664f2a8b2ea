"""Whatever is known of a debtor, it ends as plain rules say, walked row by row."""

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import NOON
from tests.recovery_core.decisions.stopped import CALL, HOUR, LEGAL, PLAN, STANDARD, a_debtor, outcome

from recovery_core.holds import ACTIONS, ALL_ACTIONS, KIND_ORDER, HoldKind, HoldSpan, actions_of
from recovery_core.messages.stops import DebtorStop
from recovery_core.money import parse_money
from recovery_core.profile import FACTS
from recovery_core.scoring.scorer import scorer_for

holds = st.builds(
    HoldSpan,
    number=st.integers(1, 5),
    kind=st.sampled_from([kind.value for kind in HoldKind]),
    blocked=st.sampled_from([ALL_ACTIONS, CALL, LEGAL, CALL | PLAN, ALL_ACTIONS & ~LEGAL]),
    starts_at=st.sampled_from([NOON - HOUR, NOON, NOON + 2 * HOUR]),
    ends_at=st.sampled_from([None, NOON + HOUR, NOON + 3 * HOUR]),
)
stops = st.builds(
    DebtorStop,
    debtor_id=st.just(1),
    sequence=st.integers(1, 20),
    deleted=st.sampled_from([False, False, False, True]),
    portfolio=st.sampled_from(["default", "default", "default", "elsewhere"]),
    payment_status=st.sampled_from(["UNPAID", "UNPAID", "PARTIAL", "PAID"]),
    total_debt_amount=st.sampled_from([1_200_000, 1_200_000, 1_300_000, 5_000, 200_000, 900_000_000]),
    holds=st.lists(holds, max_size=3, unique_by=lambda hold: hold.number).map(tuple),
)
blocks = st.just({}) | st.builds(
    lambda mask, kind: {"blocked": actions_of(mask), "blocked_by": kind},
    st.sampled_from([CALL, LEGAL, CALL | PLAN, ALL_ACTIONS & ~LEGAL, ALL_ACTIONS]),
    st.sampled_from([kind.value for kind in HoldKind]),
)


def _plainly(entry: dict[str, Any], stop: DebtorStop | None, now: datetime) -> str:
    """What becomes of a debtor, said row by row."""
    blocked, kind = set(entry.get("blocked", ())), entry.get("blocked_by")
    if stop is not None:
        if stop.payment_status == "PAID":
            return "PAID"
        if stop.deleted or stop.portfolio != "default":
            return "DELETED"
        active = [hold for hold in stop.holds if hold.starts_at <= now and (hold.ends_at is None or now < hold.ends_at)]
        total = [hold for hold in active if hold.blocked == ALL_ACTIONS]
        blocked = {action for bit, action in enumerate(ACTIONS) for hold in active if hold.blocked >> bit & 1}
        kind = min((hold.kind for hold in total or active), key=KIND_ORDER.__getitem__, default=None)
        if blocked == set(ACTIONS):
            return f"HOLD_{kind}"
    sent = _action(entry, parse_money(entry["total_debt_amount"]), entry["payment_status"], blocked, "high")
    if sent is None:
        return f"HOLD_{kind}"
    if stop is None:
        return sent
    debt, status = int(stop.total_debt_amount or 0), str(stop.payment_status)
    lane = "high" if _score(entry, debt)[0] * debt > 50_000_000 else "standard"
    if (debt, status) == (parse_money(entry["total_debt_amount"]), entry["payment_status"]):
        return sent
    now_due = _action(entry, debt, status, blocked, lane)
    if now_due is None:
        return f"HOLD_{kind}"
    return sent if now_due == sent else "CHANGED"


def _score(entry: dict[str, Any], debt: int) -> tuple[int, str]:
    values = entry | {"total_debt_amount": debt, "monthly_income": parse_money(entry["monthly_income"])}
    score = scorer_for(STANDARD).score([values.get(name) for name in FACTS])
    return score.total_score, score.risk_level


def _action(entry: dict[str, Any], debt: int, status: str, blocked: set[str], lane: str) -> str | None:
    level = _score(entry, debt)[1]
    for row in STANDARD.treatment:
        least, most = row.debt_range
        fits = ((row.level, level), (row.lane, lane), (row.payment_status, status))
        owed = least <= debt and (most is None or debt < most)
        if owed and row.action not in blocked and all(wanted is None or value in wanted for wanted, value in fits):
            return row.action
    return None


@given(stops | st.none(), blocks, st.sampled_from([NOON, NOON + HOUR, NOON + 2 * HOUR]))
def test_a_debtor_ends_as_plain_rules_say(stop: DebtorStop | None, block: dict[str, Any], now: datetime) -> None:
    entry = a_debtor(payment_status="UNPAID") | block
    found = outcome(*([] if stop is None else [stop]), entries=[entry], now=now)
    assert found[0] == _plainly(entry, stop, now)
