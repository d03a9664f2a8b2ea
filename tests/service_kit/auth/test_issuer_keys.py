"""The keys of a real issuer: cached, rotated, withdrawn, and not available."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.service_kit.auth.tokens import ask, authenticator, status
from tests.support.guarded_api import create_app
from tests.support.issuer import AUDIENCE, Issuer, rsa_key
from tests.support.moments import Clock
from tests.support.processes import eventually, free_port
from tests.support.serving import serving

from service_kit.auth import issuer_keys, oidc
from service_kit.auth.access import Access
from service_kit.auth.issuer_keys import FRESH_SECONDS, REFETCH_SECONDS, STALE_SECONDS, IssuerKeys
from service_kit.auth.oidc import OidcAuthenticator


def test_keys_are_fetched_once_for_many_requests(api: httpx.Client, issuer: Issuer) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: status(api, issuer.token()), range(40))) == {200}

    assert issuer.called == ["/.well-known/openid-configuration", "/keys"]


def test_the_address_of_the_keys_can_be_given(issuer: Issuer, clock: Clock) -> None:
    with serving(create_app(Access(authenticator(issuer, clock, jwks_url=f"{issuer.url}/keys")))) as api:
        assert status(api, issuer.token()) == 200

    assert issuer.called == ["/keys"]


def test_a_key_that_the_issuer_begins_to_use_is_found(api: httpx.Client, issuer: Issuer, clock: Clock) -> None:
    assert status(api, issuer.token()) == 200
    issuer.keys["rsa-2"] = ("RS256", rsa_key())
    clock.forward(REFETCH_SECONDS)

    assert status(api, issuer.token("rsa-2")) == 200


def test_a_key_that_the_issuer_withdraws_is_rejected_after_a_while(
    api: httpx.Client, issuer: Issuer, clock: Clock
) -> None:
    old = issuer.token()
    assert status(api, old) == 200
    del issuer.keys["rsa-1"]

    clock.forward(FRESH_SECONDS)

    # The first request causes the fetch, and does not wait for it.
    eventually(lambda: status(api, old) == 401, what="the refusal")


def test_invented_key_ids_do_not_cause_more_requests_to_the_issuer(
    api: httpx.Client, issuer: Issuer, clock: Clock
) -> None:
    status(api, issuer.token())
    clock.forward(REFETCH_SECONDS)
    issuer.called.clear()

    for number in range(20):
        assert status(api, issuer.token(f"made-up-{number}", sign_as="rsa-1")) == 401

    assert issuer.called.count("/keys") == 1


def test_a_token_without_a_key_id_is_accepted_when_there_is_one_key(issuer: Issuer, clock: Clock) -> None:
    for spare in ("ec-1", "ed-1"):
        del issuer.keys[spare]
    with serving(create_app(Access(authenticator(issuer, clock)))) as api:
        assert status(api, issuer.token(kid=None)) == 200


def test_with_several_keys_a_token_must_name_its_own(api: httpx.Client, issuer: Issuer) -> None:
    assert status(api, issuer.token(kid=None)) == 401


def assert_away(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.json()["detail"] == "the issuer's keys cannot be fetched"
    assert int(response.headers["retry-after"]) > 0


def test_an_issuer_that_does_not_listen_is_a_503(issuer: Issuer, clock: Clock) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    unknown = OidcAuthenticator(oidc.Issuer(nowhere, AUDIENCE), clock)
    with serving(create_app(Access(unknown))) as api:
        assert_away(ask(api, issuer.token(iss=nowhere)))
        assert api.get("/healthz").status_code == 200


@pytest.mark.parametrize("body", [None, b"", b"[]", b"{}", b'{"keys": []}', b"<html>", b'{"keys": [{"kty": "XX"}]}'])
def test_an_issuer_that_responds_nonsense_is_a_503(api: httpx.Client, issuer: Issuer, body: bytes | None) -> None:
    issuer.away, issuer.body = body is None, body

    assert_away(ask(api, issuer.token()))


@pytest.mark.parametrize("name", ["https://evil.example", "http://127.0.0.1:1"])
def test_an_issuer_that_names_another_issuer_is_a_503(api: httpx.Client, issuer: Issuer, name: str) -> None:
    issuer.claims_to_be = name

    assert_away(ask(api, issuer.token()))


def test_keys_are_fetched_again_soon_after_a_failure(api: httpx.Client, issuer: Issuer, clock: Clock) -> None:
    issuer.away = True
    for _ in range(5):
        assert_away(ask(api, issuer.token()))
    assert len(issuer.called) == 1

    issuer.away = False
    clock.forward(REFETCH_SECONDS)

    assert status(api, issuer.token()) == 200


def test_cached_keys_outlast_an_outage_but_not_for_ever(api: httpx.Client, issuer: Issuer, clock: Clock) -> None:
    assert status(api, issuer.token()) == 200
    issuer.away = True

    clock.forward(FRESH_SECONDS + 1)
    assert status(api, issuer.token()) == 200
    clock.forward(STALE_SECONDS)
    assert_away(ask(api, issuer.token()))


def test_an_unknown_key_during_an_outage_is_a_503_and_not_a_401(
    api: httpx.Client, issuer: Issuer, clock: Clock
) -> None:
    assert status(api, issuer.token()) == 200
    issuer.keys["rsa-2"] = ("RS256", rsa_key())
    issuer.away = True
    clock.forward(REFETCH_SECONDS)

    assert_away(ask(api, issuer.token("rsa-2")))


def test_a_slow_issuer_does_not_delay_other_requests(issuer: Issuer, clock: Clock) -> None:
    issuer.answers.clear()
    with serving(create_app(Access(authenticator(issuer, clock)))) as api, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(status, api, issuer.token())
        eventually(lambda: issuer.called, what="a request to the issuer")
        with httpx.Client(base_url=api.base_url) as another:
            assert another.get("/healthz").status_code == 200
        assert not waiting.done()
        issuer.answers.set()
        assert waiting.result() == 200


class TestAHangingIssuer:
    """It takes requests and answers none, until the test lets it."""

    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # A caller that waits for the issuer waits for longer than these tests take.
        monkeypatch.setattr(issuer_keys, "FETCH_SECONDS", 100.0)

    def test_callers_with_known_keys_do_not_wait(self, api: httpx.Client, issuer: Issuer, clock: Clock) -> None:
        assert status(api, issuer.token()) == 200
        issuer.called.clear()
        issuer.answers.clear()
        clock.forward(FRESH_SECONDS)

        with ThreadPoolExecutor(1) as pool:
            for _ in range(5):
                assert pool.submit(status, api, issuer.token()).result(timeout=20) == 200
            eventually(lambda: issuer.called, what="the fetch in the background")
            issuer.answers.set()

        assert issuer.called.count("/.well-known/openid-configuration") == 1

    def test_callers_with_unknown_keys_wait_for_one_fetch_together(
        self, api: httpx.Client, issuer: Issuer, clock: Clock
    ) -> None:
        assert status(api, issuer.token()) == 200
        issuer.keys["rsa-2"] = ("RS256", rsa_key())
        issuer.called.clear()
        issuer.answers.clear()
        clock.forward(REFETCH_SECONDS)

        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(status, api, issuer.token("rsa-2")) for _ in range(6)]
            eventually(lambda: issuer.called, what="a request to the issuer")
            assert pool.submit(status, api, issuer.token()).result(timeout=20) == 200
            assert not any(one.done() for one in waiting)
            issuer.answers.set()
            assert {one.result() for one in waiting} == {200}

        assert issuer.called.count("/keys") == 1

    def test_a_caller_with_an_unknown_key_waits_for_a_bounded_time(
        self, api: httpx.Client, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert status(api, issuer.token()) == 200
        monkeypatch.setattr(issuer_keys, "FETCH_SECONDS", 0.2)
        issuer.answers.clear()
        clock.forward(REFETCH_SECONDS)

        assert_away(ask(api, issuer.token("made-up", sign_as="rsa-1")))

        issuer.answers.set()

    @pytest.mark.anyio
    async def test_a_caller_who_leaves_does_not_end_the_fetch_of_the_others(self, issuer: Issuer, clock: Clock) -> None:
        keys = IssuerKeys(issuer.url, None, clock)
        issuer.answers.clear()
        leaving, staying = (asyncio.create_task(keys.named("rsa-1")) for _ in range(2))
        while not issuer.called:
            await asyncio.sleep(0.01)

        leaving.cancel()
        issuer.answers.set()

        assert (await staying).key_id == "rsa-1"
        assert issuer.called.count("/keys") == 1
