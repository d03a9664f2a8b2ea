"""Who may read the files of a SQLite database."""

import os
from pathlib import Path

from sqlalchemy import text
from structlog.testing import capture_logs

from service_kit.database.engine import Database


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def write(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS things (id INTEGER)"))


def test_files_that_others_could_read_become_private_when_they_are_opened(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    url = f"sqlite:///{tmp_path / 'risk.db'}"
    before = Database(url)
    write(before)
    for name in ("risk.db", "risk.db-wal", "risk.db-shm"):
        (tmp_path / name).chmod(0o644)

    with capture_logs() as logs:
        after = Database(url)
    write(after)

    assert modes(tmp_path) == {"risk.db": 0o600, "risk.db-wal": 0o600, "risk.db-shm": 0o600}
    assert {log["event"] for log in logs} == {"file.made_private"}
    assert tmp_path.stat().st_mode & 0o777 == 0o755  # it may contain other things
    before.dispose()
    after.dispose()


def test_new_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    os.umask(0)
    database = Database(f"sqlite:///{tmp_path / 'risk.db'}")
    write(database)

    assert modes(tmp_path) == {"risk.db": 0o600, "risk.db-wal": 0o600, "risk.db-shm": 0o600}
    database.dispose()


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path / 'new' / 'risk.db'}").dispose()

    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
