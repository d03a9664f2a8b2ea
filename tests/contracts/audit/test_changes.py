"""Who did what: every route that changes something leaves a record, every one that shows personal data a log event."""

import asyncio
import getpass
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.contracts.guarded import ROOTS, Guarded, guarded, queue_settings
from tests.contracts.test_roles import EXPECTED
from tests.support.processes import environment, run_service

import debt_processing.tables
import risk_assessment.tables
from service_kit import audit
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing

DEBTOR = {
    "name": "Alex Example",
    "external_ref": "ACC-1",
    "total_debt_amount": "33267.16",
    "monthly_income": "2100.00",
    "late_payments_count": 4,
    "employment_status": "SELF_EMPLOYED",
    "contract_type": "FREELANCE",
    "industry_sector": "HOSPITALITY",
}
WHY = {"X-Reason": "Ticket 7", "X-Request-Id": "r-7"}

CHANGES = {
    "risk": {
        ("POST", "/debtors"): "debtor.created",
        ("PUT", "/debtors/{debtor_id}"): "debtor.replaced",
        ("PATCH", "/debtors/{debtor_id}"): "debtor.patched",
        ("DELETE", "/debtors/{debtor_id}"): "debtor.deleted",
        ("POST", "/scoring-jobs"): "scoring_job.started",
        ("POST", "/runs"): "run.started",
        ("POST", "/runs/{run_id}/cancel"): "run.cancelled",
    },
    "debt": {("POST", "/dead-letters/redrive"): "dead_letters.redriven"},
}
READS = {
    "risk": {
        ("GET", "/debtors"): "debtor.listed",
        ("GET", "/debtors/high-risk"): "debtor.listed",
        ("GET", "/debtors/{debtor_id}"): "debtor.read",
        ("GET", "/debtors/{debtor_id}/score"): "debtor.scored",
        ("GET", "/debtors/{debtor_id}/assessments"): "debtor.history_read",
        ("GET", "/runs/preview"): "run.previewed",
    },
    "debt": {("GET", "/debtors/{debtor_id}/decisions"): "debtor.decisions_read"},
}
IMPERSONAL = {
    "risk": {
        ("POST", "/scores"),  # stores nothing and receives no name
        ("GET", "/scoring-jobs/{job_id}"),
        ("GET", "/runs"),
        ("GET", "/runs/{run_id}"),
        ("GET", "/runs/{run_id}/events"),
    },
    "debt": {
        # By run and not by person; reads of its decisions and errors are logged as reads of the run.
        ("GET", "/runs/{run_id}"),
        ("GET", "/runs/{run_id}/decisions"),
        ("GET", "/runs/{run_id}/errors"),
        ("GET", "/queues"),
        ("GET", "/dead-letters"),
    },
}


class Log:
    """Takes in what would be logged."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def info(self, event: str, **values: Any) -> None:
        self.events.append({"event": event} | values)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(audit, "log", log)
    return log


@pytest.fixture
def given(queue_names: Callable[[str], str], sqs_url: str) -> dict[str, Any]:
    return queue_settings(queue_names, sqs_url)


@pytest.fixture
def risk(tmp_path: Path, given: dict[str, Any]) -> Iterator[Guarded]:
    with guarded("risk", tmp_path, **given) as api:
        yield api


@pytest.fixture
def debt(tmp_path: Path, given: dict[str, Any]) -> Iterator[Guarded]:
    with guarded("debt", tmp_path, **given) as api:
        yield api


def ok(response: Any) -> Any:
    assert response.is_success, response.text
    return response.json() if response.content else None


def created(risk: Guarded, **changes: Any) -> int:
    shown = ok(risk.request("operator", "POST", "/risk-service/debtors", json=DEBTOR | changes))
    return int(shown["id"])


def newest(api: Guarded) -> dict[str, Any]:
    return api.records()[-1]


@pytest.mark.parametrize("service", list(EXPECTED))
def test_every_route_is_known_to_change_to_show_or_to_do_neither(service: str) -> None:
    assert {*CHANGES[service], *READS[service], *IMPERSONAL[service]} == set(EXPECTED[service])


class TestChanges:
    def act(self, risk: Guarded, method: str, path: str) -> str:
        """Do what a route does, and return what it was done to."""
        debtor = created(risk)
        run = ok(risk.request("operator", "POST", "/risk-service/runs", json={}))["id"]
        bodies = {
            ("POST", "/debtors"): DEBTOR | {"external_ref": "ACC-2"},
            ("PUT", "/debtors/{debtor_id}"): DEBTOR,
            ("PATCH", "/debtors/{debtor_id}"): {"payment_status": "PARTIAL", "name": "Bo Example"},
            ("POST", "/scoring-jobs"): {},
            ("POST", "/runs"): {},
        }
        address = ROOTS["risk"] + path.format(debtor_id=debtor, run_id=run)
        shown = ok(risk.request("operator", method, address, json=bodies.get((method, path)), headers=WHY))
        kind = path.split("/")[1].removesuffix("s").replace("-", "_")
        return f"{kind}:{shown['id'] if shown else debtor}"

    @pytest.mark.parametrize(("method", "path"), list(CHANGES["risk"]))
    def test_a_change_is_on_record(self, risk: Guarded, method: str, path: str) -> None:
        subject = self.act(risk, method, path)

        record = newest(risk)
        assert (record["actor"], record["role"]) == ("key:the-operator", "operator")
        assert (record["action"], record["subject"]) == (CHANGES["risk"][method, path], subject)
        assert (record["reason"], record["request_id"]) == ("Ticket 7", "r-7")
        assert "Example" not in json.dumps(record, default=str)

    def test_redriving_is_on_record_with_its_counts(self, debt: Guarded, given: dict[str, Any]) -> None:
        async def send_to_the_dead_letters() -> None:
            async with Sqs(given["aws_region"], given["aws_endpoint_url_sqs"]) as sqs:
                await sqs.send(f"{given['recovery_queue_high']}-dlq", [Outgoing("1", "no batch")])

        assert debt.client.get("/readyz").status_code in (200, 503)  # makes the queues
        asyncio.run(send_to_the_dead_letters())

        shown = ok(debt.request("operator", "POST", "/debt-service/dead-letters/redrive", json={}, headers=WHY))

        record = newest(debt)
        assert (record["action"], record["subject"]) == ("dead_letters.redriven", "dead_letters:all")
        assert (record["actor"], record["reason"]) == ("key:the-operator", "Ticket 7")
        detail = json.loads(record["detail"])
        assert (
            (detail["redriven"], detail["lanes"])
            == (shown["redriven"], shown["lanes"])
            == (1, {"high": 1, "standard": 0})
        )

    @pytest.mark.parametrize(
        ("method", "path", "options"),
        [
            ("POST", "/debtors", {"json": DEBTOR}),  # the reference is taken
            ("POST", "/debtors", {"json": DEBTOR | {"monthly_income": "much"}}),
            ("PUT", "/debtors/{debtor}", {"json": DEBTOR, "headers": {"If-Match": '"9"'}}),
            ("PATCH", "/debtors/{debtor}", {"json": {"name": ""}}),
            ("DELETE", "/debtors/{debtor}", {"headers": {"If-Match": '"9"'}}),
            ("DELETE", "/debtors/999", {}),
            ("POST", "/runs", {"json": {"policy": "unheard-of"}}),
            ("POST", "/runs/no-such-run/cancel", {}),
            ("POST", "/scoring-jobs", {"json": {"policy": "unheard-of"}}),
        ],
    )
    def test_what_is_rejected_leaves_no_record(
        self, risk: Guarded, method: str, path: str, options: dict[str, Any]
    ) -> None:
        debtor = created(risk)
        before = risk.records()

        response = risk.request("operator", method, ROOTS["risk"] + path.format(debtor=debtor), **options)

        assert 400 <= response.status_code < 500
        assert risk.records() == before

    def test_a_repeated_request_is_recorded_once(self, risk: Guarded) -> None:
        before = len(risk.records())
        headers = {"Idempotency-Key": "k-1"}

        responses = [
            risk.request("operator", "POST", "/risk-service/debtors", json=DEBTOR, headers=headers) for _ in range(3)
        ]

        assert {response.status_code for response in responses} == {201}
        assert len(risk.records()) == before + 1

    def test_one_caller_cannot_read_anothers_response_by_its_key(self, risk: Guarded) -> None:
        headers = {"Idempotency-Key": "k-1"}
        first = risk.request("operator", "POST", "/risk-service/debtors", json=DEBTOR, headers=headers)

        body = DEBTOR | {"external_ref": "ACC-2"}
        other = risk.request("approver", "POST", "/risk-service/debtors", json=body, headers=headers)
        same = risk.request(
            "approver", "POST", "/risk-service/debtors", json=DEBTOR, headers={"Idempotency-Key": "k-2"}
        )

        assert (first.status_code, other.status_code) == (201, 201)
        assert first.json()["id"] != other.json()["id"]
        assert same.status_code == 409


class TestReads:
    @pytest.mark.parametrize(("method", "path"), list(READS["risk"]))
    def test_a_read_of_personal_data_is_logged_and_writes_nothing(
        self, risk: Guarded, log: Log, method: str, path: str
    ) -> None:
        debtor = created(risk)
        before = risk.records()

        ok(risk.request("viewer", method, ROOTS["risk"] + path.format(debtor_id=debtor), headers=WHY))

        assert log.events == [
            {
                "event": "audit.read",
                "action": READS["risk"][method, path],
                "subjects": [f"debtor:{debtor}"],
                "actor": "key:the-viewer",
                "role": "viewer",
                "reason": "Ticket 7",
                "request_id": "r-7",
            }
        ]
        assert risk.records() == before

    def test_a_debtors_history_of_decisions_is_logged(self, debt: Guarded, log: Log) -> None:
        ok(debt.request("viewer", "GET", "/debt-service/debtors/7/decisions", headers=WHY))

        assert [(event["action"], event["subjects"]) for event in log.events] == [
            ("debtor.decisions_read", ["debtor:7"])
        ]

    @pytest.mark.parametrize("path", ["/debtors/999", "/debtors/999/score", "/debtors/999/assessments"])
    def test_what_is_not_there_was_not_read(self, risk: Guarded, log: Log, path: str) -> None:
        assert risk.request("viewer", "GET", ROOTS["risk"] + path).status_code == 404

        assert log.events == []


class TestCommands:
    def run(self, package: str, folder: Path, *arguments: str, given: dict[str, Any] | None = None) -> str:
        settings = {name.upper(): str(value) for name, value in (given or {}).items()} | {
            "RISK_DATABASE_URL": f"sqlite:///{folder / 'risk.db'}",
            "DEBT_DATABASE_URL": f"sqlite:///{folder / 'debt.db'}",
        }
        done = run_service(package, *arguments, cwd=folder, env=environment(**settings))
        assert done.code == 0, done.err
        return done.out

    def records(self, folder: Path, service: str) -> list[tuple[str, str, str, Any]]:
        table = {"risk": risk_assessment.tables, "debt": debt_processing.tables}[service].audit_records
        database = Database(f"sqlite:///{folder / f'{service}.db'}")
        with database.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.id)).all()
        database.dispose()
        return [(row.actor, row.action, row.subject, json.loads(row.detail)) for row in rows]

    def test_inventing_and_clearing_a_portfolio_are_one_record_each(self, tmp_path: Path) -> None:
        upgrade(f"sqlite:///{tmp_path / 'risk.db'}", "risk_assessment")
        generate = ("generate-debtors", "--portfolio", "trial", "--seed", "1")

        self.run("risk_assessment", tmp_path, *generate, "--count", "4500")
        self.run("risk_assessment", tmp_path, *generate, "--count", "10", "--clear")

        me = f"cli:{getpass.getuser()}"
        assert self.records(tmp_path, "risk") == [
            (me, "portfolio.generated", "portfolio:trial", {"created": 4500, "updated": 0, "unchanged": 0}),
            (me, "portfolio.cleared", "portfolio:trial", {"deleted": 4500}),
            (me, "portfolio.generated", "portfolio:trial", {"created": 10, "updated": 0, "unchanged": 0}),
        ]

    def test_an_import_is_one_record_with_its_counts(self, tmp_path: Path) -> None:
        upgrade(f"sqlite:///{tmp_path / 'risk.db'}", "risk_assessment")
        rows = [",".join(DEBTOR), ",".join(map(str, DEBTOR.values())), "Bo Example,ACC-2,none,1,1,X,Y,Z"]
        (tmp_path / "book.csv").write_text("\n".join(rows))

        for _ in range(2):
            self.run("risk_assessment", tmp_path, "import-debtors", "book.csv", "--portfolio", "book")

        found = self.records(tmp_path, "risk")
        assert [(action, subject, detail) for _, action, subject, detail in found] == [
            ("portfolio.imported", "portfolio:book", {"created": 1, "updated": 0, "unchanged": 0}),
            ("portfolio.imported", "portfolio:book", {"created": 0, "updated": 0, "unchanged": 1}),
        ]

    @pytest.mark.parametrize(("package", "service"), [("risk_assessment", "risk"), ("debt_processing", "debt")])
    def test_keys_are_made_listed_and_revoked_from_the_command_line(
        self, tmp_path: Path, package: str, service: str
    ) -> None:
        upgrade(f"sqlite:///{tmp_path / f'{service}.db'}", package)

        token = self.run(package, tmp_path, "create-key", "--name", "nightly", "--role", "viewer")
        listed = self.run(package, tmp_path, "list-keys")
        self.run(package, tmp_path, "revoke-key", "nightly")
        as_json = json.loads(self.run(package, tmp_path, "list-keys", "--json"))

        assert token.startswith("srk_")
        assert len(token.splitlines()) == 1
        assert token[4:16] in listed
        assert "nightly" in listed
        assert token[17:].strip() not in listed
        assert [(key["id"], key["role"], key["revoked_at"] is None) for key in as_json] == [
            (token[4:16], "viewer", False)
        ]
        assert [action for _, action, _, _ in self.records(tmp_path, service)] == ["key.created", "key.revoked"]

    def test_one_key_can_be_let_into_both_services(self, tmp_path: Path) -> None:
        for service, package in (("risk", "risk_assessment"), ("debt", "debt_processing")):
            upgrade(f"sqlite:///{tmp_path / f'{service}.db'}", package)
        token = self.run("risk_assessment", tmp_path, "create-key", "--name", "ops", "--role", "operator")
        settings = environment(DEBT_DATABASE_URL=f"sqlite:///{tmp_path / 'debt.db'}")

        create = ("create-key", "--name", "ops", "--role", "viewer", "--stdin")
        done = run_service("debt_processing", *create, cwd=tmp_path, env=settings, said=token)

        assert (done.code, done.out) == (0, ""), done.err
        assert json.loads(self.run("debt_processing", tmp_path, "list-keys", "--json"))[0]["id"] == token[4:16]

    @pytest.mark.parametrize(
        ("package", "arguments", "said"),
        [
            ("risk_assessment", ["create-key", "--name", "x", "--role", "root"], "unknown role 'root'"),
            ("debt_processing", ["revoke-key", "unknown"], "there is no key 'unknown'"),
        ],
    )
    def test_what_is_wrong_is_one_line(self, tmp_path: Path, package: str, arguments: list[str], said: str) -> None:
        urls = {f"{name}_DATABASE_URL": f"sqlite:///{tmp_path / f'{name.lower()}.db'}" for name in ("RISK", "DEBT")}
        upgrade(urls["RISK_DATABASE_URL" if package == "risk_assessment" else "DEBT_DATABASE_URL"], package)

        done = run_service(package, *arguments, cwd=tmp_path, env=environment(**urls))

        assert done.code != 0
        assert done.out == ""
        assert done.err.startswith(f"error: {said}")
        assert len(done.err.splitlines()) == 1
