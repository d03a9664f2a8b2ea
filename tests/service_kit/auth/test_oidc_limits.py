"""What the settings may demand of a token beyond its signature: its age, its type, its client and its portfolios."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from tests.service_kit.auth.tokens import ask, authenticator, status
from tests.support.guarded_api import create_app
from tests.support.issuer import Issuer
from tests.support.moments import Clock
from tests.support.serving import serving

from service_kit.auth.access import Access
from service_kit.auth.oidc import LEEWAY_SECONDS

Build = Callable[..., httpx.Client]


@pytest.fixture
def demanding(issuer: Issuer, clock: Clock) -> Iterator[Build]:
    """Serve the guarded API, demanding of tokens what is given."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(serving(create_app(Access(authenticator(issuer, clock, **given)))))


def issued_ago(seconds: float) -> dict[str, int]:
    return {"iat": int(time.time() - seconds), "exp": int(time.time()) + 7_200}


class TestAge:
    def test_a_token_that_was_issued_too_long_ago_is_rejected(self, demanding: Build, issuer: Issuer) -> None:
        api = demanding(max_age_seconds=600)

        assert status(api, issuer.token(**issued_ago(300))) == 200
        assert status(api, issuer.token(**issued_ago(600 + LEEWAY_SECONDS + 60))) == 401

    def test_without_a_limit_a_token_is_good_until_it_expires(self, demanding: Build, issuer: Issuer) -> None:
        assert status(demanding(), issuer.token(**issued_ago(86_400))) == 200


class TestType:
    @pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", None])
    def test_a_token_that_names_a_caller_is_accepted(self, demanding: Build, issuer: Issuer, typ: str | None) -> None:
        assert status(demanding(), issuer.token(typ=typ)) == 200

    @pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "JOSE", "application/", "x"])
    def test_a_token_of_another_type_is_rejected(self, demanding: Build, issuer: Issuer, typ: str) -> None:
        assert status(demanding(), issuer.token(typ=typ)) == 401

    def test_one_type_can_be_demanded(self, demanding: Build, issuer: Issuer) -> None:
        api = demanding(token_type="at+jwt")

        assert status(api, issuer.token(typ="at+jwt")) == 200
        assert [status(api, issuer.token(typ=typ)) for typ in ("JWT", None)] == [401, 401]


class TestClient:
    @pytest.mark.parametrize(
        "claims", [{"azp": "console"}, {"client_id": "console"}, {"azp": "console", "client_id": "jobs"}], ids=str
    )
    def test_a_token_of_an_accepted_client_is_accepted(
        self, demanding: Build, issuer: Issuer, claims: dict[str, Any]
    ) -> None:
        assert status(demanding(clients=frozenset({"console", "jobs"})), issuer.token(**claims)) == 200

    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"azp": "other"},
            {"client_id": "other"},
            {"azp": "console", "client_id": "other"},
            {"azp": ["console"]},
            {"azp": ""},
        ],
        ids=str,
    )
    def test_a_token_of_another_client_or_of_none_is_rejected(
        self, demanding: Build, issuer: Issuer, claims: dict[str, Any]
    ) -> None:
        assert status(demanding(clients=frozenset({"console"})), issuer.token(**claims)) == 401

    def test_without_a_list_every_client_is_accepted(self, demanding: Build, issuer: Issuer) -> None:
        assert status(demanding(), issuer.token(azp="other")) == 200


class TestPortfolios:
    """The guarded API's route is about one portfolio and shows those that its caller is bound to."""

    @pytest.mark.parametrize("claimed", [["acme", "bolt"], "acme bolt", ["acme", 7, "bolt", None]], ids=str)
    def test_a_token_is_for_the_portfolios_that_its_claim_names(
        self, demanding: Build, issuer: Issuer, claimed: object
    ) -> None:
        response = ask(demanding(portfolio_claim="books"), issuer.token(books=claimed))

        assert response.headers["x-portfolios"] == "acme,bolt"

    @pytest.mark.parametrize("claimed", ["*", ["*"], ["acme", "*"]], ids=str)
    def test_a_token_for_all_portfolios_says_so(self, demanding: Build, issuer: Issuer, claimed: object) -> None:
        response = ask(demanding(portfolio_claim="books"), issuer.token(books=claimed))

        assert response.headers["x-portfolios"] == "all"

    @pytest.mark.parametrize("claimed", [None, [], "", {"acme": True}, 7, [["acme"]]], ids=str)
    def test_a_token_that_names_no_portfolio_opens_nothing(
        self, demanding: Build, issuer: Issuer, claimed: object
    ) -> None:
        response = ask(demanding(portfolio_claim="books"), issuer.token(books=claimed, roles=["admin"]))

        assert (response.status_code, response.json()["detail"]) == (403, "your token names no portfolio")

    def test_the_claim_may_be_inside_an_object(self, demanding: Build, issuer: Issuer) -> None:
        response = ask(demanding(portfolio_claim="app.books"), issuer.token(app={"books": ["acme"]}))

        assert response.headers["x-portfolios"] == "acme"

    def test_without_the_setting_a_claim_binds_nothing(self, demanding: Build, issuer: Issuer) -> None:
        assert ask(demanding(), issuer.token(portfolios=["acme"])).headers["x-portfolios"] == "all"
