"""The real servers that tests talk to: moto for SQS, and a private MariaDB or MySQL with its own data and port."""

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql
from tests.support.processes import free_port, running, serving

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


@contextmanager
def moto_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a local SQS and yield its address. Give a port to start it again where it was."""
    port = port or free_port()
    where = ("-H", "127.0.0.1", "-p", str(port))
    with serving("moto.server", *where, port=port, log=folder / f"moto-{port}.log", cwd=folder):
        yield f"http://127.0.0.1:{port}"


@dataclass(frozen=True)
class MariaDb:
    """A private server whose user root has no password."""

    port: int
    process_id: int = 0

    def url(self, database: str, user: str = "root") -> str:
        return f"mysql+pymysql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str) -> None:
        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True) as connection:
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(statement)


def find_mariadb() -> str | None:
    """Return the program of a MariaDB or MySQL server, if there is one; TEST_MYSQLD chooses among several."""
    return (
        os.environ.get("TEST_MYSQLD")
        or shutil.which("mariadbd", path=SEARCH_PATH)
        or shutil.which("mysqld", path=SEARCH_PATH)
    )


@contextmanager
def mariadb_server(program: str, *options: str) -> Iterator[MariaDb]:
    """Run a server with durable commits and small buffers on data of its own, which is removed at the end."""
    # Not below pytest's folder: a socket's path may have 107 bytes only.
    folder = Path(tempfile.mkdtemp(prefix="sr-mariadb-"))
    user = [f"--user={getpass.getuser()}"] if os.geteuid() == 0 else []
    try:
        is_mysql = _install(program, folder, user)
        port = free_port()  # at the last moment: during seconds of installing, some client may get it
        command = [
            program,
            "--no-defaults",
            *user,
            f"--datadir={folder / 'data'}",
            temporary_files(folder),
            f"--socket={folder / 'sock'}",
            f"--pid-file={folder / 'pid'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            *(["--mysqlx=OFF", f"--init-file={_root(folder)}"] if is_mysql else ["--innodb-log-file-size=32M"]),
            *options,
        ]
        with running(command, port, folder / "log") as server:
            yield MariaDb(port, server.pid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def temporary_files(folder: Path) -> str:
    """Return the option for a folder of its own: a server that starts deletes the temporary files that it finds."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return f"--tmpdir={temporary}"


def _install(program: str, folder: Path, user: list[str]) -> bool:
    """Make the data folder; return whether the server is a MySQL."""
    data = [f"--datadir={folder / 'data'}", temporary_files(folder)]
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    is_mysql = "MariaDB" not in version
    installer = shutil.which("mariadb-install-db", path=SEARCH_PATH)
    if not is_mysql and installer is not None:
        command = [
            installer,
            "--no-defaults",
            *user,
            *data,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
    else:
        command = [program, "--no-defaults", *user, *data, "--initialize-insecure"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return is_mysql


def _root(folder: Path) -> Path:
    """MySQL knows root on its socket only, under the name localhost."""
    statements = folder / "root.sql"
    statements.write_text("CREATE USER IF NOT EXISTS root@127.0.0.1; GRANT ALL ON *.* TO root@127.0.0.1;\n")
    return statements
