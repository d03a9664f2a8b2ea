"""Activation without HTTP: who may not, and what runs and half re-scored portfolios make of it."""

from typing import Any

import pytest
from tests.risk_assessment.builders import (
    NOON,
    a_registry,
    accept_run,
    add_debtor,
    change_debtor,
    debtor_rows,
    generate_debtors,
)
from tests.risk_assessment.planned import a_planned_run, order_of, plan, run_row
from tests.risk_assessment.policies.documents import a_document, harsher
from tests.risk_assessment.portfolios.activating import score_again

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy
from recovery_core.profile import FACTS
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.policies import service as policies
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.portfolios import service
from risk_assessment.portfolios.schemas import ActivationIn
from risk_assessment.portfolios.service import OwnUploadError
from service_kit.database.engine import Database

STANDARD = built_in_policy("standard")


def ours(version: int = 1, name: str = "ours") -> Policy:
    return load_policy(harsher(a_document(name, version)))


def upload(database: Database, policy: Policy, actor: str = "key:author") -> bool:
    return database.transact(lambda c: policies.upload(c, policy, a_registry().installation, actor, NOON))


def activate(
    database: Database,
    policy: Policy,
    actor: str = "key:approver",
    registry: PolicyRegistry | None = None,
    portfolio: str = "default",
) -> str:
    body = ActivationIn(portfolio=portfolio, reason="Approved")
    return database.transact(lambda c: service.activate(c, policy, body, registry or a_registry(), actor, NOON))


def order_by(policy: Policy, rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Priority and id of all debtors that are not paid, by this policy alone, best first."""
    score = scorer_for(policy).score
    entries = (
        (score([row[fact] for fact in FACTS]).total_score * row["total_debt_amount"], row["id"])
        for row in rows
        if row["payment_status"] != "PAID"
    )
    return sorted(entries, key=lambda entry: (-entry[0], entry[1]))


class TestWho:
    def test_an_approver_does_not_activate_an_own_upload(self, database: Database) -> None:
        add_debtor(database)
        upload(database, ours())

        with pytest.raises(OwnUploadError):
            activate(database, ours(), "key:author")

        activate(database, ours(), "key:approver")

    def test_who_uploads_it_again_is_not_its_author(self, database: Database) -> None:
        add_debtor(database)

        assert upload(database, ours(), "key:author")
        assert not upload(database, ours(), "key:approver")

        activate(database, ours(), "key:approver")
        with pytest.raises(OwnUploadError):
            activate(database, ours(), "key:author")

    def test_where_callers_are_not_known_everyone_may(self, database: Database) -> None:
        add_debtor(database)
        upload(database, ours(), "anonymous")

        activate(database, ours(), "anonymous")


class TestRuns:
    def test_a_run_keeps_the_policy_that_it_was_accepted_with(self, database: Database) -> None:
        rows = generate_debtors(database, 60)
        run_id = accept_run(database)

        job = activate(database, ours())
        score_again(database, job)
        plan(database, run_id)

        assert order_of(database, run_id) == order_by(STANDARD, rows)
        assert order_of(database, a_planned_run(database)) == order_by(ours(), rows)
        assert order_by(STANDARD, rows) != order_by(ours(), rows)

    def test_a_portfolio_that_was_scored_again_by_half_is_ranked_right(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("risk_assessment.scoring.rescoring.CHUNK", 25)
        generate_debtors(database, 60)
        before = accept_run(database)
        job = activate(database, ours())
        after = accept_run(database)

        score_again(database, job, chunks=1)

        rows = debtor_rows(database)
        assert len({row["policy_id"] for row in rows}) == 2
        for run_id, policy in ((before, STANDARD), (after, ours())):
            plan(database, run_id)
            assert order_of(database, run_id) == order_by(policy, rows)
            assert run_row(database, run_id).debtors_ranked == len(order_by(policy, rows))

    def test_a_debtor_that_is_written_meanwhile_is_scored_by_the_new_policy(self, database: Database) -> None:
        debtor = add_debtor(database)
        registry = a_registry()
        change_debtor(database, debtor, registry, late_payments_count=2)

        activate(database, ours())
        change_debtor(database, debtor, registry, late_payments_count=6)

        [row] = debtor_rows(database)
        assert row["total_score"] == scorer_for(ours()).score([row[fact] for fact in FACTS]).total_score

    def test_an_import_that_began_before_leaves_debtors_that_are_ranked_right(self, database: Database) -> None:
        generate_debtors(database, 20)
        score_again(database, activate(database, ours()))
        for row in debtor_rows(database)[::3]:
            # Written by a process that had read the policy before the activation.
            change_debtor(database, row["id"], Outdated(), total_debt_amount=row["total_debt_amount"] + 500)

        rows = debtor_rows(database)
        assert len({row["policy_id"] for row in rows}) == 2
        assert order_of(database, a_planned_run(database)) == order_by(ours(), rows)


class Outdated(PolicyRegistry):
    """A process that still scores by `standard`."""

    def __init__(self) -> None:
        super().__init__({"standard": STANDARD}, "standard")

    def active_scorer(self, connection: Any, portfolio: str, now: Any) -> Any:
        return super().active_scorer(connection, f"before-{portfolio}", now)


class TestNames:
    def test_an_installed_name_means_its_newest_version_that_was_activated(self, database: Database) -> None:
        add_debtor(database)
        add_debtor(database, portfolio="other")
        registry, newer, draft = a_registry(), ours(91, "standard"), ours(92, "standard")
        upload(database, newer)
        upload(database, draft)

        activate(database, newer)

        with database.read() as connection:
            assert registry.named(connection, "standard") == newer
            assert registry.chosen(connection, "standard", "default") == newer
            assert registry.chosen(connection, "standard", "other") == STANDARD
            assert registry.active(connection, "other") == STANDARD
            assert registry.named(connection, draft.hash) == draft

    def test_a_policy_that_left_the_installation_stays_active(self, database: Database) -> None:
        add_debtor(database)
        registry = a_registry("standard", ours())

        activate(database, ours(), registry=registry)

        with database.read() as connection:
            assert a_registry().active(connection, "default") == ours()
            assert a_registry().chosen(connection, "ours", "default") == ours()

    def test_what_was_in_force_before_counts_as_activated(self, database: Database) -> None:
        add_debtor(database, a_registry("ours", ours()))

        activate(database, STANDARD, registry=a_registry("ours", ours()))

        with database.read() as connection:
            assert a_registry().chosen(connection, "ours", "default") == ours()
