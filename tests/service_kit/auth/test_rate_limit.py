"""The rate limit: a minute's budget at once, then at its rate, each client by itself, in bounded memory."""

import pytest
from tests.support.moments import Clock

from service_kit.auth.rate_limit import RateLimit, address_of


def test_a_client_may_use_a_minutes_budget_at_once_and_then_has_to_wait(clock: Clock) -> None:
    limit = RateLimit(30, clock=clock)

    assert [limit.take("a") for _ in range(31)] == [0] * 30 + [2]


def test_waiting_for_the_returned_seconds_is_enough(clock: Clock) -> None:
    limit = RateLimit(7, clock=clock)
    while not (wait := limit.take("a")):
        pass

    clock.forward(wait)

    assert limit.take("a") == 0
    assert limit.take("a") > 0


def test_a_rejected_request_costs_nothing(clock: Clock) -> None:
    limit = RateLimit(60, clock=clock)
    for _ in range(1_000):
        limit.take("a")

    clock.forward(1)

    assert limit.take("a") == 0


def test_an_idle_client_saves_no_more_than_a_minute(clock: Clock) -> None:
    limit = RateLimit(2, clock=clock)
    limit.take("a")

    clock.forward(3_600)

    assert [limit.take("a") == 0 for _ in range(3)] == [True, True, False]


def test_a_request_given_back_was_never_counted(clock: Clock) -> None:
    limit = RateLimit(2, clock=clock)
    for _ in range(10):
        assert limit.take("a") == 0
        limit.give_back("a")

    assert [limit.take("a") == 0 for _ in range(3)] == [True, True, False]


def test_giving_back_never_adds_to_a_full_budget_nor_makes_a_client(clock: Clock) -> None:
    limit = RateLimit(2, clock=clock)
    limit.take("a")
    for _ in range(5):
        limit.give_back("a")
        limit.give_back("unknown")

    assert [limit.take("a") == 0 for _ in range(3)] == [True, True, False]
    assert limit.remembered == 1


def test_clients_have_separate_budgets(clock: Clock) -> None:
    limit = RateLimit(1, clock=clock)

    assert (limit.take("a"), limit.take("b")) == (0, 0)
    assert limit.take("a") > 0


def test_memory_is_bounded_and_a_busy_client_is_not_forgotten(clock: Clock) -> None:
    limit = RateLimit(1, max_clients=100, clock=clock)
    limit.take("busy")

    for number in range(1_000):
        limit.take(f"client-{number}")
        assert limit.take("busy") > 0

    assert limit.remembered == 100


@pytest.mark.parametrize(
    ("client", "named"),
    [
        (("10.0.0.7", 1), "address:10.0.0.7"),
        (("2001:db8:1:2:3::4", 1), "address:2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::9", 2), "address:2001:db8:1:2::/64"),
        (("testclient", 1), "address:testclient"),
        (None, "address:unknown"),
    ],
)
def test_an_address_names_a_client_and_ipv6_its_network(client: tuple[str, int] | None, named: str) -> None:
    assert address_of({"type": "http", "client": client}) == named
