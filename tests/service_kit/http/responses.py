"""What tests read out of responses, sockets and logs."""

import json
import socket
from pathlib import Path
from typing import Any

import httpx
from tests.support.processes import eventually

JSON = {"Content-Type": "application/json"}


def logged(log: Path, request_id: str, event: str = "http.request") -> dict[str, Any]:
    """Return the one line of this event and request, once it has been written."""

    def find() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event and line.get("request_id") == request_id]

    [line] = eventually(find, what=f"{event} of {request_id}")
    return line


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["instance"] == f"urn:request:{response.headers['x-request-id']}"
    return problem


def fields(problem: dict[str, Any]) -> list[str]:
    return [error["field"] for error in problem["errors"]]


def raw(api: httpx.Client, request: bytes) -> bytes:
    """Send bytes that no client library would, and return the response until the server closes the connection."""
    with socket.create_connection((api.base_url.host, api.base_url.port), timeout=10) as connection:
        connection.sendall(request)
        chunks = []
        while chunk := connection.recv(65_536):
            chunks.append(chunk)
    return b"".join(chunks)
