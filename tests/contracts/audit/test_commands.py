"""Every command that changes something leaves one record; what is wrong with a command is one line."""

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.contracts.audit.actions import DEBTOR
from tests.support.processes import environment, run_service

import debt_processing.tables
import risk_assessment.tables
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade


class TestCommands:
    def run(
        self, package: str, folder: Path, *arguments: str, given: dict[str, Any] | None = None, code: int = 0
    ) -> str:
        settings = {name.upper(): str(value) for name, value in (given or {}).items()} | {
            "RISK_DATABASE_URL": f"sqlite:///{folder / 'risk.db'}",
            "DEBT_DATABASE_URL": f"sqlite:///{folder / 'debt.db'}",
        }
        done = run_service(package, *arguments, cwd=folder, env=environment(**settings))
        assert done.code == code, done.err
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
            self.run("risk_assessment", tmp_path, "import-debtors", "book.csv", "--portfolio", "book", code=3)

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

    def test_a_key_is_bound_to_portfolios_in_each_service_by_its_own_command(self, tmp_path: Path) -> None:
        for service, package in (("risk", "risk_assessment"), ("debt", "debt_processing")):
            upgrade(f"sqlite:///{tmp_path / f'{service}.db'}", package)
        create = ("create-key", "--name", "ops", "--role", "operator")

        token = self.run("risk_assessment", tmp_path, *create, "--portfolio", "bolt", "--portfolio", "acme")
        settings = environment(DEBT_DATABASE_URL=f"sqlite:///{tmp_path / 'debt.db'}")
        again = (*create, "--stdin", "--portfolio", "acme")
        done = run_service("debt_processing", *again, cwd=tmp_path, env=settings, said=token)

        assert (done.code, done.out) == (0, ""), done.err
        for package, bound_to in (("risk_assessment", ["acme", "bolt"]), ("debt_processing", ["acme"])):
            [key] = json.loads(self.run(package, tmp_path, "list-keys", "--json"))
            assert (key["id"], key["portfolios"]) == (token[4:16], bound_to)
            assert self.run(package, tmp_path, "list-keys").rstrip().endswith(f"only {', '.join(bound_to)}")
        [(_, action, _, detail)] = self.records(tmp_path, "risk")
        assert (action, detail["portfolios"]) == ("key.created", ["acme", "bolt"])

    @pytest.mark.parametrize(
        ("package", "arguments", "said"),
        [
            (
                "risk_assessment",
                ["create-key", "--name", "x", "--role", "viewer", "--portfolio", "*"],
                "a portfolio has 1 to 64 letters",
            ),
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
