"""The accounts that compose makes on its MySQL: one migrates, and the system runs with one that can do less."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from tests.infra.test_compose import SERVICES
from tests.support.processes import Done, environment, run_service
from tests.support.servers import MariaDb
from tests.support.system.system import System

SCRIPT = Path(__file__).resolve().parents[2] / "infra/docker/mysql/10-databases.sh"
PASSWORDS = {name: value for name, value in SERVICES["mysql"]["environment"].items() if name.endswith("PASSWORD")}
DENIED = (1044, 1142, 1143)  # for a database, a table, a column
ACCOUNTS = ("risk", "debt", "risk_owner", "debt_owner")
OF_THE_HISTORY = ("UPDATE audit_records SET actor = 'cli:other'", "DELETE FROM audit_records")
OF_THE_SCHEMA = ("CREATE TABLE more (id INT)", "DROP TABLE audit_records", "ALTER TABLE api_keys ADD COLUMN more INT")


@pytest.fixture(scope="module")
def statements(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the script of compose says to MySQL, with the passwords of the compose file."""
    folder = tmp_path_factory.mktemp("mysql")
    (folder / "mysql").write_text(f"#!/bin/sh\ncat > {folder}/said\n")
    (folder / "mysql").chmod(0o755)
    subprocess.run(["sh", SCRIPT], env=PASSWORDS | {"PATH": f"{folder}:{os.environ['PATH']}"}, check=True)
    return [one for one in (folder / "said").read_text().split(";") if one.strip()]


@pytest.fixture(scope="module")
def migrated(mariadb: MariaDb, statements: list[str]) -> Iterator[MariaDb]:
    """A server with the accounts of compose, on which its job `migrate` has run."""
    mariadb.execute(*statements, *statements)  # may be repeated
    for package, service in (("risk_assessment", "risk"), ("debt_processing", "debt")):
        done = migrate(package, service, mariadb)
        assert done.code == 0, done.err
    yield mariadb
    mariadb.execute("DROP DATABASE risk", "DROP DATABASE debt", *(f"DROP USER {name}" for name in ACCOUNTS))


def migrate(package: str, service: str, server: MariaDb) -> Done:
    variables = {f"{service.upper()}_DATABASE_URL": url(server, service, f"{service}_owner")}
    return run_service(package, "migrate", "--grant-to", service, cwd=SCRIPT.parent, env=environment(**variables))


def url(server: MariaDb, service: str, account: str) -> str:
    password = PASSWORDS[f"{account.upper()}_MYSQL_PASSWORD"]
    return f"mysql+pymysql://{account}:{password}@127.0.0.1:{server.port}/{service}"


def execute(server: MariaDb, service: str, statement: str) -> None:
    """Run a statement as the service's processes."""
    password = PASSWORDS[f"{service.upper()}_MYSQL_PASSWORD"]
    host = {"host": "127.0.0.1", "port": server.port, "user": service, "password": password, "database": service}
    with pymysql.connect(**host, autocommit=True) as connection, connection.cursor() as cursor:  # type: ignore[arg-type]
        cursor.execute(statement)


@pytest.mark.parametrize("service", ["risk", "debt"])
@pytest.mark.parametrize("statement", OF_THE_HISTORY + OF_THE_SCHEMA)
def test_a_process_rewrites_no_history_and_no_schema(migrated: MariaDb, service: str, statement: str) -> None:
    with pytest.raises(pymysql.MySQLError) as refused:
        execute(migrated, service, statement)

    assert refused.value.args[0] in DENIED


def test_a_process_does_not_see_the_database_of_the_other_service(migrated: MariaDb) -> None:
    with pytest.raises(pymysql.MySQLError) as refused:
        execute(migrated, "risk", "SELECT * FROM debt.api_keys")

    assert refused.value.args[0] in DENIED


def test_the_whole_system_works_with_these_accounts(migrated: MariaDb, tmp_path: Path) -> None:
    system = System(tmp_path, url(migrated, "risk", "risk"), url(migrated, "debt", "debt"))
    try:
        system.start("sqs")
        made = system.run_command("risk_assessment", "generate-debtors", "--count", "300", "--clear")
        assert made.code == 0, made.err
        system.start("risk-api", "debt-api", "dispatcher", "consumer")
        system.until_ready()

        run = system.start_run(batch_size=50)
        ended = system.wait_until_over(run["id"], 90)
        cleared = system.run_command("risk_assessment", "generate-debtors", "--count", "10", "--clear")
    finally:
        system.close()

    assert ended["state"] == "completed"
    assert cleared.code == 0, cleared.err


@pytest.mark.parametrize(("package", "service"), [("risk_assessment", "risk"), ("debt_processing", "debt")])
def test_keys_are_made_and_revoked_with_these_accounts(migrated: MariaDb, package: str, service: str) -> None:
    variables = environment(**{f"{service.upper()}_DATABASE_URL": url(migrated, service, service)})
    for command in (["create-key", "--name", "console", "--role", "viewer"], ["revoke-key", "console"]):
        done = run_service(package, *command, cwd=SCRIPT.parent, env=variables)
        assert done.code == 0, done.err
