"""The page of the documentation, and where it is not served."""

import httpx
from tests.support.guarded_api import create_app
from tests.support.serving import serving

from service_kit.auth.access import Access


def test_the_page_may_run_its_own_script_and_no_other(api: httpx.Client) -> None:
    policy = api.get("/docs").headers["content-security-policy"]

    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "'sha256-" in scripts
    assert "unsafe" not in scripts
    assert "frame-ancestors 'none'" in policy


def test_documents_can_be_switched_off() -> None:
    with serving(create_app(Access(), docs=False)) as closed:
        assert [closed.get(path).status_code for path in ("/docs", "/openapi.json")] == [404, 404]
        assert set(closed.get("/").json()) == {"title", "version", "root"}
