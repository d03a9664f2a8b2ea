"""Signing in by key: the browser keeps it sealed, both services must know it, and a refusal names the service."""

import pytest
from tests.recovery_console.fake_apis import DEBT, RISK, FakeApis, Refusal
from tests.recovery_console.reading import opened

pytestmark = pytest.mark.anyio


async def test_a_page_leads_to_the_sign_in_and_from_there_back(apis: FakeApis) -> None:
    apis.keys = {"srk_viewer": "viewer"}
    async with opened(apis, recovery_auth="keys") as browser:
        page = await browser.open("/?level=HIGH")
        assert page.texts("label") == ["API key"]
        [next_page] = [one.attributes["value"] for one in page.all("input", name="next")]

        answer = await browser.send("/sign-in", {"key": "srk_viewer", "next": next_page})

        assert (answer.status, answer.response.headers["location"]) == (303, "/?level=HIGH")
        assert (await browser.open("/")).texts("h1") == ["Portfolio default"]
        assert {one.headers["authorization"] for one in apis.asked} == {"Bearer srk_viewer"}


async def test_the_key_is_in_no_page_and_no_readable_cookie(signed_in, apis: FakeApis) -> None:  # type: ignore[no-untyped-def]
    browser = await signed_in("operator")
    page = await browser.open("/")

    assert "srk_operator" not in page.response.text
    assert all("srk_operator" not in (cookie.value or "") for cookie in browser.client.cookies.jar)
    assert "operator" in page.texts("span", class_="role")


@pytest.mark.parametrize(
    ("refusing", "text"),
    [
        ((RISK, DEBT), "Both services refused"),
        ((RISK,), "The risk service refused this key; the debt service accepts it."),
        ((DEBT,), "The debt service refused this key; the risk service accepts it."),
    ],
)
async def test_a_refusal_says_which_service_refused(apis: FakeApis, refusing: tuple[str, ...], text: str) -> None:
    apis.refusing = {service: Refusal(401) for service in refusing}
    async with opened(apis, recovery_auth="keys") as browser:
        page = await browser.send("/sign-in", {"key": "srk_x"})

    assert page.status == 403
    assert text in page.texts("p", role="alert")[0]
    assert not page.response.headers.get_list("set-cookie")


async def test_a_service_that_does_not_answer_is_named(apis: FakeApis) -> None:
    apis.away.add(DEBT)
    async with opened(apis, recovery_auth="keys") as browser:
        page = await browser.send("/sign-in", {"key": "srk_x"})

    assert page.status == 503
    assert "The debt service does not answer" in page.texts("p", role="alert")[0]


@pytest.mark.parametrize("key", ["", "two words", "kéy", "x" * 9_000])
async def test_what_cannot_be_a_key_is_not_sent_anywhere(apis: FakeApis, key: str) -> None:
    async with opened(apis, recovery_auth="keys") as browser:
        page = await browser.send("/sign-in", {"key": key})

    assert page.status == 422
    assert apis.asked == []


@pytest.mark.parametrize("next_page", ["https://example.com", "//example.com", "/\\example.com", "javascript:1", ""])
async def test_the_sign_in_leads_to_no_other_site(apis: FakeApis, next_page: str) -> None:
    async with opened(apis, recovery_auth="keys") as browser:
        answer = await browser.send("/sign-in", {"key": "srk_x", "next": next_page})

    assert answer.response.headers["location"] == "/"


async def test_sign_out_stands_on_every_page_and_forgets_the_person(signed_in) -> None:  # type: ignore[no-untyped-def]
    browser = await signed_in("viewer")
    for path in ("/", "/nowhere"):
        assert "Sign out" in (await browser.open(path)).texts("button")

    await browser.send("/sign-out")

    assert (await browser.open("/")).texts("h1") == ["Sign in"]


async def test_a_key_that_was_revoked_leads_back_to_the_sign_in(signed_in, apis: FakeApis) -> None:  # type: ignore[no-untyped-def]
    browser = await signed_in("viewer")
    apis.keys = {}

    page = await browser.open("/")

    assert page.texts("h1") == ["Sign in"]
    assert "The risk service no longer accepts your sign-in" in page.texts("p", role="alert")[0]


async def test_a_fragment_leads_the_whole_page_to_the_sign_in(apis: FakeApis) -> None:
    async with opened(apis, recovery_auth="keys") as browser:
        page = await browser.open("/", hx_request="true", hx_current_url="http://127.0.0.1:8003/?level=HIGH")

    assert page.status == 401
    assert page.response.headers["hx-redirect"] == "/sign-in?next=/%3Flevel%3DHIGH"
