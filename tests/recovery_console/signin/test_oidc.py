"""Signing in at an issuer: a link, a code with PKCE, and the issuer's token, which the APIs check themselves."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.recovery_console.fake_apis import RISK, FakeApis, Refusal
from tests.recovery_console.reading import Browser, opened
from tests.recovery_console.signin.issuer import ISSUER, FakeIssuer

pytestmark = pytest.mark.anyio

SETTINGS: dict[str, Any] = {
    "recovery_auth": "oidc",
    "recovery_oidc_issuer": ISSUER,
    "console_oidc_client_id": "console",
    "console_oidc_client_secret": "its-secret",
    "console_oidc_scope": "openid profile",
}


@pytest.fixture
def issuer(apis: FakeApis) -> FakeIssuer:
    apis.keys = {"token-1": "operator", "identity-1": "viewer"}
    return FakeIssuer(apis)


@pytest.fixture
async def visitor(issuer: FakeIssuer) -> AsyncIterator[Browser]:
    async with opened(issuer, **SETTINGS) as browser:
        yield browser


async def at_issuer(browser: Browser, path: str = "/sign-in/oidc") -> str:
    """Follow the link; return the address at the issuer."""
    answer = await browser.client.get(path)
    assert answer.status_code == 303
    return answer.headers["location"]


async def test_a_person_signs_in_by_a_link_and_comes_back_to_the_page(visitor: Browser, issuer: FakeIssuer) -> None:
    page = await visitor.open("/?level=HIGH")
    [link] = [one.attributes["href"] for one in page.all("a") if one.text == "Sign in at issuer.example.com"]
    address = await at_issuer(visitor, link)
    assert address.startswith(f"{ISSUER}/authorize?")
    assert "scope=openid+profile" in address or "scope=openid%20profile" in address

    back = await visitor.client.get(issuer.sign_in(address))

    assert (back.status_code, back.headers["location"]) == (303, "/?level=HIGH")
    assert (await visitor.open("/")).texts("h1") == ["Portfolio default"]
    assert issuer.apis.asked[-1].headers["authorization"] == "Bearer token-1"
    assert issuer.asked[0]["redirect_uri"] == "http://127.0.0.1:8003/sign-in/oidc/callback"
    assert issuer.authorization is not None


async def test_the_identity_token_is_sent_where_the_apis_accept_that_one(issuer: FakeIssuer) -> None:
    async with opened(issuer, **SETTINGS, console_oidc_sends="id_token") as browser:
        await browser.client.get(issuer.sign_in(await at_issuer(browser)))

        assert "viewer" in (await browser.open("/")).texts("span", class_="role")


async def test_a_state_that_is_not_ours_signs_no_one_in(visitor: Browser, issuer: FakeIssuer) -> None:
    back = issuer.sign_in(await at_issuer(visitor)).replace("state=", "state=x")

    page = await visitor.open(back)

    assert page.status == 422
    assert "did not sign you in" in page.texts("p", role="alert")[0]
    assert issuer.asked == []


async def test_a_callback_in_another_browser_signs_no_one_in(visitor: Browser, issuer: FakeIssuer) -> None:
    back = issuer.sign_in(await at_issuer(visitor))
    visitor.client.cookies.clear()

    page = await visitor.open(back)

    assert "begun in another browser" in page.texts("p", role="alert")[0]
    assert issuer.asked == []


async def test_a_code_serves_once(visitor: Browser, issuer: FakeIssuer) -> None:
    back = issuer.sign_in(await at_issuer(visitor))
    kept = dict(visitor.client.cookies)
    await visitor.client.get(back)
    visitor.client.cookies.update(kept)

    page = await visitor.open(back)

    assert "the code is spent" in page.texts("p", role="alert")[0]


async def test_an_issuer_that_refuses_says_why(visitor: Browser) -> None:
    await at_issuer(visitor)

    page = await visitor.open("/sign-in/oidc/callback?error=access_denied&error_description=not+yours&state=x")

    assert "issuer.example.com did not sign you in" in page.texts("p", role="alert")[0]


async def test_an_issuer_that_does_not_answer_is_named(visitor: Browser, issuer: FakeIssuer) -> None:
    issuer.away = True

    page = await visitor.open("/sign-in/oidc")

    assert page.texts("p", role="alert") == ["issuer.example.com does not answer."]


async def test_an_issuer_under_another_name_is_not_believed(visitor: Browser, issuer: FakeIssuer) -> None:
    issuer.claims_to_be = "https://other.example.com"

    page = await visitor.open("/sign-in/oidc")

    assert "names another issuer" in page.texts("p", role="alert")[0]


async def test_a_token_that_an_api_refuses_signs_no_one_in(visitor: Browser, issuer: FakeIssuer) -> None:
    issuer.apis.refusing[RISK] = Refusal(401)

    page = await visitor.open(issuer.sign_in(await at_issuer(visitor)))

    assert page.status == 403
    assert "The risk service refused this key" in page.texts("p", role="alert")[0]


async def test_a_token_that_has_had_its_time_is_replaced_on_the_way_to_the_page(
    visitor: Browser, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recovery_console.sessions.RENEW_AFTER_SECONDS", 0.0)
    await visitor.client.get(issuer.sign_in(await at_issuer(visitor)))
    issuer.apis.refusing[RISK] = Refusal(401, "the token has expired")

    page = await visitor.client.get("/?level=HIGH")
    part = await visitor.client.get("/operations/live", headers={"HX-Request": "true", "HX-Current-URL": "/operations"})
    sent = await visitor.client.post("/policies", data={"document": "{}"})

    assert page.headers["location"] == "/sign-in/oidc?next=/%3Flevel%3DHIGH"
    assert part.headers["hx-redirect"] == "/sign-in/oidc?next=/operations"
    assert sent.headers["location"].startswith("/sign-in?next=/"), "a form must not lead to another site"

    issuer.apis.refusing.clear()
    back = await visitor.client.get(issuer.sign_in(await at_issuer(visitor, page.headers["location"])))
    assert back.headers["location"] == "/?level=HIGH"


async def test_a_new_token_that_is_refused_leads_to_the_sign_in_and_not_round_in_circles(
    visitor: Browser, issuer: FakeIssuer
) -> None:
    await visitor.client.get(issuer.sign_in(await at_issuer(visitor)))
    issuer.apis.refusing[RISK] = Refusal(401, "the token is of another client")

    page = await visitor.open("/")

    assert page.texts("p", role="alert") == ["The risk service no longer accepts your sign-in. Please sign in again."]
