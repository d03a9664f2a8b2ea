"""Whatever is wrong with a request's body, headers or path, the response is a 4xx problem, and nothing is written."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor, row_counts
from tests.risk_assessment.responses import created, fields_of, problem_of

JSON = {"Content-Type": "application/json"}


def names(response: httpx.Response, *statuses: int) -> set[str]:
    """The fields a refusal names, without the positions inside of them."""
    return {field.split(".")[0] for field in fields_of(response, *statuses)}


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


BODIES: list[tuple[str, bytes, int]] = [
    ("nothing", b"", 422),
    ("a list", b"[1]", 422),
    ("null", b"null", 422),
    ("a text", b'"debtor"', 422),
    ("a number", b"1", 422),
    ("a truth", b"true", 422),
    ("not JSON", b"name=Alex", 400),
    ("half of it", json.dumps(a_debtor()).encode()[:-1], 400),
    ("two of them", json.dumps(a_debtor()).encode() * 2, 400),
    ("a comment", b"// debtor\n{}", 400),
    ("NaN", json.dumps(a_debtor(total_debt_amount=float("nan"))).encode(), 400),
    ("Infinity", json.dumps(a_debtor(total_debt_amount=float("inf"))).encode(), 400),
    ("-Infinity", json.dumps(a_debtor(monthly_income=float("-inf"))).encode(), 400),
    ("a number without end", b'{"total_debt_amount": 1' + b"0" * 5_000 + b"}", 400),
    ("an exponent without end", b'{"total_debt_amount": 1e999999999}', 400),
    ("a lone surrogate", json.dumps(a_debtor(name="\ud800")).encode(), 400),
    ("not UTF-8", json.dumps(a_debtor()).encode().replace(b"Alex", b"\xff\xfe"), 400),
    ("UTF-16", json.dumps(a_debtor()).encode("utf-16"), 400),
    ("a byte order mark", b"\xef\xbb\xbf" + json.dumps(a_debtor()).encode(), 400),
    ("NUL", json.dumps(a_debtor(name="A\u0000B")).encode(), 422),
    ("NUL in a name", json.dumps(a_debtor() | {"a\u0000": 1}).encode(), 422),
    ("a little deep", nested(150), 422),
    ("deep", nested(300), 422),
    ("very deep", nested(1_000), 400),
    ("bottomless", nested(100_000), 400),
    ("deep lists", b'{"name":' + b"[" * 500 + b"]" * 500 + b"}", 422),
    ("a huge name", json.dumps(a_debtor(name="x" * 1_900_000)).encode(), 422),
    ("ten megabytes", json.dumps(a_debtor(name="x" * 10_000_000)).encode(), 413),
]


@pytest.mark.parametrize("path", ["/debtors", "/scores", "/scoring-jobs", "/runs"])
def test_a_body_that_cannot_be_read_is_refused(api: Api, path: str) -> None:
    before = row_counts(api.database)

    for what, body, status in BODIES:
        response = api.post(path, content=body, headers=JSON)
        problem_of(response, status, 400, 422)
        assert names(response), what
        if status not in (400, 422):
            assert response.status_code == status, what

    assert row_counts(api.database) == before


WRITING = [
    ("POST", "/debtors"),
    ("PUT", "/debtors/1"),
    ("PATCH", "/debtors/1"),
    ("POST", "/scores"),
    ("POST", "/scoring-jobs"),
    ("POST", "/runs"),
    ("POST", "/runs/x/cancel"),
]


@pytest.mark.parametrize(("method", "path"), WRITING)
@pytest.mark.usefixtures("nothing_written")
def test_a_nul_within_many_brackets_is_a_problem_on_every_writing_path(api: Api, method: str, path: str) -> None:
    for depth in (10, 250, 400, 1_000):
        body = b'{"name":' + b"[" * depth + b'"\\u0000"' + b"]" * depth + b"}"
        assert names(api.request(method, path, content=body, headers=JSON), 400, 422)


@pytest.mark.usefixtures("nothing_written")
def test_a_flood_of_unknown_names_is_refused_in_few_words_while_health_responds(api: Api) -> None:
    flood = json.dumps({f"n{number}": 1 for number in range(150_000)}, separators=(",", ":")).encode()
    assert 1_500_000 < len(flood) < 2 * 1024 * 1024

    with ThreadPoolExecutor(4) as pool:
        floods = [pool.submit(httpx.post, f"{api.url}/risk-service/debtors", content=flood, headers=JSON, timeout=60)]
        floods += [pool.submit(api.post, "/runs", content=flood, headers=JSON) for _ in range(3)]
        assert httpx.get(f"{api.url}/healthz", timeout=5).status_code == 200

        for one in floods:
            assert len(one.result().content) < 1_000
            assert fields_of(one.result(), 422) == ["body"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("nothing_written")
def test_only_plain_json_is_taken(api: Api, headers: dict[str, str]) -> None:
    body = json.dumps(a_debtor()).encode()
    for method, path in (("POST", "/debtors"), ("PUT", "/debtors/1"), ("PATCH", "/debtors/1"), ("POST", "/runs")):
        content = gzip.compress(body) if "Content-Encoding" in headers else body
        problem_of(api.request(method, path, content=content, headers=headers), 415)


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]
)
def test_json_by_its_other_names_is_taken(api: Api, portfolio: str, media_type: str) -> None:
    body = json.dumps(a_debtor(portfolio=portfolio))

    created(api.post("/debtors", content=body, headers={"Content-Type": media_type}))


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/debtors/%00", 422, "debtor_id"),
        ("/debtors/%00/score", 422, "debtor_id"),
        ("/runs/%00", 422, "run_id"),
        ("/runs/%FF", 400, "run_id"),
        ("/scoring-jobs/%C3%28", 400, "job_id"),
        ("/debtors?portfolio=%00", 422, "portfolio"),
    ],
)
def test_an_address_that_is_no_text_is_refused_by_name(api: Api, path: str, status: int, field: str) -> None:
    assert fields_of(api.get(path), status) == [field]


@pytest.mark.parametrize("key", [b"", b"a b", b"x" * 129, b"\xe9", b"a\tb"])
@pytest.mark.parametrize("path", ["/debtors", "/scoring-jobs", "/runs"])
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_idempotency_key_is_refused_by_name(api: Api, path: str, key: bytes) -> None:
    body = a_debtor() if path == "/debtors" else {}

    assert fields_of(api.post(path, json=body, headers={"Idempotency-Key": key}), 422) == ["Idempotency-Key"]


@pytest.mark.parametrize("path", ["/runs/{}", "/runs/{}/events", "/scoring-jobs/{}"])
@pytest.mark.parametrize("unknown", ["unknown", "00000000-0000-0000-0000-000000000000", "%F0%9F%99%82", "a" * 3_000])
def test_what_does_not_exist_is_not_found(api: Api, path: str, unknown: str) -> None:
    problem_of(api.get(path.format(unknown)), 404)
    if path == "/runs/{}":
        problem_of(api.post(f"/runs/{unknown}/cancel"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/debtors", {"GET", "POST"}),
        ("POST", "/debtors/1", {"GET", "PUT", "PATCH", "DELETE"}),
        ("DELETE", "/runs/x", {"GET"}),
        ("GET", "/scores", {"POST"}),
        ("GET", "/runs/x/cancel", {"POST"}),
    ],
)
def test_another_method_is_refused_with_those_there_are(api: Api, method: str, path: str, allowed: set[str]) -> None:
    response = api.request(method, path)

    problem_of(response, 405)
    assert allowed <= set(response.headers["allow"].split(", "))
