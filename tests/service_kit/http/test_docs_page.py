"""The page of the documentation: what it may load and run, and where it is not served."""

import re

import httpx
from tests.support.guarded_api import create_app
from tests.support.serving import serving

from service_kit.auth.access import Access


def test_the_page_may_run_its_own_script_and_no_other(api: httpx.Client) -> None:
    policy = api.get("/docs").headers["content-security-policy"]

    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/=]+'", directives["script-src"])
    assert directives["default-src"] == "'none'"
    assert directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"


def test_no_other_file_of_the_package_is_served(api: httpx.Client) -> None:
    for path in ("/docs/redoc.standalone.js", "/docs/../core.py", "/docs/%2e%2e/core.py"):
        assert api.get(path).status_code == 401


def test_documents_can_be_switched_off() -> None:
    with serving(create_app(Access(), docs=False)) as closed:
        paths = ("/docs", "/docs/swagger-ui.css", "/openapi.json")
        assert [closed.get(path).status_code for path in paths] == [404, 404, 404]
        assert set(closed.get("/").json()) == {"title", "version", "root"}
