"""To a caller who is bound to one portfolio, everything of another is as if it did not exist, on every route.

Each route declares where its portfolio comes from; what it declares is what is tried here.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from tests.contracts.access.books import (
    BODIES,
    EMPTY_WHERE_UNKNOWN,
    EXPORTS,
    NOTHING_TO_SEE,
    NOWHERE,
    OURS,
    TAKEN,
    THEIRS,
    Books,
    portfolio_of,
    two_books,
)
from tests.contracts.access.guarded import (
    ROOTS,
    debt_app,
    declared_origins,
    names_in_body,
    queue_settings,
    risk_app,
    routes,
)
from tests.contracts.access.roles import EXPECTED
from tests.contracts.audit.actions import DEBTOR, ok

from risk_assessment.tables import metadata
from service_kit.auth.portfolios import Origin


def origins() -> dict[tuple[str, str, str], tuple[Origin, ...]]:
    """What each route that needs a role declares, by service, method and path."""
    found = {}
    for service, build in {"risk": risk_app, "debt": debt_app}.items():
        known = routes(build(f"sqlite:///unused-{service}.db", recovery_auth="keys"))
        for method, path in EXPECTED[service]:
            found[service, method, path] = declared_origins(known[method, ROOTS[service] + path])
    return found


DECLARED = origins()
QUERIES = ({}, {"limit": 1}, {"sort": "priority"}, {"sort": "priority", "limit": 1}, {"portfolio": OURS})


def those(*wanted: Origin) -> list[tuple[str, str, str]]:
    return [route for route, declared in DECLARED.items() if set(wanted) & set(declared)]


LISTS = [(service, path) for service, _, path in those(Origin.CALLER, Origin.QUERY) if path != "/runs/preview"]
ASKED = [(*one, query) for one in LISTS for query in QUERIES if query.keys() <= TAKEN[one[1]]]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory, sqs_url: str) -> Iterator[Books]:
    folder: Path = tmp_path_factory.mktemp("books")
    names: Callable[[str], str] = lambda role: f"{role}-books-{folder.name}"  # noqa: E731
    with two_books(folder, **queue_settings(names, sqs_url)) as both:
        yield both


def everything(books: Books) -> dict[str, list[Any]]:
    """What the risk service has stored, to see that nothing changed."""
    with books.apis["risk"].database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table))] for table in metadata.sorted_tables
        }


class TestDeclarations:
    @pytest.mark.parametrize(("service", "method", "path"), list(DECLARED))
    def test_every_route_declares_where_its_portfolio_comes_from(self, service: str, method: str, path: str) -> None:
        declared = DECLARED[service, method, path]

        assert declared
        assert len(declared) == 1 or not {Origin.NONE, Origin.ALL} & set(declared)

    @pytest.mark.parametrize(("service", "method", "path"), list(DECLARED))
    def test_a_route_with_an_id_in_its_path_goes_by_what_that_names(self, service: str, method: str, path: str) -> None:
        of_a_portfolio = re.sub(r"\{(policy|other)_hash\}", "", path)  # a policy belongs to none
        assert ("{" in of_a_portfolio) == (Origin.PATH in DECLARED[service, method, path])

    def test_every_way_to_name_a_portfolio_is_declared(self) -> None:
        for service, build in {"risk": risk_app, "debt": debt_app}.items():
            document = build(f"sqlite:///unused-{service}.db", recovery_auth="keys").openapi()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    if "security" in operation:
                        declared = DECLARED[service, method.upper(), path.removeprefix(ROOTS[service])]
                        queried = "portfolio" in {p["name"] for p in operation.get("parameters", ())}
                        assert queried == (Origin.QUERY in declared), (method, path)
                        assert names_in_body(document, operation) == (Origin.BODY in declared), (method, path)


class TestThings:
    @pytest.mark.parametrize(("service", "method", "path"), those(Origin.PATH))
    def test_what_is_of_another_portfolio_is_as_what_does_not_exist(
        self, books: Books, service: str, method: str, path: str
    ) -> None:
        theirs, body = books.ids[service][THEIRS], {"body": {"portfolio": OURS} if "debtor_id" in path else None}
        before = everything(books)

        asked = books.call(OURS, service, method, path, theirs, **body)
        nowhere = books.call(OURS, service, method, path, NOWHERE, **body)

        assert asked == nowhere
        assert asked[0] == (200 if path in EMPTY_WHERE_UNKNOWN else 404), asked
        assert everything(books) == before

    @pytest.mark.parametrize(
        ("service", "method", "path"),
        [route for route in those(Origin.PATH) if route[1] == "GET" and not route[2].endswith(NOTHING_TO_SEE)],
    )
    def test_those_of_the_portfolio_see_it(self, books: Books, service: str, method: str, path: str) -> None:
        theirs = books.ids[service][THEIRS]

        status, text = books.call(THEIRS, service, method, path, theirs)

        assert status == 200, text
        assert '"items":[]' not in text

    @pytest.mark.parametrize(("service", "path"), EXPORTS)
    @pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
    def test_no_export_leaves_its_portfolio(self, books: Books, service: str, path: str, media_type: str) -> None:
        headers, theirs = {"Accept": media_type}, books.ids[service][THEIRS]

        assert books.call(THEIRS, service, "GET", path, theirs, headers=headers)[0] == 200
        asked = books.call(OURS, service, "GET", path, theirs, headers=headers)
        assert asked == books.call(OURS, service, "GET", path, NOWHERE, headers=headers)
        assert asked[0] == 404

    @pytest.mark.parametrize("headers", [{"If-Match": '"1"'}, {"If-Match": '"9"'}])
    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_a_version_betrays_nothing(self, books: Books, method: str, headers: dict[str, str]) -> None:
        options = {"headers": headers, "body": {"portfolio": OURS} if method == "PUT" else None}
        path, theirs = "/debtors/{debtor_id}", books.ids["risk"][THEIRS]

        asked = books.call(OURS, "risk", method, path, theirs, **options)

        assert asked == books.call(OURS, "risk", method, path, NOWHERE, **options)
        assert asked[0] == 404

    @pytest.mark.parametrize("path", ["/debtors/{debtor_id}/decisions", "/debtors/{debtor_id}/skips"])
    def test_what_became_of_a_debtor_is_that_of_the_callers_runs(self, books: Books, path: str) -> None:
        assert books.call(OURS, "debt", "GET", path, books.ids["debt"][THEIRS])[1] == '{"items":[],"next_cursor":null}'


class TestNames:
    @pytest.mark.parametrize(("service", "method", "path"), those(Origin.QUERY, Origin.BODY))
    def test_a_foreign_portfolio_cannot_be_named_and_is_as_one_that_does_not_exist(
        self, books: Books, service: str, method: str, path: str
    ) -> None:
        ours, before = books.ids[service][OURS], everything(books)
        named = "params" if Origin.QUERY in DECLARED[service, method, path] else "body"

        answers = [
            books.call(OURS, service, method, path, ours, **{named: {"portfolio": name}})
            for name in (THEIRS, "never-heard-of")
        ]

        assert answers[0] == answers[1]
        assert answers[0][0] == 404
        assert '"field": "portfolio"' in answers[0][1]
        assert everything(books) == before

    def test_who_names_none_where_one_is_meant_has_named_the_default(self, books: Books) -> None:
        for path in ("/debtors", "/runs", "/scoring-jobs", "/simulations"):
            assert books.call(OURS, "risk", "POST", path, {})[0] == 404

    def test_the_own_portfolio_can_be_worked(self, books: Books) -> None:
        made = ok(
            books.apis["risk"].request(
                OURS,
                "POST",
                "/risk-service/debtors",
                json=DEBTOR | {"portfolio": OURS, "external_ref": "ACC-9"},
            )
        )
        ids = books.ids["risk"][OURS] | {"debtor_id": str(made["id"])}

        assert books.call(OURS, "risk", "PATCH", "/debtors/{debtor_id}", ids)[0] == 200
        assert books.call(OURS, "risk", "GET", "/debtors/{debtor_id}/score", ids)[0] == 200
        assert books.call(OURS, "risk", "DELETE", "/debtors/{debtor_id}", ids)[0] == 204
        assert books.call(OURS, "risk", "GET", "/runs/preview", {}, params={"portfolio": OURS})[0] == 200
        for path in ("/runs", "/scoring-jobs", "/simulations"):
            assert books.call(OURS, "risk", "POST", path, {}, body={"portfolio": OURS})[0] == 202

    def test_no_caller_gets_the_stored_answer_of_another(self, books: Books) -> None:
        risk, headers = books.apis["risk"], {"Idempotency-Key": "the-same"}
        body = DEBTOR | {"portfolio": THEIRS, "external_ref": "ACC-8"}
        ok(risk.request(THEIRS, "POST", "/risk-service/debtors", json=body, headers=headers))

        for name in (THEIRS, "never-heard-of"):
            other = risk.request(
                OURS, "POST", "/risk-service/debtors", json=body | {"portfolio": name}, headers=headers
            )
            assert other.status_code == 404
            assert "idempotency-replayed" not in other.headers


class TestLists:
    @pytest.mark.parametrize(("service", "path", "query"), ASKED, ids=str)
    def test_a_list_has_all_of_the_own_portfolio_and_nothing_else(
        self, books: Books, service: str, path: str, query: dict[str, Any]
    ) -> None:
        ours = self.listed(books, OURS, service, path, query)

        everyones = self.listed(books, "admin", service, path, query)
        assert ours == [item for item in everyones if portfolio_of(item) == OURS]
        assert {portfolio_of(item) for item in ours} == {OURS}

    def listed(self, books: Books, who: str, service: str, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        items, cursor = [], None
        while True:
            params = query | ({"cursor": cursor} if cursor else {})
            page = ok(books.apis[service].request(who, "GET", ROOTS[service] + path, params=params))
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return items

    @pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
    def test_an_export_has_the_own_portfolio_and_nothing_else(self, books: Books, media_type: str) -> None:
        def exported(who: str, **params: str) -> tuple[int, str]:
            headers = {"Accept": media_type}
            return books.call(who, "risk", "GET", "/debtors", {}, params=params, headers=headers)

        assert exported(OURS) == exported("admin", portfolio=OURS)
        assert exported(OURS)[1].count("ACC-") == 3
        assert exported(OURS, portfolio=THEIRS)[0] == 404


class TestTheRest:
    def test_only_what_stores_and_shows_nothing_is_of_no_portfolio(self) -> None:
        # A route that reads the queues or a table cannot say so: add to this list only what reads neither.
        assert those(Origin.NONE) == [("risk", "GET", "/me"), ("debt", "GET", "/me")]

    @pytest.mark.parametrize(("service", "method", "path"), those(Origin.ALL))
    def test_what_is_of_all_portfolios_is_refused_to_who_is_bound(
        self, books: Books, service: str, method: str, path: str
    ) -> None:
        assert books.call("admin", service, method, path, {})[0] == 200
        status, text = books.call(OURS, service, method, path, {})
        assert status == 403
        assert "you are bound to some" in text

    @pytest.mark.parametrize(
        ("service", "method", "path"), [route for route in those(Origin.NONE) if route[2] != "/me"]
    )
    def test_what_is_of_no_portfolio_is_open_to_all(self, books: Books, service: str, method: str, path: str) -> None:
        assert books.call(OURS, service, method, path, {}) == books.call("admin", service, method, path, {})

    @pytest.mark.parametrize(("service", "method", "path"), those(Origin.SHARED))
    def test_what_is_shared_shows_no_other_portfolio(self, books: Books, service: str, method: str, path: str) -> None:
        status, ours = books.call(OURS, service, method, path, books.ids["risk"][OURS])
        _, everyones = books.call("admin", service, method, path, books.ids["risk"][OURS])

        assert status == 200
        assert THEIRS not in ours
        others = re.compile(r'"portfolios":\[[^]]*\]')
        assert others.sub("", ours) == others.sub("", everyones)

    def test_every_writing_route_is_tried_with_a_body(self) -> None:
        writing = {(method, path) for _, method, path in DECLARED if method in ("POST", "PUT", "PATCH")}

        assert set(BODIES) | {("POST", "/runs/{run_id}/cancel")} == writing

    @pytest.mark.parametrize(
        ("service", "path"),
        [("risk", "/debtors/{debtor_id}"), ("risk", "/debtors"), ("risk", "/runs"), ("debt", "/runs/{run_id}")],
    )
    def test_a_binding_costs_no_statement(self, books: Books, service: str, path: str) -> None:
        counted = [self.statements(books, who, service, path) for who in ("admin", OURS)]

        assert counted[0] == counted[1] > 0

    def statements(self, books: Books, who: str, service: str, path: str) -> int:
        """How many statements a request takes, without those that read its key."""
        engine, seen = books.apis[service].app.state.resources.database.engine, []
        ids = books.ids[service][OURS]
        books.call(who, service, "GET", path, ids)
        note = lambda _c, _cursor, statement, *_: seen.append(statement)  # noqa: E731
        event.listen(engine, "before_cursor_execute", note)
        try:
            # The own portfolio alone, so that both callers read the same rows.
            params = {"portfolio": OURS} if path == "/debtors" else None
            assert books.call(who, service, "GET", path, ids, params=params)[0] == 200
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return len([text for text in seen if not re.search(r"api_keys|BEGIN|run_batches", text)])
