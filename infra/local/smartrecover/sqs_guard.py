"""The door of the local SQS: only SQS clients of this machine get through, because browsers reach loopback ports too.

A web page may send forms and plain text to any port here without asking, and could empty a queue. It can never send the
header that the JSON protocol of SQS needs without asking first, so every request must have it. The older Query protocol
is a form, and is refused. As a program of its own it needs moto alone: the compose file runs it in moto's image.
"""

import argparse
import re
import signal
import sys
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
HEALTH_PATH = "/healthz"

_HOST = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::[0-9]+)?")
_TARGET = re.compile(r"AmazonSQS\.[A-Za-z]+")
_PATH = re.compile(r"/|/[0-9]+/[A-Za-z0-9_.-]+")


class SqsGuard:
    """Passes a request on to SQS, or answers it: 403 to browsers and under a foreign name, 404 to what is no SQS."""

    def __init__(self, sqs: "WSGIApplication", names: Collection[str] = ()) -> None:
        self._sqs = sqs
        self._names = LOOPBACK | {name.lower() for name in names}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        if self._is_from_a_page(environ):
            return _answer(start_response, "403 Forbidden", "this is no place for web pages")
        if not self._is_for_us(environ):
            return _answer(start_response, "403 Forbidden", "this SQS is not known under that host name")
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == HEALTH_PATH:
            return _answer(start_response, "200 OK", "alive")
        if not _is_sqs(environ):
            return _answer(start_response, "404 Not Found", "only the JSON protocol of SQS is spoken here")
        return self._sqs(environ, start_response)

    def _is_from_a_page(self, environ: "WSGIEnvironment") -> bool:
        # "none" is a person who typed the address: no page can cause that.
        return "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none"

    def _is_for_us(self, environ: "WSGIEnvironment") -> bool:
        # A page of evil.example whose name resolves to 127.0.0.1 has our address as its own origin, but not our name.
        host = _HOST.fullmatch(environ.get("HTTP_HOST", "").lower())
        return host is not None and host[1] in self._names


def serve(host: str, port: int, names: Collection[str] = ()) -> None:
    """Serve SQS behind the guard until a signal ends the process. `names` are its host names besides loopback."""
    # As the first process of a container it would ignore a signal that it does not handle.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    # The app of SQS by itself: moto's dispatcher would serve its other services, and its own pages, as well.
    sqs = create_backend_app("sqs")
    run_simple(host, port, SqsGuard(sqs, names), threaded=True, request_handler=MotoRequestHandler)


def read_arguments() -> dict[str, Any]:
    """Return the arguments of `serve` from the command line."""
    parser = argparse.ArgumentParser(description="A local SQS that web pages cannot reach.")
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen on")
    parser.add_argument("--port", type=int, default=9324)
    parser.add_argument("--name", action="append", default=[], dest="names", help="A further host name of this SQS")
    return vars(parser.parse_args())


def _is_sqs(environ: "WSGIEnvironment") -> bool:
    return (
        environ["REQUEST_METHOD"] == "POST"
        and _PATH.fullmatch(environ["PATH_INFO"]) is not None
        and _TARGET.fullmatch(environ.get("HTTP_X_AMZ_TARGET", "")) is not None
    )


def _answer(start_response: "StartResponse", status: str, text: str) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]


if __name__ == "__main__":
    serve(**read_arguments())
