"""Strict content policy on every answer; foreign hosts and foreign origins are refused on every path."""

import re
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from tests.recovery_console.fake_apis import FakeApis
from tests.recovery_console.reading import Browser, opened
from tests.recovery_console.run_builders import RUN_ID

import recovery_console
from recovery_console.app import create_app
from recovery_console.security import is_own_name
from recovery_console.settings import Settings

pytestmark = pytest.mark.anyio

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PATHS = ("/", "/sign-in", "/healthz", "/readyz", "/metrics", "/status", "/static/console.css", "/nowhere")
TEMPLATES = sorted(Path(recovery_console.__file__).parent.rglob("templates/*.html"))


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_policy(browser: Browser, path: str) -> None:
    answer = await browser.client.get(path)

    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", PATHS)
async def test_a_foreign_host_is_refused_on_every_path(browser: Browser, path: str) -> None:
    answer = await browser.client.get(path, headers={"Host": "console.example.com"})

    assert answer.status_code == 421
    assert "Debtor" not in answer.text


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://127.0.0.1:9999"])
async def test_a_foreign_origin_is_refused(browser: Browser, apis: FakeApis, origin: str) -> None:
    answer = await browser.client.post("/sign-out", headers={"Origin": origin})

    assert answer.status_code == 403
    assert apis.asked == []


async def test_our_own_origin_passes(browser: Browser) -> None:
    answer = await browser.client.post("/sign-out", headers={"Origin": "http://127.0.0.1:8003"})

    assert answer.status_code == httpx.codes.SEE_OTHER


async def test_the_public_name_is_our_own_too(apis: FakeApis) -> None:
    async with opened(apis, console_public_url="https://console.example.com") as browser:
        host = {"Host": "console.example.com"}

        assert (await browser.client.get("/", headers=host)).status_code == 200
        assert (await browser.client.get("/", headers={"Host": "other.example.com"})).status_code == 421
        own = host | {"Origin": "https://console.example.com"}
        assert (await browser.client.post("/sign-out", headers=own)).status_code == httpx.codes.SEE_OTHER


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/%6detrics", "/metrics?a=b"])
async def test_metrics_are_for_those_who_ask_the_process_by_its_own_address(apis: FakeApis, path: str) -> None:
    async with opened(apis, console_public_url="https://console.example.com") as browser:
        outside = await browser.client.get(path, headers={"Host": "console.example.com"})
        inside = await browser.client.get(path, headers={"Host": "10.0.0.7:8003"})

    assert (outside.status_code, "python_info" in outside.text) == (404, False)
    assert (inside.status_code, "python_info" in inside.text) == (200, True)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8003", True),
        ("[::1]:8003", True),
        ("localhost", True),
        ("console", True),
        ("10.0.0.7:8003", True),
        ("console.localhost:8003", True),
        ("127.0.0.1.example.com", False),
        ("example.com", False),
        ("", False),
        ("a,b", False),
    ],
)
def test_names_of_this_machine_have_no_dots(host: str, own: bool) -> None:
    assert is_own_name(host) is own


async def test_a_form_that_is_too_large_or_has_no_length_is_refused(browser: Browser) -> None:
    async def endless():  # type: ignore[no-untyped-def]
        yield b"key="

    assert (
        await browser.client.post("/sign-in", content=b"", headers={"Content-Length": "99999999"})
    ).status_code == 413
    assert (await browser.client.post("/sign-in", content=endless())).status_code == 411


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parent.parent.name}/{path.name}")
def test_templates_have_nothing_inline_and_nothing_that_needs_eval(template: Path) -> None:
    text = template.read_text(encoding="utf-8")

    assert not re.search(r"\son[a-z]+=|\sstyle=|<style|hx-on|hx-live|js:|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r'hx-trigger="[^"]*\[', text), "a filter in brackets is evaluated"
    assert not re.search(r'(src|href|action)="(https?:)?//', text), "every address is our own"
    assert "|safe" not in text.replace(" ", "")


CHANGES = {
    "/runs": "operator",
    f"/runs/{RUN_ID}/cancel": "operator",
    "/debtors/7/holds": "operator",
    "/debtors/7/holds/h1/end": "operator",
    "/holds/import": "operator",
    "/holds/h1/end": "operator",
    "/operations/redrive": "operator",
    "/simulations": "operator",
    "/policies": "operator",
    "/policies/abc/activate": "approver",
}


def test_every_form_that_changes_something_is_known() -> None:
    app = create_app(Settings(_env_file=None))  # type: ignore[call-arg]
    every = [one for part in app.routes for one in getattr(part, "original_router", app).routes]
    routes = [route for route in every if isinstance(route, APIRoute) and "POST" in route.methods]
    posts = {route.path for route in routes if not route.path.startswith("/sign-")}

    assert len(posts) == len(CHANGES)
    assert all(any(route.path_regex.fullmatch(path) for route in routes) for path in CHANGES)


@pytest.mark.parametrize(("path", "role"), CHANGES.items())
async def test_a_plain_post_without_the_role_is_a_page_that_names_it(
    signed_in, apis: FakeApis, path: str, role: str
) -> None:  # type: ignore[no-untyped-def]
    viewer = await signed_in("viewer")

    page = await viewer.send(path, {"reason": "x"})

    assert (page.status, page.response.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert page.texts("p", role="alert") == [f"This needs the role {role}; you are viewer."]
    assert [one for one in apis.asked if one.method == "POST"] == []
