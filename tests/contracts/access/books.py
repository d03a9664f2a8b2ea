"""Two portfolios in both services, with one of everything: `acme`, whose caller asks, and `bolt`, which is foreign."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contracts.access.guarded import ROOTS, Guarded, guarded
from tests.contracts.audit.actions import DEBTOR, ok
from tests.debt_processing.builders import LATER, NOW, a_batch, a_debtor, debtors
from tests.debt_processing.stops.feed import a_stop
from tests.risk_assessment.planned import plan

from debt_processing.batches import service as inbox
from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import resolve_policy
from recovery_core.policies.builtin import built_in_policy
from service_kit.database.engine import Database

OURS, THEIRS = "acme", "bolt"
NOWHERE = {"debtor_id": "999999", "run_id": "no-such-run", "job_id": "no-such-job", "hold_id": "no-such-hold"}
NOWHERE |= {"name": "never-heard-of", "simulation_id": "no-such-simulation"}
STANDARD, CLASSIC = (built_in_policy(name).hash for name in ("standard", "classic"))
BODIES: Mapping[tuple[str, str], dict[str, Any]] = {
    ("POST", "/debtors"): DEBTOR | {"external_ref": None},
    ("PUT", "/debtors/{debtor_id}"): DEBTOR | {"external_ref": None},
    ("PATCH", "/debtors/{debtor_id}"): {"payment_status": "PARTIAL"},
    ("POST", "/holds"): {"person_ref": "P-1", "kind": "DISPUTE", "reason": "Letter"},
    ("POST", "/holds/{hold_id}/end"): {"reason": "Answered"},
    ("PUT", "/portfolios/{name}"): {},
    ("POST", "/policies"): built_in_policy("standard").document,
    ("POST", "/policies/{policy_hash}/activate"): {"reason": "Approved"},
    ("POST", "/runs"): {},
    ("POST", "/scoring-jobs"): {},
    ("POST", "/simulations"): {"policy": "classic"},
    ("POST", "/scores"): {"profiles": [{}]},
    ("POST", "/dead-letters/redrive"): {},
}
EXPORTS = (
    ("debt", "/runs/{run_id}/decisions"),
    ("debt", "/runs/{run_id}/skips"),
    ("debt", "/runs/{run_id}/errors"),
    ("risk", "/runs/{run_id}/batches"),
    ("risk", "/runs/{run_id}/exclusions"),
    ("risk", "/runs/{run_id}/compare"),
)
EMPTY_WHERE_UNKNOWN = {"/debtors/{debtor_id}/decisions", "/debtors/{debtor_id}/skips"}
"""Lists that are empty, and no 404, for an id that was never heard of."""
NOTHING_TO_SEE = ("/events", "/compare", "/debtors/{debtor_id}/skips")
"""The ends of paths that show nothing of a completed run without skips, or for ever."""

TAKEN = {
    "/debtors": {"limit", "sort", "portfolio"},
    "/debtors/high-risk": {"limit", "portfolio"},
    "/runs": {"limit", "portfolio"},
    "/holds": {"limit", "portfolio"},
    "/simulations": {"limit", "portfolio"},
    "/portfolios": {"limit"},
}
"""The parameters that each list takes, of those that are tried."""


@dataclass(frozen=True)
class Books:
    """Both APIs, and the ids of what each portfolio has there, by the names of path parameters."""

    apis: dict[str, Guarded]
    ids: dict[str, dict[str, dict[str, str]]]

    def call(
        self, who: str, service: str, method: str, path: str, ids: Mapping[str, str], **options: Any
    ) -> tuple[int, str]:
        """Call a route; return the status, and the body without what differs between two equal requests."""
        body = options.pop("body", None)
        if method in ("POST", "PUT", "PATCH"):
            options["json"] = BODIES.get((method, path), {}) | (body or {})
        address = ROOTS[service] + path.format(**ids)
        if path.endswith("/compare"):
            options["params"] = {"with": ids["run_id"]}
        headers = {"X-Request-Id": "same"} | options.pop("headers", {})
        response = self.apis[service].request(who, method, address, headers=headers, **options)
        return response.status_code, _without(response.text, ids)


def _without(text: str, ids: Mapping[str, str]) -> str:
    for name, value in ids.items():
        text = text.replace(f"debtor {value}" if name == "debtor_id" else value, f"<{name}>")
    return text


def portfolio_of(item: dict[str, Any]) -> str:
    """The portfolio of an item of a list, which may be a portfolio itself."""
    return str(item["portfolio"] if "portfolio" in item else item["name"])


@contextmanager
def two_books(folder: Path, **given: Any) -> Iterator[Books]:
    """Serve both APIs with the two portfolios."""
    bound = (OURS, THEIRS)
    with guarded("risk", folder, bound=bound, **given) as risk, guarded("debt", folder, bound=bound, **given) as debt:
        ids = {"risk": {name: _filled_risk(risk, name) for name in bound}, "debt": {}}
        for first, name in ((1, OURS), (11, THEIRS)):
            ids["debt"][name] = _filled_debt(debt.database, name, first)
        yield Books({"risk": risk, "debt": debt}, ids)


def _filled_risk(risk: Guarded, portfolio: str) -> dict[str, str]:
    def post(path: str, **body: Any) -> str:
        return str(ok(risk.request("operator", "POST", f"/risk-service{path}", json=body))["id"])

    debtor = post("/debtors", **DEBTOR | {"portfolio": portfolio})
    post("/debtors", **DEBTOR | {"portfolio": portfolio, "external_ref": "ACC-2", "total_debt_amount": "90000.00"})
    post("/debtors", **DEBTOR | {"portfolio": portfolio, "external_ref": "ACC-3", "payment_status": "PAID"})
    run, job = post("/runs", portfolio=portfolio), post("/scoring-jobs", portfolio=portfolio)
    hold = post("/holds", debtor_id=int(debtor), kind="DISPUTE", reason="Letter")
    simulation = post("/simulations", portfolio=portfolio, policy="classic")
    post("/holds", portfolio=portfolio, person_ref="P-1", kind="HARDSHIP", reason="Letter")
    plan(risk.database, run)
    hashes = {"policy_hash": STANDARD, "other_hash": CLASSIC}
    things = {"run_id": run, "job_id": job, "hold_id": hold, "simulation_id": simulation}
    return {"debtor_id": debtor, "name": portfolio} | things | hashes


def _filled_debt(database: Database, portfolio: str, first: int) -> dict[str, str]:
    entries = [*debtors(3, first=first), a_debtor(first + 3) | {"industry_sector": "?"}]
    batch = a_batch(f"run-of-{portfolio}", 1, portfolio=portfolio, entries=entries)
    paid = a_stop(first + 1, 1, portfolio=portfolio, payment_status="PAID")
    decided = decide(batch, resolve_policy(batch.header), {first + 1: paid})
    database.transact(lambda connection: inbox.record(connection, decided, NOW, LATER))
    return {"debtor_id": str(first), "run_id": f"run-of-{portfolio}"}
