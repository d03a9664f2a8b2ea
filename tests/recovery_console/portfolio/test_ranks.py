"""Ranks of a page: the same as if each debtor were asked, with fewer questions where that proves them."""

import random

import pytest
from tests.recovery_console.builders import a_debtor, a_rank

from recovery_console.portfolio.ranks import ranks_of

pytestmark = pytest.mark.anyio


class Service:
    """Counts the rank of each debtor of an order, and how often it is asked."""

    def __init__(self, eligible: list[bool], before: int) -> None:
        ranks, rank = {}, before
        for debtor_id, is_eligible in enumerate(eligible):
            rank += is_eligible
            ranks[debtor_id] = rank if is_eligible else None
        self.ranks, self.asked = ranks, 0

    async def ask(self, debtor_id: int):  # type: ignore[no-untyped-def]
        self.asked += 1
        rank = self.ranks[debtor_id]
        return a_rank(debtor_id, rank, reason=None if rank else "HOLD_DISPUTE")


@pytest.mark.parametrize("seed", range(20))
async def test_every_rank_is_the_one_that_the_service_counts(seed: int) -> None:
    draw = random.Random(seed)
    eligible = [draw.random() < draw.choice([0.5, 0.9, 1.0]) for _ in range(draw.randint(0, 50))]
    service = Service(eligible, before=draw.randint(0, 9))

    found = await ranks_of([a_debtor(one) for one in service.ranks], service.ask, whole=True)

    assert {one: rank["rank"] for one, rank in found.items()} == service.ranks


async def test_a_page_of_eligible_debtors_costs_two_questions() -> None:
    service = Service([True] * 50, before=100)

    await ranks_of([a_debtor(one) for one in service.ranks], service.ask, whole=True)

    assert service.asked == 2


async def test_of_a_filtered_table_each_is_asked_but_who_has_paid() -> None:
    service = Service([True] * 10, before=0)
    debtors = [a_debtor(one, payment_status="PAID" if one == 3 else "UNPAID") for one in service.ranks]

    found = await ranks_of(debtors, service.ask, whole=False)

    assert service.asked == 9
    assert found[3] == {"rank": None, "reason": "PAID"}
