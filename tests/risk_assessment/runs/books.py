"""Portfolios for tests of plans: debtors of every kind, and thresholds in the middle of their priorities."""

from typing import Any

from tests.risk_assessment import independent
from tests.risk_assessment.builders import a_registry, add_debtor, change_debtor, debtor_rows, generate_debtors

from risk_assessment.debtors.generating import Distribution
from service_kit.database.engine import Database


def a_book(database: Database) -> list[dict[str, Any]]:
    """A few hundred debtors of every kind, with many equal priorities among them."""
    for kind in Distribution:
        generate_debtors(database, 90, seed=3, kind=kind)
    for _ in range(12):
        add_debtor(database, total_debt_amount="77.00")
    return debtor_rows(database, "default")


def a_book_of_two_policies(database: Database) -> list[dict[str, Any]]:
    """Debtors that `standard` scored, a fifth of them without a family situation, and some that `classic` scored."""
    for row in generate_debtors(database, 100, seed=3)[::5]:
        change_debtor(database, row["id"], family_situation=None)
    for number, family in enumerate(sorted(independent.FAMILY) * 4):
        changes = {"family_situation": family, "late_payments_count": number % 7}
        changes |= {"payment_status": ("UNPAID", "PARTIAL", "PAID")[number % 3]}
        add_debtor(database, a_registry("classic"), total_debt_amount=1_000 + 300 * number, **changes)
    return debtor_rows(database, "default")


def a_middle_threshold(rows: list[dict[str, Any]], policy: str = "standard") -> str:
    ranked = independent.ranking(rows, policy)
    return independent.money(ranked[len(ranked) // 3][0])
