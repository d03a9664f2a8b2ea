"""Whatever is wrong with a run or a preview, the response is a 422 that names it."""

from typing import Any

import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.responses import fields_of

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
    *(("capacities", value) for value in [5, [], "AGENT_CALL:1", {"CALL_MUM": 1}, {"AGENT_CALL": None}]),
    *(("capacities.AGENT_CALL", value) for value in [-1, "1", 1.5, True, 100_000_001]),
    ("filters.surprise", 1),
    ("surprise", 1),
]


@pytest.fixture(scope="module", autouse=True)
def default_portfolio(api: Api) -> None:
    """There is one: what is wrong besides is then found."""
    assert api.put("/portfolios/default", json={}).status_code in (200, 201)


def named(value: tuple[str, Any]) -> str:
    return f"{value[0]}={str(value[1])[:20]!r}"


@pytest.mark.parametrize("bad", BAD_RUNS, ids=named)
@pytest.mark.usefixtures("nothing_written")
def test_a_bad_run_is_refused_by_name(api: Api, bad: tuple[str, Any]) -> None:
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
        ("capacity", "CALL_MUM:1"),
        ("capacity", "AGENT_CALL"),
        ("capacity", ["AGENT_CALL:1", "AGENT_CALL:2"]),
    ],
)
def test_a_bad_preview_is_refused_by_name(api: Api, field: str, value: object) -> None:
    [error] = fields_of(api.get("/runs/preview", params={field: value}), 422)

    assert error.removesuffix(".0") == field
