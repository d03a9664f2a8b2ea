"""Messages of any content, for property tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from recovery_core.holds import ACTIONS, HoldKind
from recovery_core.messages.batch import BatchHeader, PolicyHeader
from recovery_core.money import MAX_MINOR, MAX_PRIORITY, format_money
from recovery_core.policies.factors import CATEGORIES

Entries = st.SearchStrategy[dict[str, Any]]

names = st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True)
lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=64)
counts = st.integers(1, 2**31 - 1)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
documents = st.none() | st.dictionaries(lines, lines | st.integers(-(2**53), 2**53), max_size=3)
policies = st.builds(PolicyHeader, name=names, version=counts, hash=digests, document=documents)
headers = st.builds(
    BatchHeader,
    batch_id=names,
    run_id=names,
    sequence=counts,
    lane=st.sampled_from(["high", "standard"]),
    portfolio=lines,
    policy=policies,
    as_of=moments,
    threshold=st.integers(0, MAX_PRIORITY),
    batches_total=counts,
    debtors_total=counts,
)
entry_values = st.fixed_dictionaries(
    {
        "debtor_id": st.integers(1, 2**63 - 1),
        "priority": st.integers(0, MAX_PRIORITY).map(format_money),
        "total_score": st.integers(0, 1_000_000),
        "total_debt_amount": st.integers(1, MAX_MINOR).map(format_money),
        "monthly_income": st.integers(0, MAX_MINOR).map(format_money),
        "late_payments_count": st.integers(0, 100_000),
        **{name: st.sampled_from([str(member) for member in kind]) for name, kind in list(CATEGORIES.items())[:3]},
        "family_situation": st.none() | st.sampled_from([str(member) for member in CATEGORIES["family_situation"]]),
        "payment_status": st.sampled_from(["UNPAID", "PARTIAL", "PAID"]),
    }
)
versions = st.fixed_dictionaries({"version": counts})
blocks = st.fixed_dictionaries(
    {
        "blocked": st.sets(st.sampled_from(ACTIONS), min_size=1).map(lambda found: sorted(found, key=ACTIONS.index)),
        "blocked_by": st.sampled_from([str(kind) for kind in HoldKind]),
    }
)
second_values = st.builds(lambda *parts: parts[0] | parts[1] | parts[2], entry_values, versions, st.just({}) | blocks)


def _lists(entries: Entries) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(entries, min_size=1, max_size=8, unique_by=lambda entry: entry["debtor_id"])


batches = _lists(entry_values)
second_headers = st.builds(replace, headers, stops_before=st.integers(0, 2**63 - 1))
messages = st.tuples(headers, batches) | st.tuples(second_headers, _lists(second_values))
"""Of either version."""

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
"""Any value that JSON can carry."""
