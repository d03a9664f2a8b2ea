"""The image, and the small programs beside Terraform: they prepare a database, and change passwords and keys."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest
from tests.infra.terraform.source import AWS
from tests.support.processes import environment, run_service
from tests.support.servers import MariaDb


def test_the_linter_has_nothing_to_say_of_the_image():
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, AWS / "image/Dockerfile"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


class Preparation:
    """The task `prepare-risk` over a private server, whose accounts are `prepared` and `prepared_owner`."""

    def __init__(self, server: MariaDb) -> None:
        self.server = server

    def url(self, user: str, password: str) -> str:
        return f"mysql+pymysql://{user}:{password}@127.0.0.1:{self.server.port}/prepared"

    def run(self, password: str, owner: str = "prepared_owner") -> "subprocess.CompletedProcess[str]":
        urls = {"RISK_DATABASE_URL": self.url("prepared", password), "OWNER_DATABASE_URL": self.url(owner, password)}
        script = (AWS / "modules/services/prepare_database.py").read_text(encoding="utf-8")
        command = [sys.executable, "-c", script, "RISK_DATABASE_URL"]
        env = {**os.environ, **urls, "MASTER_USERNAME": "root", "MASTER_PASSWORD": ""}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert password not in done.stdout + done.stderr
        return done

    def execute(self, user: str, password: str, statement: str) -> set[str]:
        connection = pymysql.connect(host="127.0.0.1", port=self.server.port, user=user, password=password)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return {row[0] for row in cursor.fetchall()}


@pytest.fixture
def preparation(mariadb: MariaDb) -> Iterator[Preparation]:
    yield Preparation(mariadb)
    mariadb.execute(
        "DROP DATABASE IF EXISTS prepared", "DROP USER IF EXISTS prepared@'%'", "DROP USER IF EXISTS prepared_owner@'%'"
    )


def test_preparing_makes_a_database_and_an_owner_who_sees_nothing_else(preparation: Preparation):
    done = preparation.run("first")

    assert done.stdout.startswith("database prepared is there"), done.stderr
    assert preparation.execute("prepared_owner", "first", "SHOW DATABASES") == {"information_schema", "prepared"}
    assert preparation.execute("prepared", "first", "SHOW DATABASES") == {"information_schema"}


def test_preparing_again_changes_the_passwords(preparation: Preparation):
    preparation.run("first")
    preparation.run("second")

    for user in ("prepared", "prepared_owner"):
        assert preparation.execute(user, "second", "SELECT 1") == {1}
        with pytest.raises(pymysql.OperationalError):
            preparation.execute(user, "first", "SELECT 1")


def test_the_account_of_the_processes_gets_its_rights_from_the_migration(preparation: Preparation, tmp_path: Path):
    preparation.run("first")
    variables = environment(RISK_DATABASE_URL=preparation.url("prepared_owner", "first"))
    migrated = run_service("risk_assessment", "migrate", "--grant-to", "prepared", cwd=tmp_path, env=variables)

    assert migrated.code == 0, migrated.err
    assert preparation.execute("prepared", "first", "SELECT count(*) FROM prepared.audit_records") == {0}
    for statement in (
        "DELETE FROM prepared.audit_records",
        "DROP TABLE prepared.runs",
        "CREATE TABLE prepared.x (i INT)",
    ):
        with pytest.raises(pymysql.OperationalError, match="denied"):
            preparation.execute("prepared", "first", statement)


def test_the_owner_and_the_processes_need_accounts_of_their_own(preparation: Preparation):
    done = preparation.run("first", owner="prepared")

    assert done.returncode == 1
    assert done.stderr == "the URLs must name one database and two users\n"


def test_a_new_password_goes_into_the_secret_within_the_whole_url(tmp_path):
    if shutil.which("jq") is None:
        pytest.skip("no jq on this machine: database-password.sh is not tried")
    urls = {"risk": {"secret": "s/risk-database-url", "before": "mysql+pymysql://risk:", "after": "@db:3306/risk"}}
    put, said = tmp_path / "put", tmp_path / "said"
    programs = {
        "terraform": f"echo '{json.dumps(urls)}'",
        "aws": f'test "$2" = get-random-password && echo drawn || {{ cat > {put}; echo "$@" > {said}; }}',
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(AWS / "database-password.sh"), "risk"]

    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(put.read_text(encoding="utf-8")) == {
        "SecretId": "s/risk-database-url",
        "SecretString": "mysql+pymysql://risk:drawn@db:3306/risk",
    }
    assert "drawn" not in said.read_text(encoding="utf-8") + done.stdout + done.stderr
    assert subprocess.run([*command[:-1], "other"], env=env, capture_output=True, check=False).returncode != 0


AWS_STAND_IN = """#!/bin/sh
# Secrets Manager with one secret, in a file; $ERROR is what it complains of.
echo "$@" >> "$STORE.said"
case $2 in
get-secret-value)
    [ -z "${ERROR:-}" ] || { echo "An error occurred ($ERROR)" >&2; exit 254; }
    [ -s "$STORE" ] || { echo "An error occurred (ResourceNotFoundException)" >&2; exit 254; }
    cat "$STORE" ;;
put-secret-value) jq --raw-output --join-output .SecretString > "$STORE.new" && mv "$STORE.new" "$STORE" ;;
esac
"""


@dataclass
class Keys:
    """message-keys.sh over a stand-in of AWS, and the keys that are in the secret."""

    folder: Path

    @property
    def kept(self) -> list[str]:
        store = self.folder / "keys"
        return store.read_text(encoding="utf-8").split(",") if store.exists() else []

    def put(self, *keys: str) -> None:
        (self.folder / "keys").write_text(",".join(keys), encoding="utf-8")

    def run(self, *arguments: str, error: str = "") -> "subprocess.CompletedProcess[str]":
        path = f"{self.folder}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "STORE": str(self.folder / "keys"), "ERROR": error}
        command = ["sh", AWS / "message-keys.sh", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        said = (self.folder / "keys.said").read_text(encoding="utf-8") if (self.folder / "keys.said").exists() else ""
        assert not [key for key in self.kept if key.partition(":")[2] in said + done.stdout + done.stderr]
        return done


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    if shutil.which("jq") is None:
        pytest.skip("no jq on this machine: message-keys.sh is not tried")
    for name, body in {"aws": AWS_STAND_IN, "terraform": "#!/bin/sh\necho s/message-keys\n"}.items():
        (tmp_path / name).write_text(body, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return Keys(tmp_path)


OLD, NEW = f"20260101000000:{'a' * 64}", f"20270101000000:{'b' * 64}"


def test_the_first_message_key_is_made(keys: Keys):
    assert keys.run("add").returncode == 0

    [key] = keys.kept
    assert re.fullmatch(r"\d{14}:[0-9a-f]{64}", key)


def test_a_new_message_key_verifies_before_it_signs_and_the_old_one_is_kept(keys: Keys):
    keys.put(OLD)

    keys.run("add")
    first, new = keys.kept
    assert first == OLD

    keys.run("use")
    assert keys.kept == [new, OLD]

    keys.run("drop")
    assert keys.kept == [new]


def test_no_two_message_keys_are_alike(keys: Keys):
    keys.run("add")
    [first] = keys.kept
    (keys.folder / "keys").unlink()
    keys.run("add")

    assert keys.kept[0].partition(":")[2] != first.partition(":")[2]


@pytest.mark.parametrize("kept", [[NEW, OLD], [NEW]])
def test_an_old_message_key_never_signs_again(keys: Keys, kept: list[str]):
    keys.put(*kept)
    done = keys.run("use")

    assert (done.returncode, done.stderr) == (1, "the newest key signs already\n")
    assert keys.kept == kept


@pytest.mark.parametrize("step", ["add", "use", "drop"])
def test_message_keys_that_cannot_be_read_are_not_replaced(keys: Keys, step: str):
    keys.put(OLD)
    done = keys.run(step, error="AccessDeniedException")

    assert done.returncode == 1
    assert "AccessDeniedException" in done.stderr
    assert keys.kept == [OLD]


@pytest.mark.parametrize(("step", "code"), [("use", 1), ("drop", 1), ("", 1)])
def test_without_a_message_key_there_is_none_to_use(keys: Keys, step: str, code: int):
    assert keys.run(step).returncode == code
    assert keys.kept == []


def test_a_step_that_is_none_is_refused(keys: Keys):
    keys.put(OLD)

    assert keys.run("rotate").returncode == 2
    assert keys.kept == [OLD]
