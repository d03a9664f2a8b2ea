"""Deciding one batch: pure, so that every case is a table."""

import json
from typing import Any

import pytest
from tests.recovery_core.builders import a_header, a_scored_entry

from recovery_core.decisions.decide import DecidedBatch, count_high_priority, count_outcomes, decide
from recovery_core.messages.batch import PolicyHeader, decode_batch, encode_batch, resolve_policy
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy
from recovery_core.policies.treatment import Treatment
from recovery_core.scoring.scorer import scorer_for


def a_debtor(debtor_id: int = 1, policy: str = "standard", **changes: Any) -> dict[str, Any]:
    facts = {
        "total_debt_amount": "12000.00",
        "monthly_income": "2500.00",
        "late_payments_count": 3,
        "industry_sector": "RETAIL",
    }
    return a_scored_entry(debtor_id, policy, **facts | changes)


def decided(entries: list[dict[str, Any]], policy: Policy | None = None, *, travels: bool = False) -> DecidedBatch:
    """Decide a batch that has come as a message, under the policy of that message."""
    named = policy or built_in_policy("standard")
    header = PolicyHeader(named.name, named.version, named.hash, named.document if travels else None)
    batch = decode_batch(encode_batch(a_header(policy=header), map(json.dumps, entries)))
    return decide(batch, resolve_policy(batch.header))


def test_a_debtor_is_scored_from_the_snapshot_and_gets_an_action_and_reasons() -> None:
    entry = a_debtor(7, employment_status="UNEMPLOYED", late_payments_count=9, monthly_income="0")

    [decision] = decided([entry]).decisions

    position, debtor_id, priority, total, level, action, codes, blocked = decision
    expected = scorer_for(built_in_policy("standard")).score(
        (1_200_000, 0, 9, "UNEMPLOYED", "PERMANENT", "RETAIL", None, None)
    )
    assert (position, debtor_id, total, level) == (0, 7, expected.total_score, expected.risk_level)
    assert priority == total * 1_200_000
    assert action == Treatment(built_in_policy("standard")).action(level, "high", "UNPAID", 1_200_000)
    assert codes.split() == list(expected.reason_codes)
    assert blocked is None
    assert "EMPLOYMENT_STATUS_UNEMPLOYED" in codes


@pytest.mark.parametrize(("text", "minor"), [("7", 700), ("7.5", 750), ("7.50", 750), ("0.07", 7), ("123.00", 12300)])
def test_amounts_are_read_exactly_however_they_are_written(text: str, minor: int) -> None:
    result = decided([a_debtor(1, total_debt_amount=text)])

    [(_, _, priority, total, *_)] = result.decisions
    assert priority == total * minor
    assert result.score_mismatches == 0


def test_what_the_message_says_of_score_and_priority_is_only_compared() -> None:
    right = a_debtor(1)
    wrong_score = a_debtor(2, total_score=1)
    wrong_priority = a_debtor(3, priority="1.00")

    result = decided([right, wrong_score, wrong_priority])

    assert result.score_mismatches == 2
    assert len({(total, priority) for _, _, priority, total, *_ in result.decisions}) == 1


def test_a_bad_item_is_one_error_in_its_place_and_the_rest_is_decided() -> None:
    entries = [a_debtor(1), a_debtor(2) | {"industry_sector": "PIRACY"}, {"no": "id"}, a_debtor(4)]

    result = decided(entries)

    assert [(row[0], row[1]) for row in result.decisions] == [(0, 1), (3, 4)]
    assert [row[:4] for row in result.failures] == [
        (1, 2, "read", "industry_sector"),
        (2, None, "read", "debtor_id"),
    ]
    assert "PIRACY" not in str(result.failures)
    assert result.debtors == 4


def test_a_debtor_that_the_policy_cannot_score_is_an_error_of_stage_score() -> None:
    entries = [a_debtor(1, policy="classic"), a_debtor(2, policy="classic", family_situation="DIVORCED_NO_DEPENDENTS")]

    result = decided(entries, policy=built_in_policy("classic"))

    [(position, debtor_id, stage, error, detail)] = result.failures
    assert (position, debtor_id, stage, error) == (0, 1, "score", "family_situation")
    assert "required by this policy" in detail
    assert [row[1] for row in result.decisions] == [2]


def test_an_unforeseen_failure_of_one_debtor_does_not_halt_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    class OneBreaks(Treatment):
        def action(self, risk_level: str, lane: str, payment_status: str, debt_minor: int, *more: Any) -> str:
            if payment_status == "PARTIAL":
                raise KeyError("nothing foreseen")
            return super().action(risk_level, lane, payment_status, debt_minor, *more)

    monkeypatch.setattr("recovery_core.decisions.decide.treatment_for", OneBreaks)
    result = decided([a_debtor(1, payment_status="PARTIAL"), a_debtor(2)])

    assert [row[:4] for row in result.failures] == [(0, 1, "decide", "KeyError")]
    assert [row[1] for row in result.decisions] == [2]


def test_a_policy_that_travels_with_the_batch_decides() -> None:
    document = built_in_policy("standard").document | {"name": "gentle", "treatment": [{"action": "NO_ACTION"}]}
    policy = load_policy(document)

    result = decided([a_debtor(1), a_debtor(2)], policy=policy, travels=True)

    assert {row[5] for row in result.decisions} == {"NO_ACTION"}
    assert result.policy.hash == policy.hash


def test_counts_by_level_and_action_add_up() -> None:
    entries = [a_debtor(1), a_debtor(2, payment_status="PAID"), a_debtor(3, total_debt_amount="50.00")]

    decisions = decided(entries).decisions

    counts = count_outcomes(decisions)
    assert sum(n for actions in counts.values() for n in actions.values()) == 3
    assert {action for actions in counts.values() for action in actions} >= {"NO_ACTION", "SELF_SERVICE_REMINDER"}


def test_high_priority_means_above_the_threshold_and_not_at_it() -> None:
    decisions = decided([a_debtor(1)]).decisions
    priority = decisions[0][2]

    assert count_high_priority(decisions, priority) == 0
    assert count_high_priority(decisions, priority - 1) == 1
