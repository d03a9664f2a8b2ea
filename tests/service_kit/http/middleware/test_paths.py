"""Paths are normalized, and what is not UTF-8 is rejected."""

import httpx
import pytest
from tests.service_kit.http.responses import assert_problem, raw


@pytest.mark.parametrize("path", ["/demo/items/5", "/demo/items/5/", "/demo/items/5//"])
def test_a_path_works_with_and_without_a_trailing_slash(demo: httpx.Client, path: str) -> None:
    response = demo.get(path)

    assert response.status_code == 200
    assert response.json()["id"] == 5


def test_head_is_get_without_a_body(demo: httpx.Client) -> None:
    head, get = demo.head("/demo/items/5/"), demo.get("/demo/items/5")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    "target", ["/demo/items/5?search=%ff", "/demo/items/%ff", "/demo/items/5?search=%00", "/%ED%A0%80"]
)
def test_a_path_or_query_that_is_not_text_is_rejected(demo: httpx.Client, target: str) -> None:
    assert_problem(demo.get(target), 400)


def test_raw_bytes_in_a_path_are_rejected(demo: httpx.Client) -> None:
    response = raw(demo, b"GET /demo/items/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert response.startswith(b"HTTP/1.1 400 ")
