"""A proxy before a local SQS that answers as AWS, or something between us and AWS, does where moto does not.

What it does is set by its fields at any time, and counts for the next request.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

JSON = "application/x-amz-json-1.0"


@dataclass(frozen=True)
class Fault:
    """An answer of its own: an error of SQS with its code, or a web page where `page` is set."""

    code: str = ""
    status: int = 400
    page: bool = False


@dataclass
class FaultySqs:
    """Where it answers, and how. Actions are named as SQS names them; `*` is every action."""

    url: str
    faults: dict[str, Fault] = field(default_factory=dict)
    refused_entries: dict[str, str] = field(default_factory=dict)
    """Codes with which a SendMessageBatch is refused, entry by entry and as a fault of the sender. Each is named by a
    text that all entries of the batch contain."""
    max_attributes: int | None = None
    """The most message attributes that it takes, as SQS does and moto does not; more refuse the whole request."""
    dropped: set[str] = field(default_factory=set)
    """Attributes of queues that it does not know."""
    lenient: set[str] = field(default_factory=set)
    """Actions of which it refuses nothing and does nothing."""
    seen: list[str] = field(default_factory=list)


@contextmanager
def faulty_sqs(upstream: str) -> Iterator[FaultySqs]:
    """Run the proxy for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            proxy.seen.append(action)
            answer = _own_answer(proxy, action, body) or _forwarded(upstream, self.path, self.headers.items(), body)
            status, content_type, out, headers = _without_dropped(proxy, action, answer)
            self.send_response(status)
            for name, value in {"Content-Type": content_type, "Content-Length": str(len(out)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy = FaultySqs(f"http://127.0.0.1:{server.server_port}")
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


Answer = tuple[int, str, bytes, dict[str, str]]


def _own_answer(proxy: FaultySqs, action: str, body: bytes) -> Answer | None:
    fault = proxy.faults.get(action) or proxy.faults.get("*")
    if fault is not None and fault.page:
        return fault.status, "text/html", b"<html><body><h1>from a proxy</h1></body></html>", {}
    if fault is not None:
        return _error(fault.status, fault.code)
    if action in proxy.lenient:
        return 200, JSON, b"{}", {}
    entries = json.loads(body).get("Entries", [])
    most = max((len(entry.get("MessageAttributes", {})) for entry in entries), default=0)
    if action == "SendMessageBatch" and proxy.max_attributes is not None and most > proxy.max_attributes:
        return _error(400, "InvalidParameterValue")
    for text, code in proxy.refused_entries.items():
        if action == "SendMessageBatch" and entries and all(text in json.dumps(entry) for entry in entries):
            failed = [{"Id": entry["Id"], "SenderFault": True, "Code": code} for entry in entries]
            return 200, JSON, json.dumps({"Successful": [], "Failed": failed}).encode(), {}
    return None


def _error(status: int, code: str) -> Answer:
    # The error's type is the shape of the protocol; the code that clients know stands in the header.
    out = json.dumps({"__type": f"com.amazonaws.sqs#{code.rpartition('.')[2]}", "message": "as asked"}).encode()
    return status, JSON, out, {"x-amzn-query-error": f"{code};Sender"}


def _forwarded(upstream: str, path: str, headers: Any, body: bytes) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=60)
    own = ("content-length", "connection", "host")
    connection.request("POST", path, body, {name: value for name, value in headers if name.lower() not in own})
    response = connection.getresponse()
    kept = {name: value for name, value in response.getheaders() if name.lower() == "x-amzn-query-error"}
    answer = (response.status, response.getheader("Content-Type", JSON), response.read(), kept)
    connection.close()
    return answer


def _without_dropped(proxy: FaultySqs, action: str, answer: Answer) -> Answer:
    status, content_type, out, headers = answer
    if status == 200 and action == "GetQueueAttributes" and proxy.dropped:
        said = json.loads(out)
        said["Attributes"] = {k: v for k, v in said.get("Attributes", {}).items() if k not in proxy.dropped}
        out = json.dumps(said).encode()
    return status, content_type, out, headers
