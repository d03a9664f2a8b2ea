"""What is known of a debtor when it is processed: a skip, blocked actions, or nothing. Every case is a table."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import NOON, a_document, a_header, a_scored_entry, written

from recovery_core.decisions.decide import DecidedBatch, count_reasons, decide
from recovery_core.decisions.restraints import SKIP_REASONS
from recovery_core.holds import ACTIONS, ALL_ACTIONS, KIND_ORDER, HoldKind, HoldSpan, actions_of, mask_of
from recovery_core.messages.batch import PolicyHeader, decode_batch, encode_batch
from recovery_core.messages.stops import DebtorStop
from recovery_core.money import parse_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy
from recovery_core.profile import FACTS
from recovery_core.scoring.scorer import scorer_for

HOUR = timedelta(hours=1)
CALL, PLAN, LEGAL = mask_of(["AGENT_CALL"]), mask_of(["PAYMENT_PLAN_OFFER"]), mask_of(["LEGAL_REVIEW"])
STANDARD = built_in_policy("standard")


def a_debtor(debtor_id: int = 1, **changes: Any) -> dict[str, Any]:
    """A debtor of level MEDIUM, for whom the standard treatment has an agent call in the high lane."""
    facts = {"total_debt_amount": "12000.00", "monthly_income": "2500.00", "late_payments_count": 3, "version": 1}
    return a_scored_entry(debtor_id, **facts | {"industry_sector": "RETAIL"} | changes)


def a_stop(debtor_id: int = 1, **changes: Any) -> DebtorStop:
    """What the risk service says of a debtor that is as it was sent."""
    values = {"portfolio": "default", "payment_status": "UNPAID", "total_debt_amount": 1_200_000}
    return DebtorStop(debtor_id, **{"sequence": 13, "deleted": False} | values | changes)


def a_hold(kind: str = "DISPUTE", blocked: int = ALL_ACTIONS, **changes: Any) -> HoldSpan:
    return HoldSpan(**{"number": 1, "kind": kind, "blocked": blocked, "starts_at": NOON, "ends_at": None} | changes)


def decided(
    *stops: DebtorStop,
    entries: list[dict[str, Any]] | None = None,
    policy: Policy = STANDARD,
    now: datetime | None = NOON + HOUR,
    **header: Any,
) -> DecidedBatch:
    named = PolicyHeader(policy.name, policy.version, policy.hash, policy.document)
    body = encode_batch(a_header(policy=named, **{"stops_before": 12} | header), map(written, entries or [a_debtor()]))
    return decide(decode_batch(body), policy, {stop.debtor_id: stop for stop in stops}, now, 14)


def outcome(*stops: DebtorStop, **given: Any) -> tuple[str, int | None]:
    """Return the action and what is blocked, or the reason of the skip, of a batch's only debtor."""
    result = decided(*stops, **given)
    assert result.failures == []
    assert result.debtors == 1
    [found] = [*((row[5], row[7]) for row in result.decisions), *((row[2], None) for row in result.skips)]
    return found


# --- each reason


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (a_stop(payment_status="PAID", total_debt_amount=0), "PAID"),
        (DebtorStop(1, 13, deleted=True), "DELETED"),
        (a_stop(portfolio="elsewhere"), "DELETED"),
        *((a_stop(holds=(a_hold(kind),)), f"HOLD_{kind}") for kind in HoldKind),
        (a_stop(total_debt_amount=5_000), "CHANGED"),
    ],
)
def test_a_debtor_that_may_no_longer_be_processed_is_skipped_with_the_reason(stop: DebtorStop, reason: str) -> None:
    result = decided(stop, entries=[a_debtor(7), a_debtor(1), a_debtor(9)])

    [(position, debtor_id, found, detail)] = result.skips
    assert (position, debtor_id, found) == (1, 1, reason)
    assert detail
    assert reason in SKIP_REASONS
    assert [(row[0], row[1]) for row in result.decisions] == [(0, 7), (2, 9)]
    assert result.failures == []
    assert (result.debtors, result.stops_seen) == (3, 14)
    assert count_reasons(result.skips) == {reason: 1}
    assert sum(sum(actions.values()) for actions in result.outcomes.values()) == 2


def test_the_first_reason_that_applies_is_recorded() -> None:
    held = (a_hold("BANKRUPTCY"), a_hold("DISPUTE", number=2))
    everything = a_stop(payment_status="PAID", deleted=True, portfolio="elsewhere", total_debt_amount=1, holds=held)
    steps = [
        (everything, "PAID"),
        (replace(everything, payment_status="PARTIAL"), "DELETED"),
        (replace(everything, payment_status="PARTIAL", deleted=False), "DELETED"),
        (replace(everything, payment_status="PARTIAL", deleted=False, portfolio="default"), "HOLD_DISPUTE"),
        (a_stop(payment_status="PARTIAL", total_debt_amount=1, holds=held[:1]), "HOLD_BANKRUPTCY"),
        (a_stop(payment_status="PARTIAL", total_debt_amount=1), "CHANGED"),
    ]
    assert [outcome(stop)[0] for stop, _ in steps] == [reason for _, reason in steps]
    order = [SKIP_REASONS.index(reason) for reason in ("PAID", "DELETED", "HOLD_DISPUTE", "HOLD_BANKRUPTCY", "CHANGED")]
    assert order == sorted(order)


def test_an_unreadable_debtor_is_an_error_whatever_is_known_of_it() -> None:
    body = encode_batch(a_header(stops_before=12), [json.dumps(a_debtor() | {"monthly_income": "-1"})])
    result = decide(decode_batch(body), STANDARD, {1: a_stop(payment_status="PAID")}, NOON)
    assert ([row[:3] for row in result.failures], result.skips) == ([(0, 1, "read")], [])


def test_a_paid_debtor_is_skipped_though_its_facts_cannot_be_scored() -> None:
    classic = built_in_policy("classic")
    assert decided(policy=classic).failures[0][2:4] == ("score", "family_situation")
    assert outcome(a_stop(payment_status="PAID"), policy=classic) == ("PAID", None)


# --- holds in time


@pytest.mark.parametrize(
    ("now", "found"),
    [(NOON - HOUR, "AGENT_CALL"), (NOON, "HOLD_OTHER"), (NOON + HOUR, "HOLD_OTHER"), (NOON + 2 * HOUR, "AGENT_CALL")],
)
def test_a_hold_applies_from_its_start_until_its_end(now: datetime, found: str) -> None:
    stop = a_stop(holds=(a_hold("OTHER", ends_at=NOON + 2 * HOUR),))
    assert outcome(stop, now=now) == (found, None)


def test_holds_without_a_moment_are_an_error_and_no_guess() -> None:
    result = decided(a_stop(holds=(a_hold(),)), now=None)
    assert ([row[2] for row in result.failures], result.decisions) == (["score"], [])


# --- some actions are blocked


@pytest.mark.parametrize(
    ("blocked", "action"),
    [
        (LEGAL, "AGENT_CALL"),
        (CALL, "PAYMENT_PLAN_OFFER"),
        (CALL | PLAN, "SELF_SERVICE_REMINDER"),
        (ALL_ACTIONS & ~mask_of(["SELF_SERVICE_REMINDER"]), "SELF_SERVICE_REMINDER"),
    ],
)
def test_the_first_row_that_is_not_blocked_decides(blocked: int, action: str) -> None:
    assert outcome(a_stop(holds=(a_hold(blocked=blocked),))) == (action, blocked)


def test_where_no_row_is_left_the_hold_is_the_reason() -> None:
    all_but_legal = ALL_ACTIONS & ~LEGAL  # which the treatment has only for a large debt
    result = decided(a_stop(holds=(a_hold("VULNERABLE", all_but_legal),)))
    assert [row[2] for row in result.skips] == ["HOLD_VULNERABLE"]
    assert "AGENT_CALL" in result.skips[0][3]
    assert "LEGAL_REVIEW" not in result.skips[0][3]


def test_several_holds_that_together_block_everything_are_a_skip_of_the_first_kind() -> None:
    holds = (a_hold("OTHER", CALL, number=1), a_hold("HARDSHIP", ALL_ACTIONS & ~CALL, number=2))
    assert outcome(a_stop(holds=holds)) == ("HOLD_HARDSHIP", None)


def test_without_a_stop_the_message_says_what_is_blocked() -> None:
    entry = a_debtor(blocked=["AGENT_CALL"], blocked_by="DISPUTE")
    assert outcome(entries=[entry], now=None) == ("PAYMENT_PLAN_OFFER", CALL)
    every = a_debtor(blocked=list(ACTIONS), blocked_by="DECEASED")
    assert outcome(entries=[every], now=None) == ("HOLD_DECEASED", None)


def test_a_stop_replaces_what_the_message_says_is_blocked() -> None:
    entry = a_debtor(blocked=["AGENT_CALL"], blocked_by="DISPUTE")
    ended = a_stop(holds=(a_hold(blocked=CALL, ends_at=NOON + timedelta(minutes=1)),))
    assert outcome(ended, entries=[entry]) == ("AGENT_CALL", None)
    assert outcome(a_stop(), entries=[entry]) == ("AGENT_CALL", None)
    other = a_stop(holds=(a_hold(blocked=LEGAL),))
    assert outcome(other, entries=[entry]) == ("AGENT_CALL", LEGAL)


# --- what is owed has changed


@pytest.mark.parametrize(
    ("stop", "found"),
    [
        (a_stop(total_debt_amount=1_200_000), "AGENT_CALL"),
        (a_stop(total_debt_amount=1_200_001), "AGENT_CALL"),  # another debt, and the same action
        (a_stop(total_debt_amount=900_000_000), "AGENT_CALL"),
        (a_stop(total_debt_amount=5_000), "CHANGED"),  # a reminder is enough
        (a_stop(total_debt_amount=200_000), "CHANGED"),  # the lane is standard now
        (a_stop(payment_status="PARTIAL"), "CHANGED"),  # who pays gets a plan
    ],
)
def test_another_debt_is_a_skip_only_where_it_asks_for_another_action(stop: DebtorStop, found: str) -> None:
    assert outcome(stop) == (found, None)


def test_the_decision_keeps_the_debt_that_was_sent() -> None:
    [sent], [changed] = decided().decisions, decided(a_stop(total_debt_amount=1_200_001)).decisions
    assert changed == sent


def _by_lane() -> Policy:
    rows = [{"action": "AGENT_CALL", "lane": ["high"]}, {"action": "SELF_SERVICE_REMINDER"}]
    return load_policy(a_document() | {"name": "lanes", "treatment": rows})


@pytest.mark.parametrize(("debt", "found"), [(1_200_000, "AGENT_CALL"), (300_000, "AGENT_CALL"), (1_000, "CHANGED")])
def test_a_debtor_changes_its_lane_where_its_priority_crosses_the_threshold(debt: int, found: str) -> None:
    policy = _by_lane()
    total = scorer_for(policy).score((300_000, 250_000, 3, "EMPLOYED", "PERMANENT", "RETAIL", None)).total_score
    at = outcome(a_stop(total_debt_amount=debt), policy=policy, threshold=total * 300_000 - 1)
    assert at == (found, None)
    if debt == 300_000:  # at the threshold, which is not above it
        assert outcome(a_stop(total_debt_amount=debt), policy=policy, threshold=total * 300_000)[0] == "CHANGED"


def test_a_payment_status_that_asks_for_another_action_is_a_change() -> None:
    rows = [{"action": "PAYMENT_PLAN_OFFER", "payment_status": ["PARTIAL"]}, {"action": "AGENT_CALL"}]
    policy = load_policy(a_document() | {"name": "status", "treatment": rows})
    result = decided(a_stop(payment_status="PARTIAL"), policy=policy)
    assert [row[2:] for row in result.skips] == [
        ("CHANGED", "another payment status: PAYMENT_PLAN_OFFER instead of AGENT_CALL")
    ]


def test_what_was_decided_otherwise_is_decided_again_once_the_debt_is_back() -> None:
    assert outcome(a_stop(total_debt_amount=5_000)) == ("CHANGED", None)
    assert outcome(a_stop(sequence=14, total_debt_amount=1_200_000)) == ("AGENT_CALL", None)


def test_a_change_is_weighed_among_the_actions_that_are_not_blocked() -> None:
    only_reminders = a_hold(blocked=ALL_ACTIONS & ~mask_of(["SELF_SERVICE_REMINDER"]))
    stop = a_stop(total_debt_amount=5_000, holds=(only_reminders,))
    assert outcome(stop)[0] == "SELF_SERVICE_REMINDER"  # before and after


def test_a_change_that_leaves_no_row_is_a_skip_for_the_hold() -> None:
    rows = [{"action": "AGENT_CALL", "max_debt": "20000"}, {"action": "LEGAL_REVIEW"}]
    policy = load_policy(a_document() | {"name": "two", "treatment": rows})
    held = (a_hold("TIME_BARRED", LEGAL),)
    assert outcome(a_stop(holds=held), policy=policy) == ("AGENT_CALL", LEGAL)
    assert outcome(a_stop(total_debt_amount=3_000_000, holds=held), policy=policy) == ("HOLD_TIME_BARRED", None)


# --- everything against plain Python


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
    score = scorer_for(STANDARD).score([values[name] for name in FACTS])
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
