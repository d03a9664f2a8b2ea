"""The response of a write equals that of a following read, byte for byte, though no write reads its debtor back."""

from typing import Any

import pytest
from sqlalchemy import event
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, a_debtor, a_registry, add_debtor, debtor_rows
from tests.risk_assessment.responses import created

from risk_assessment.debtors import queries, service
from risk_assessment.debtors.schemas import DebtorIn
from service_kit.database.engine import Database

BODIES: dict[str, dict[str, Any]] = {
    "the fields that are needed": {},
    "every field": {
        "external_ref": "ACC-1",
        "person_ref": "P-1",
        "name": "Zoë Ünal 🙂",
        "family_situation": "WIDOWED_WITH_DEPENDENTS",
        "payment_status": "PARTIAL",
    },
    "money as numbers": {"total_debt_amount": 33267.1, "monthly_income": 0},
    "the largest values": {
        "name": "🙂" * 200,
        "external_ref": "🙂" * 128,
        "total_debt_amount": "9999999999.99",
        "monthly_income": "9999999999.99",
        "late_payments_count": 100_000,
    },
    "the smallest values": {"total_debt_amount": "0.01", "monthly_income": "0.00", "late_payments_count": 0},
    "blanks around a name": {"name": "  Alex  "},
    "what the service gives": {"id": 7, "version": 9, "priority": "1.00", "assessment": {}, "created_at": "never"},
}


@pytest.mark.parametrize("changes", BODIES.values(), ids=list(BODIES))
def test_post_and_put_respond_what_get_then_shows(api: Api, portfolio: str, changes: dict[str, Any]) -> None:
    body = a_debtor(portfolio=portfolio, **changes)

    posted = api.post("/debtors", json=body)

    address = f"/debtors/{created(posted)['id']}"
    seen = api.get(address)
    assert (posted.content, posted.headers["etag"]) == (seen.content, seen.headers["etag"])
    put = api.put(address, json=body | {"late_payments_count": 5})
    seen = api.get(address)
    assert (put.content, put.headers["etag"]) == (seen.content, seen.headers["etag"])


CHANGES: list[dict[str, Any]] = [
    {},
    {"name": "Bo"},
    {"portfolio": "elsewhere"},
    {"external_ref": None},
    {"person_ref": None},
    {"person_ref": "Q"},
    {"portfolio": "elsewhere", "external_ref": None, "person_ref": "Q"},
    {"total_debt_amount": "0"},
    {"family_situation": None},
    {"family_situation": "SINGLE_NO_DEPENDENTS"},
    {"payment_status": "PAID"},
    {"total_debt_amount": "123.4"},
    {"monthly_income": 67.89, "employment_status": "STUDENT", "contract_type": "FREELANCE"},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_patch_responds_what_get_then_shows(api: Api, portfolio: str, changes: dict[str, Any]) -> None:
    body = a_debtor(portfolio=portfolio, external_ref="A", person_ref="P", family_situation="MARRIED_DUAL_INCOME")
    address = f"/debtors/{created(api.post('/debtors', json=body))['id']}"

    patched = api.patch(address, json=changes)

    seen = api.get(address)
    assert (patched.status_code, patched.content, patched.headers["etag"]) == (200, seen.content, seen.headers["etag"])


@pytest.mark.parametrize("path", ["/runs", "/scoring-jobs"])
def test_what_is_promised_responds_what_get_then_shows(api: Api, portfolio: str, path: str) -> None:
    created(api.post("/debtors", json=a_debtor(portfolio=portfolio)))
    posted = api.post(path, json={"portfolio": portfolio, "policy": "classic"})

    assert api.get(f"{path}/{created(posted)['id']}").content == posted.content


def test_a_written_debtor_is_what_a_read_finds(database: Database) -> None:
    registry = a_registry()
    body = DebtorIn.model_validate(a_debtor(external_ref="A", person_ref="P", family_situation="MARRIED_DUAL_INCOME"))

    made = database.transact(lambda c: service.create(c, body, registry, NOON))
    assert viewed(database, made.columns["id"]) == queries.shown(*made)
    put = database.transact(lambda c: service.replace(c, made.columns["id"], body, registry, NOON))
    assert viewed(database, made.columns["id"]) == queries.shown(*put)
    changes = {"late_payments_count": 9}
    patched = database.transact(lambda c: service.patch(c, made.columns["id"], changes, registry, NOON))
    assert viewed(database, made.columns["id"]) == queries.shown(*patched)

    [row] = debtor_rows(database)
    assert row == patched.columns


def viewed(database: Database, debtor_id: int) -> dict[str, Any]:
    with database.read() as connection:
        return queries.view(connection, queries.read(connection, debtor_id), a_registry())


def test_a_write_reads_a_debtor_once_at_most(database: Database) -> None:
    registry = a_registry()
    debtor_id = add_debtor(database, registry)
    body = DebtorIn.model_validate(a_debtor())
    reads: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and "FROM debtors" in statement.replace("\n", ""):
            reads.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    database.transact(lambda c: service.create(c, body, registry, NOON))
    assert reads == []
    database.transact(lambda c: service.replace(c, debtor_id, body, registry, NOON))
    database.transact(lambda c: service.patch(c, debtor_id, {"name": "Bo"}, registry, NOON))

    assert len(reads) == 2  # the rows that these two lock
