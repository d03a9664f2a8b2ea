"""Whatever is wrong with a request, the answer is a 4xx problem that names it, and nothing is written."""

import gzip
import json
from typing import Any

import httpx
import pytest
from tests.risk_assessment.answers import created, fields_of, problem_of, shown
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor, a_profile, row_counts

JSON = {"Content-Type": "application/json"}

BAD_MONEY = [
    -1,
    -0.01,
    "-5",
    "1.234",
    1.234,
    0.001,
    "abc",
    "",
    " 5",
    "5 ",
    "1e3",
    "+5",
    "1_000",
    "1,000.00",
    "٣",
    "0x10",
]
BAD_MONEY += [
    "NaN",
    "Infinity",
    "10000000000.00",
    10_000_000_000,
    2**63,
    1e300,
    "9" * 5_000,
    True,
    None,
    [],
    {},
    [5],
    {"a": 1},
]
BAD_COUNTS = [-1, 1.5, "1", 100_001, 2**63, 2**64, -(2**63) - 1, 1e30, True, False, None, [], {}]
BAD_CATEGORIES = ["PIRATE", "", "employed", " EMPLOYED", "EMPLOYED\n", 5, 0, True, None, [], {}, ["EMPLOYED"]]
BAD_LINES = ["", "   ", "\t", "a\nb", "a\u0001b", "a\u007fb", "\u2003", 5, True, [], {}]

BAD_FIELDS: list[tuple[str, Any]] = [
    *(("total_debt_amount", value) for value in [*BAD_MONEY, 0, "0.00", 0.0]),
    *(("monthly_income", value) for value in BAD_MONEY),
    *(("late_payments_count", value) for value in BAD_COUNTS),
    *(("employment_status", value) for value in BAD_CATEGORIES),
    *(("contract_type", value) for value in ["EMPLOYED", None, 1]),
    *(("industry_sector", value) for value in ["EMPLOYED", None, 1]),
    *(("family_situation", value) for value in ["COMPLICATED", 1, ""]),
    *(("payment_status", value) for value in ["MAYBE", None, 1]),
    *(("name", value) for value in [*BAD_LINES, None, "x" * 201, "\u0000"]),
    *(("external_ref", value) for value in [*BAD_LINES, "x" * 129, " a", "a ", "a\u00a0"]),
    *(("portfolio", value) for value in [*BAD_LINES, None, "x" * 65, "a b", "é", "-a", "a/b", "a\n"]),
    ("surprise", 1),
    ("", 1),
    ("Name", "Alex"),
]


def named(value: tuple[str, Any]) -> str:
    return f"{value[0]}={str(value[1])[:20]!r}"


def names(answer: httpx.Response, *statuses: int) -> set[str]:
    """The fields a refusal names, without the positions inside of them."""
    return {field.split(".")[0] for field in fields_of(answer, *statuses)}


@pytest.mark.parametrize("field", sorted({field for field, _ in BAD_FIELDS}))
def test_a_bad_field_is_refused_by_name_wherever_it_is_sent(api: Api, portfolio: str, field: str) -> None:
    one = created(api.post("/debtors", json=a_debtor(portfolio=portfolio)))["id"]
    before = row_counts(api.database)

    for value in [value for name, value in BAD_FIELDS if name == field]:
        expected = {"body"} if value == "\u0000" else {field or "(no field)"}
        assert names(api.post("/debtors", json=a_debtor() | {field: value}), 422) == expected, value
        assert names(api.put(f"/debtors/{one}", json=a_debtor() | {field: value}), 422) == expected, value
        assert names(api.patch(f"/debtors/{one}", json={field: value}), 422) == expected, value

    assert row_counts(api.database) == before


@pytest.mark.parametrize("field", sorted(a_debtor()))
@pytest.mark.usefixtures("nothing_written")
def test_a_missing_field_is_refused_by_name(api: Api, field: str) -> None:
    body = a_debtor()
    del body[field]

    assert fields_of(api.post("/debtors", json=body), 422) == [field]


@pytest.mark.usefixtures("nothing_written")
def test_everything_wrong_is_told_at_once(api: Api) -> None:
    answer = api.post("/debtors", json={"name": "", "total_debt_amount": "-1"})

    assert names(answer, 422) == set(a_debtor())


def test_an_unknown_category_is_told_with_the_known_ones_and_never_repeated(api: Api) -> None:
    [error] = problem_of(api.post("/debtors", json=a_debtor(industry_sector="PIRACY-OF-ALEX")), 422)["errors"]

    assert "'GOVERNMENT'" in error["message"]
    assert "'ENTERTAINMENT'" in error["message"]
    assert "PIRACY" not in json.dumps(error)


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
        answer = api.post(path, content=body, headers=JSON)
        problem_of(answer, status, 400, 422)
        assert names(answer), what
        if status not in (400, 422):
            assert answer.status_code == status, what

    assert row_counts(api.database) == before


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


BAD_IDS = [
    "0",
    "-1",
    str(2**63),
    str(10**40),
    "abc",
    "1.5",
    "1e3",
    "0x1",
    "%C2%B2",
    "%F0%9F%99%82",
    "null",
    "9" * 5_000,
]


@pytest.mark.parametrize("debtor_id", BAD_IDS, ids=lambda text: text[:20])
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_id_is_refused_by_name(api: Api, debtor_id: str) -> None:
    path = f"/debtors/{debtor_id}"
    for answer in (
        api.get(path),
        api.put(path, json=a_debtor()),
        api.patch(path, json={}),
        api.delete(path),
        api.get(f"{path}/score"),
        api.get(f"{path}/assessments"),
    ):
        assert fields_of(answer, 422) == ["debtor_id"]


@pytest.mark.parametrize(
    "path", ["/debtors/%00", "/runs/%00", "/runs/%FF", "/scoring-jobs/%C3%28", "/debtors?portfolio=%00"]
)
def test_an_address_that_is_no_text_is_refused(api: Api, path: str) -> None:
    problem_of(api.get(path), 400)


@pytest.mark.parametrize("if_match", ["1", '"abc"', '"-1"', '"1", "2"', '""', 'w/"1"', f'"{"1" * 30}"', "**"])
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_if_match_is_refused_by_name(api: Api, if_match: str) -> None:
    headers = {"If-Match": if_match}
    for answer in (
        api.put("/debtors/1", json=a_debtor(), headers=headers),
        api.patch("/debtors/1", json={}, headers=headers),
        api.delete("/debtors/1", headers=headers),
    ):
        assert fields_of(answer, 422) == ["If-Match"]


BAD_RUNS: list[tuple[str, Any]] = [
    *(("batch_size", value) for value in [0, -1, 1_001, 1.5, "100", True, None, 2**63, []]),
    *(("limit", value) for value in [0, -1, 1.5, "10", True, 100_000_001, 2**63, {}]),
    *(("threshold", value) for value in [-1, "1.234", "NaN", "abc", True, None, 1e300, 10**20, []]),
    *(("portfolio", value) for value in ["", "a b", None, 5, "x" * 65]),
    *(("policy", value) for value in ["", "no-such-policy", 5, "x" * 65, []]),
    *(("filters", value) for value in [[], 5, "HIGH"]),
    *(("filters.risk_level", value) for value in ["HIGH", [], ["EXTREME"], [5], ["HIGH"] * 5]),
    *(("filters.payment_status", value) for value in ["PAID", [], ["MAYBE"], ["PAID"] * 4]),
    *(("filters.min_debt", value) for value in [-1, "x", True]),
    *(("filters.max_debt", value) for value in [-1, "1.234", []]),
    ("filters.surprise", 1),
    ("surprise", 1),
]


@pytest.mark.parametrize("bad", BAD_RUNS, ids=named)
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_wish_for_a_run_is_refused_by_name(api: Api, bad: tuple[str, Any]) -> None:
    field, value = bad
    outer, _, inner = field.partition(".")

    [error] = fields_of(api.post("/runs", json={outer: {inner: value} if inner else value}), 422)

    assert error == field or error.startswith(f"{field}.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("top_k", 0),
        ("top_k", 501),
        ("limit", 0),
        ("threshold", "-1"),
        ("threshold", "x"),
        ("policy", "no-such-policy"),
        ("portfolio", "a b"),
        ("risk_level", "EXTREME"),
        ("payment_status", "MAYBE"),
        ("min_debt", "1.234"),
        ("max_debt", "-1"),
    ],
)
def test_a_bad_wish_for_a_preview_is_refused_by_name(api: Api, field: str, value: object) -> None:
    [error] = fields_of(api.get("/runs/preview", params={field: value}), 422)

    assert error.removesuffix(".0") == field


@pytest.mark.parametrize(
    ("field", "value"),
    [("portfolio", "a b"), ("portfolio", None), ("policy", "no-such-policy"), ("policy", 5), ("surprise", 1)],
)
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_wish_for_a_scoring_job_is_refused_by_name(api: Api, field: str, value: object) -> None:
    assert fields_of(api.post("/scoring-jobs", json={field: value}), 422) == [field]


@pytest.mark.parametrize("key", [b"", b"a b", b"x" * 129, b"\xe9", b"a\tb"])
@pytest.mark.parametrize("path", ["/debtors", "/scoring-jobs", "/runs"])
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_idempotency_key_is_refused_by_name(api: Api, path: str, key: bytes) -> None:
    body = a_debtor() if path == "/debtors" else {}

    assert fields_of(api.post(path, json=body, headers={"Idempotency-Key": key}), 422) == ["Idempotency-Key"]


@pytest.mark.parametrize("path", ["/runs/{}", "/runs/{}/events", "/scoring-jobs/{}"])
@pytest.mark.parametrize("unknown", ["nobody", "00000000-0000-0000-0000-000000000000", "%F0%9F%99%82", "a" * 3_000])
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
def test_another_method_is_told_which_there_are(api: Api, method: str, path: str, allowed: set[str]) -> None:
    answer = api.request(method, path)

    problem_of(answer, 405)
    assert allowed <= set(answer.headers["allow"].split(", "))


def test_bad_profiles_are_told_one_by_one(api: Api) -> None:
    profiles: list[Any] = [
        a_profile(),
        "not a profile",
        None,
        [],
        {},
        a_profile(total_debt_amount=-1),
        a_profile(late_payments_count=True),
        a_profile(surprise=1),
        a_profile(name="Alex"),
        a_profile(employment_status="PIRATE"),
        a_profile(monthly_income="1.234", contract_type=None),
        a_profile(),
    ]

    results = shown(api.post("/scores", json={"profiles": profiles}))["results"]

    assert [result["index"] for result in results] == list(range(len(profiles)))
    assert [result["status"] for result in results] == ["scored"] + ["error"] * 10 + ["scored"]
    wrong = [{error["field"] for error in result["errors"]} for result in results[1:-1]]
    assert wrong == [
        {"profile"},
        {"profile"},
        {"profile"},
        set(a_profile()),
        {"total_debt_amount"},
        {"late_payments_count"},
        {"surprise"},
        {"name"},
        {"employment_status"},
        {"monthly_income", "contract_type"},
    ]
    assert all(set(result) == {"index", "status", "errors"} for result in results[1:-1])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "profiles"),
        ({"profiles": []}, "profiles"),
        ({"profiles": [{}] * 1_001}, "profiles"),
        ({"profiles": {}}, "profiles"),
        ({"profiles": "x"}, "profiles"),
        ({"profiles": [{}], "policy": "no-such-policy"}, "policy"),
        ({"profiles": [{}], "policy": 5}, "policy"),
        ({"profiles": [{}], "surprise": 5}, "surprise"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_wish_for_scores_is_refused_by_name(api: Api, body: Any, field: str) -> None:
    assert fields_of(api.post("/scores", json=body), 422) == [field]
