"""What protects the pages: one strict content policy, and the refusal of foreign hosts and foreign origins.

Browsers send the console's cookies with every request to it, whichever page asks. So a request that comes from another
site, or under another name, is refused on every path before anything reads it.
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAX_BODY_BYTES = 16 * 1024 * 1024
METRICS_PATH = "/metrics"
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    # Under `no-referrer` a browser sends `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


class Security:
    """Refuses requests of other sites, and sends the content policy with every response.

    `public_url` is the address in people's browsers, if it is not one of this machine's own names.
    """

    def __init__(self, app: ASGIApp, public_url: str | None = None) -> None:
        self._app = app
        self._public = urlsplit(public_url).netloc.lower() if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(Headers(scope=scope), scope["path"])
        if refusal is not None:
            status, text = refusal
            await PlainTextResponse(f"{text}\n", status)(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _refusal(self, headers: Headers, path: str) -> tuple[int, str] | None:
        host = ",".join(headers.getlist("host")).lower()
        if host != self._public and not is_own_name(host):
            return 421, "The console does not answer under this name; CONSOLE_PUBLIC_URL sets the one it has."
        # Prometheus asks a process by its own address; under the name that is for browsers, anyone may ask.
        if path.rstrip("/") == METRICS_PATH and not is_own_name(host):
            return 404, "There is nothing here."
        if "transfer-encoding" in headers:  # browsers never send forms so, and nothing would bound it
            return 411, "The console needs the length of a form."
        if int(headers.get("content-length") or 0) > MAX_BODY_BYTES:
            return 413, f"The form is over {MAX_BODY_BYTES} bytes."
        origins = headers.getlist("origin")
        own = {host, self._public}
        if any(urlsplit(origin).netloc.lower() not in own for origin in origins):
            return 403, "Another site must not ask the console for anything."
        return None


def is_own_name(host: str) -> bool:
    """Return whether a `Host` names this machine: an address, or a name without a dot.

    A name with dots could be one that an attacker makes point here (DNS rebinding).
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found["name"].strip("[]").lower()
    return "." not in name.removesuffix(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
