from datetime import datetime, timedelta, timezone

import pytest
from pydantic import ValidationError
from tests.recovery_core.builders import NOON, a_profile

from recovery_core.policies.builtin import built_in_policy
from recovery_core.scoring.explain import assess, explain, percentage
from recovery_core.scoring.scorer import scorer_for

standard = scorer_for(built_in_policy("standard"))


def test_an_assessment_has_the_shape_clients_rely_on() -> None:
    profile = a_profile(late_payments_count=3)
    policy = built_in_policy("standard")
    assert assess(standard, profile, NOON).to_dict() == {
        "total_score": 156,
        "risk_percentage": 40.0,
        "risk_level": "MEDIUM",
        "factors": {
            "debt_ratio": {"points": 5, "weight": 9, "contribution": 45},
            "payment_history": {"points": 7, "weight": 9, "contribution": 63},
            "employment_status": {"points": 2, "weight": 8, "contribution": 16},
            "contract_type": {"points": 2, "weight": 7, "contribution": 14},
            "industry_sector": {"points": 3, "weight": 6, "contribution": 18},
        },
        "reasons": [
            {
                "code": "PAYMENT_HISTORY_UP_TO_5",
                "text": "The number of late payments is more than 2 and at most 5.",
                "contribution": 18,
            }
        ],
        "policy": {"name": "standard", "version": 1, "hash": policy.hash},
        "assessed_at": "2026-03-01T12:00:00Z",
    }


def test_a_moment_is_shown_in_utc_and_must_know_its_zone() -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert assess(standard, a_profile(), tokyo).to_dict()["assessed_at"] == "2026-03-01T12:00:00Z"
    with pytest.raises(ValidationError, match="timezone"):
        assess(standard, a_profile(), datetime(2026, 3, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("total", "maximum", "percent"), [(0, 450, 0.0), (450, 450, 100.0), (1, 3, 33.33), (2, 3, 66.67), (1, 800, 0.13)]
)
def test_the_percentage_is_rounded_half_up(total: int, maximum: int, percent: float) -> None:
    assert percentage(total, maximum) == percent


def test_a_stored_score_is_explained_like_a_profile() -> None:
    profile = a_profile(late_payments_count=3)
    assert explain(standard, standard.score(profile.facts), NOON) == assess(standard, profile, NOON)
