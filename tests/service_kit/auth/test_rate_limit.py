"""The rate limit: a minute's worth at once, then at its pace, each client for itself, in bounded memory."""

import pytest
from tests.support.moments import Clock

from service_kit.auth.rate_limit import RateLimit, address_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_client_may_use_up_a_minute_at_once_and_then_has_to_wait(clock: Clock) -> None:
    limit = RateLimit(30, clock=clock)

    assert [limit.take("a") for _ in range(31)] == [0] * 30 + [2]


def test_waiting_as_long_as_told_is_enough(clock: Clock) -> None:
    limit = RateLimit(7, clock=clock)
    while not (wait := limit.take("a")):
        pass

    clock.forward(wait)

    assert limit.take("a") == 0
    assert limit.take("a") > 0


def test_asking_in_vain_costs_nothing(clock: Clock) -> None:
    limit = RateLimit(60, clock=clock)
    for _ in range(1_000):
        limit.take("a")

    clock.forward(1)

    assert limit.take("a") == 0


def test_a_quiet_client_gathers_no_more_than_a_minute(clock: Clock) -> None:
    limit = RateLimit(2, clock=clock)
    limit.take("a")

    clock.forward(3_600)

    assert [limit.take("a") == 0 for _ in range(3)] == [True, True, False]


def test_clients_do_not_pay_for_each_other(clock: Clock) -> None:
    limit = RateLimit(1, clock=clock)

    assert (limit.take("a"), limit.take("b")) == (0, 0)
    assert limit.take("a") > 0


def test_memory_is_bounded_and_whoever_calls_most_is_remembered(clock: Clock) -> None:
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
