"""What is known of a debtor when it is processed: a skip, blocked actions, or nothing. Every case is a table."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.recovery_core.builders import NOON, a_document, a_header
from tests.recovery_core.decisions.stopped import (
    CALL,
    HOUR,
    LEGAL,
    PLAN,
    STANDARD,
    a_debtor,
    a_hold,
    a_stop,
    decided,
    outcome,
)

from recovery_core.decisions.decide import count_reasons, decide
from recovery_core.decisions.restraints import SKIP_REASONS
from recovery_core.holds import ACTIONS, ALL_ACTIONS, HoldKind, mask_of
from recovery_core.messages.batch import decode_batch, encode_batch
from recovery_core.messages.stops import DebtorStop
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy
from recovery_core.scoring.scorer import scorer_for

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
    total = scorer_for(policy).score((300_000, 250_000, 3, "EMPLOYED", "PERMANENT", "RETAIL", None, None)).total_score
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
