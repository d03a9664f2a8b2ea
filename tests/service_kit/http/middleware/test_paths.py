"""Paths are normalized, and what is not UTF-8 is rejected."""

import httpx
import pytest
from tests.service_kit.http.responses import assert_problem, fields, raw


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
    ("target", "status", "field"),
    [
        ("/demo/items/5?search=%ff", 400, "search"),
        ("/demo/items/5?limit=3&search=a%00b", 422, "search"),
        ("/demo/items/5?limit=%00", 422, "limit"),
        ("/demo/items/5?sea%00rch=1", 422, "(no field)"),
        ("/demo/items/%ff", 400, "item_id"),
        ("/demo/items/%00", 422, "item_id"),
        ("/demo/nowhere/%00", 422, "path"),
        ("/%ED%A0%80", 400, "path"),
    ],
)
def test_a_path_or_query_that_is_not_text_is_rejected_by_name(
    demo: httpx.Client, target: str, status: int, field: str
) -> None:
    assert fields(assert_problem(demo.get(target), status)) == [field]


def test_every_parameter_that_is_not_text_is_named_once(demo: httpx.Client) -> None:
    problem = assert_problem(demo.get("/demo/items/5?search=%00&limit=1&search=%00&other=%2500&x=%00"), 422)

    assert fields(problem) == ["search", "x"]


def test_raw_bytes_in_a_path_are_rejected(demo: httpx.Client) -> None:
    response = raw(demo, b"GET /demo/items/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert response.startswith(b"HTTP/1.1 400 ")
