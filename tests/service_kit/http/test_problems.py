"""Every error is a problem document that names the field and never repeats the input."""

import httpx
import pytest
from tests.service_kit.http.responses import assert_problem, fields

from service_kit.http.problems import MAX_ERRORS


def test_an_unknown_path_is_a_problem(demo: httpx.Client) -> None:
    assert assert_problem(demo.get("/nowhere"), 404)["title"] == "Not Found"


def test_a_wrong_method_is_a_problem_that_names_every_right_one(demo: httpx.Client) -> None:
    response = demo.put("/demo/items/5/")

    assert_problem(response, 405)
    assert response.headers["allow"] == "GET, DELETE, HEAD, OPTIONS"


def test_options_lists_the_methods(demo: httpx.Client) -> None:
    response = demo.options("/demo/items")

    assert (response.status_code, response.headers["allow"], response.content) == (204, "POST, OPTIONS", b"")


def test_wrong_parameters_are_named_plainly(demo: httpx.Client) -> None:
    problem = assert_problem(demo.get("/demo/items/x?limit=501", headers={"If-Match": "abc"}), 422)

    assert fields(problem) == ["item_id", "limit", "if-match"]


def test_wrong_fields_are_named_by_their_place_in_the_body(demo: httpx.Client) -> None:
    body = [{"title": "fine"}, {"title": " "}, {"count": 11, "colour": "red"}]
    problem = assert_problem(demo.post("/demo/lists", json=body), 422)

    assert fields(problem) == ["1.title", "2.title", "2.count", "2.colour"]
    assert problem["errors"][0]["message"] == "must not be blank"


@pytest.mark.parametrize(("wrong", "total"), [(MAX_ERRORS, None), (MAX_ERRORS + 1, MAX_ERRORS + 1), (400, 400)])
def test_of_many_errors_the_first_are_listed_and_all_are_counted(
    demo: httpx.Client, wrong: int, total: int | None
) -> None:
    problem = assert_problem(demo.post("/demo/lists", json=[{"title": ""}] * wrong), 422)

    assert fields(problem) == [f"{number}.title" for number in range(MAX_ERRORS)]
    assert problem.get("errors_total") == total
    assert problem["detail"] == f"{wrong} values are not valid"


def test_a_problem_never_repeats_what_was_sent(demo: httpx.Client) -> None:
    response = demo.post("/demo/items", json={"title": 5, "count": "Jane Doe", "weight": "4111-1111"})

    assert_problem(response, 422)
    assert "Jane" not in response.text
    assert "4111" not in response.text


def test_an_error_of_the_service_becomes_what_its_table_says(demo: httpx.Client) -> None:
    problem = assert_problem(demo.get("/demo/gone"), 410)

    assert (problem["title"], problem["detail"]) == ("Shelf gone", "the shelf is gone")
    assert problem["errors"] == [{"field": "shelf", "message": "the shelf is gone"}]


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/demo/database-away", "the database cannot be reached"), ("/demo/queue-away", "queue work does not exist")],
)
def test_an_outage_is_a_503_that_says_why(demo: httpx.Client, path: str, reason: str) -> None:
    response = demo.get(path)

    assert assert_problem(response, 503)["detail"] == reason
    assert int(response.headers["retry-after"]) > 0
