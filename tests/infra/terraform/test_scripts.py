"""The image, and the small programs beside Terraform: they prepare a database and change a password."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest
from tests.infra.terraform.source import AWS
from tests.support.servers import MariaDb


def test_the_linter_has_nothing_to_say_of_the_image():
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, AWS / "image/Dockerfile"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_preparing_makes_a_database_and_a_user_who_sees_nothing_else(mariadb: MariaDb):
    script = AWS / "modules/services/prepare_database.py"

    def prepare(password: str) -> str:
        url = f"mysql+pymysql://prepared:{password}@127.0.0.1:{mariadb.port}/prepared"
        env = {**os.environ, "RISK_DATABASE_URL": url, "MASTER_USERNAME": "root", "MASTER_PASSWORD": ""}
        command = [sys.executable, "-c", script.read_text(encoding="utf-8"), "RISK_DATABASE_URL"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert password not in done.stdout + done.stderr
        return done.stdout

    def databases(password: str) -> set[str]:
        connection = pymysql.connect(host="127.0.0.1", port=mariadb.port, user="prepared", password=password)
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW DATABASES")
            return {row[0] for row in cursor.fetchall()}

    try:
        assert prepare("first") == "database prepared is there, and user prepared has the password of the URL\n"
        assert databases("first") == {"information_schema", "prepared"}
        prepare("second")
        assert databases("second") == {"information_schema", "prepared"}
        with pytest.raises(pymysql.OperationalError):
            databases("first")
    finally:
        mariadb.execute("DROP DATABASE IF EXISTS prepared", "DROP USER IF EXISTS prepared@'%'")


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
