"""`/docs`: the API to try out in a browser, under a content policy that allows only this page's own parts."""

import base64
import hashlib
import re

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html

DOCS_PATH = "/docs"

_PARTS = "https://cdn.jsdelivr.net"
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def add_docs(app: FastAPI, openapi_url: str) -> None:
    """Serve `GET /docs`."""
    page = get_swagger_ui_html(openapi_url=openapi_url, title=app.title, swagger_favicon_url="data:,")
    headers = {"Content-Security-Policy": _policy(bytes(page.body))}

    async def show() -> Response:
        return Response(page.body, headers=headers, media_type="text/html")

    app.add_api_route(DOCS_PATH, show, include_in_schema=False)


def _policy(page: bytes) -> str:
    scripts = " ".join(f"'sha256-{_digest(script)}'" for script in _INLINE_SCRIPT.findall(page))
    return (
        f"default-src 'none'; script-src {_PARTS} {scripts}; style-src {_PARTS} 'unsafe-inline'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()
