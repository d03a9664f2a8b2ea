"""Debtors as a client would keep them in memory, and what clients may send."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from recovery_core.money import format_money, parse_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.profile import (
    FACTS,
    ContractType,
    EmploymentStatus,
    FamilySituation,
    IndustrySector,
    PaymentStatus,
)
from recovery_core.scoring.scorer import scorer_for

# These portfolios declare no attributes.
PROFILE_FIELDS = tuple(name for name in (*FACTS, "payment_status") if name != "attributes")
SCORER = scorer_for(built_in_policy("standard"))

PORTFOLIOS = ("default", "a", "A")
REFS = ("ä", "a", "A", "x" * 128)  # some that careless databases take for equal
money = st.one_of(
    st.sampled_from([1, 100, 999_999_999_999]), st.integers(1, 10_000_00), st.integers(1, 999_999_999_999)
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
profiles = st.fixed_dictionaries(
    {
        "total_debt_amount": money.map(format_money),
        "monthly_income": st.one_of(st.just(0), money).map(format_money),
        "late_payments_count": st.integers(0, 12) | st.just(100_000),
        "employment_status": st.sampled_from(list(EmploymentStatus)),
        "contract_type": st.sampled_from(list(ContractType)),
        "industry_sector": st.sampled_from(list(IndustrySector)),
    },
    optional={
        "family_situation": st.none() | st.sampled_from(list(FamilySituation)),
        "payment_status": st.sampled_from(list(PaymentStatus)),
        "portfolio": st.sampled_from(PORTFOLIOS),
        "external_ref": st.none() | st.sampled_from(REFS),
        "person_ref": st.none() | st.sampled_from(REFS),
    },
)
bodies = st.builds(lambda profile, name: profile | {"name": name}, profiles, names)
FILLED_IN = {
    "family_situation": None,
    "payment_status": "UNPAID",
    "portfolio": "default",
    "external_ref": None,
    "person_ref": None,
}
NOTHING = "0.00"
changed_bodies = bodies | bodies.map(lambda body: body | {"total_debt_amount": NOTHING})
matches = st.sampled_from(["none", "right", "weak", "any", "stale", "future"])


def settled(
    fields: dict[str, Any], before: dict[str, Any] | None = None, *, says_status: bool = True
) -> dict[str, Any]:
    """The fields with the status that the balance comes to."""
    if fields["total_debt_amount"] == NOTHING:
        return fields | {"payment_status": "PAID"}
    reopened = before is not None and before["total_debt_amount"] == NOTHING and not says_status
    return fields | ({"payment_status": "UNPAID"} if reopened else {})


@dataclass
class Known:
    """A debtor as the model has it; each version's profile stays."""

    fields: dict[str, Any]
    version: int = 1
    history: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remember()

    def remember(self) -> None:
        self.history.append(
            {"attributes": {}} | {name: self.fields[name] for name in PROFILE_FIELDS if name in self.fields}
        )

    @property
    def score(self) -> Any:
        amounts = {name: parse_money(self.fields[name]) for name in ("total_debt_amount", "monthly_income")}
        return SCORER.score([(self.fields | amounts).get(name) for name in FACTS])

    @property
    def priority(self) -> int:
        return int(self.score.total_score * parse_money(self.fields["total_debt_amount"]))

    def header(self, match: str) -> dict[str, str]:
        values = {
            "right": f'"{self.version}"',
            "weak": f'W/"{self.version}"',
            "any": "*",
            "stale": f'"{self.version - 1}"',
            "future": f'"{self.version + 1}"',
        }
        return {} if match == "none" else {"If-Match": values[match]}


@dataclass(frozen=True)
class Filter:
    """Which debtors a client wants listed; None and no levels mean all. Debts: at least so much, and at most."""

    portfolio: str | None
    levels: list[str]
    status: str | None
    debts: tuple[int | None, int | None]

    def fits(self, known: Known) -> bool:
        debt = parse_money(known.fields["total_debt_amount"])
        at_least, at_most = self.debts
        return (
            self.portfolio in (None, known.fields["portfolio"])
            and (not self.levels or known.score.risk_level in self.levels)
            and self.status in (None, known.fields["payment_status"])
            and (at_least is None or debt >= at_least)
            and (at_most is None or debt <= at_most)
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The filter as a client sends it."""
        at_least, at_most = self.debts
        wished = {
            "portfolio": self.portfolio,
            "risk_level": self.levels or None,
            "payment_status": self.status,
            "min_debt": None if at_least is None else format_money(at_least),
            "max_debt": None if at_most is None else format_money(at_most),
        }
        return {name: value for name, value in wished.items() if value is not None}
