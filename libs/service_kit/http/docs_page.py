"""`/docs`: the API to try out in a browser. Callers paste their keys there, so nothing on it comes from another host.

The files of Swagger UI are those of an installed package, and the content policy allows no others.
"""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse

DOCS_PATH = "/docs"
SCRIPT_PATH = "/docs/swagger-ui-bundle.js"
STYLE_PATH = "/docs/swagger-ui.css"
DOCS_PATHS = (DOCS_PATH, SCRIPT_PATH, STYLE_PATH)

_FILES = files("fastapi_offline") / "static"
_CACHED = {"Cache-Control": "public, max-age=3600"}
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def add_docs(app: FastAPI, openapi_url: str) -> None:
    """Serve `GET /docs` and the files that it loads."""
    page = get_swagger_ui_html(
        openapi_url=openapi_url,
        title=app.title,
        swagger_js_url=SCRIPT_PATH,
        swagger_css_url=STYLE_PATH,
        swagger_favicon_url="data:,",
        # By default a badge of another host judges each document.
        swagger_ui_parameters={"validatorUrl": None},
    )
    headers = {"Content-Security-Policy": _policy(bytes(page.body))}

    async def show() -> Response:
        return Response(page.body, headers=headers, media_type="text/html")

    app.add_api_route(DOCS_PATH, show, include_in_schema=False)
    for path in (SCRIPT_PATH, STYLE_PATH):
        app.add_api_route(path, _file(path.rpartition("/")[2]), include_in_schema=False)


def _file(name: str) -> Callable[[], Awaitable[Response]]:
    async def show() -> Response:
        return FileResponse(str(_FILES / name), headers=_CACHED)

    return show


def _policy(page: bytes) -> str:
    scripts = " ".join(f"'sha256-{_digest(script)}'" for script in _INLINE_SCRIPT.findall(page))
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()
