"""Every route that changes something leaves a record; and no route is forgotten."""

import asyncio
import json
from typing import Any

import pytest
from tests.contracts.access.guarded import ROOTS, Guarded
from tests.contracts.access.roles import EXPECTED
from tests.contracts.audit.actions import CHANGES, DEBTOR, HOLD, IMPERSONAL, READS, WHY, created, held, newest, ok
from tests.risk_assessment.policies.documents import a_policy

from recovery_core.policies.builtin import built_in_policy
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing

CLASSIC, STANDARD, OURS = built_in_policy("classic"), built_in_policy("standard"), a_policy("ours")


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
            ("POST", "/holds"): HOLD | {"debtor_id": debtor},
            ("POST", "/holds/{hold_id}/end"): {"reason": "It was answered"},
            ("PUT", "/portfolios/{name}"): {"currency": "EUR"},
            ("POST", "/policies"): OURS.document,
            ("POST", "/policies/{policy_hash}/activate"): {"portfolio": "default", "reason": "Approved"},
            ("POST", "/scoring-jobs"): {},
            ("POST", "/simulations"): {"policy": "classic"},
            ("POST", "/runs"): {},
        }
        ids = {"debtor_id": debtor, "run_id": run, "hold_id": held(risk, debtor)}
        address = ROOTS["risk"] + path.format(**ids, name="ours", policy_hash=STANDARD.hash)
        role = EXPECTED["risk"][method, path]
        shown = ok(risk.request(role, method, address, json=bodies.get((method, path)), headers=WHY)) or {"id": debtor}
        kind = CHANGES["risk"][method, path].split(".")[0]
        subjects = {"portfolio": "ours", "policy": STANDARD.hash if "activate" in path else OURS.hash}
        return f"{kind}:{subjects.get(kind, shown.get('id'))}"

    @pytest.mark.parametrize(("method", "path"), list(CHANGES["risk"]))
    def test_a_change_is_on_record(self, risk: Guarded, method: str, path: str) -> None:
        subject = self.act(risk, method, path)

        record = newest(risk)
        role = EXPECTED["risk"][method, path]
        assert (record["actor"], record["role"]) == (f"key:the-{role}", role)
        assert (record["action"], record["subject"]) == (CHANGES["risk"][method, path], subject)
        assert (record["reason"], record["request_id"]) == ("Ticket 7", "r-7")
        assert "Example" not in json.dumps(record, default=str)

    def test_a_hold_and_its_end_carry_their_reasons_where_the_caller_gives_no_other(self, risk: Guarded) -> None:
        hold = held(risk, created(risk))
        placed = newest(risk)

        ok(risk.request("operator", "POST", f"/risk-service/holds/{hold}/end", json={"reason": "Answered" * 100}))

        assert (placed["action"], placed["reason"]) == ("hold.placed", HOLD["reason"])
        assert (placed["detail"], newest(risk)["detail"]) == ('{"kind":"DISPUTE"}', "{}")
        assert newest(risk)["reason"] == ("Answered" * 100)[:200]

    def test_an_activation_is_on_record_with_why_and_what_was_accepted(self, risk: Guarded) -> None:
        created(risk, family_situation="WIDOWED_WITH_DEPENDENTS")
        ok(risk.request("operator", "PUT", "/risk-service/portfolios/default", json={"jurisdiction": "US"}))
        body = {"portfolio": "default", "reason": "Counsel agreed", "accept_findings": ["FACTOR_PROHIBITED"]}

        path = f"/risk-service/policies/{CLASSIC.hash}/activate"
        job = ok(risk.request("approver", "POST", path, json=body))

        record = newest(risk)
        assert (record["action"], record["reason"]) == ("policy.activated", "Counsel agreed")
        assert json.loads(record["detail"]) == {
            "portfolio": "default",
            "accepted_findings": ["FACTOR_PROHIBITED"],
            "scoring_job": job["id"],
        }

    def test_who_uploaded_a_policy_does_not_activate_it(self, risk: Guarded) -> None:
        created(risk)
        ok(risk.request("approver", "POST", "/risk-service/policies", json=OURS.document))
        before, path = risk.records(), f"/risk-service/policies/{OURS.hash}/activate"
        body = {"portfolio": "default", "reason": "It is mine"}

        assert risk.request("approver", "POST", path, json=body).status_code == 403
        assert risk.request("operator", "POST", path, json=body).status_code == 403

        assert risk.records() == before
        assert risk.request("admin", "POST", path, json=body).status_code == 202

    def test_the_same_upload_again_is_recorded_once(self, risk: Guarded) -> None:
        before = len(risk.records())

        for role in ("operator", "operator", "approver"):
            ok(risk.request(role, "POST", "/risk-service/policies", json=OURS.document))

        assert [record["action"] for record in risk.records()[before:]] == ["policy.uploaded"]

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
            ("POST", "/holds", {"json": HOLD}),
            ("POST", "/holds", {"json": HOLD | {"debtor_id": 999}}),
            ("POST", "/holds/no-such-hold/end", {"json": {"reason": "Answered"}}),
            ("POST", "/runs", {"json": {"policy": "unheard-of"}}),
            ("POST", "/runs/no-such-run/cancel", {}),
            ("POST", "/scoring-jobs", {"json": {"policy": "unheard-of"}}),
            ("POST", "/simulations", {"json": {"policy": "unheard-of"}}),
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
