"""A private MariaDB or MySQL server that can be killed and started again on its data, as a crash would have it."""

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.processes import eventually, free_port, is_listening, start, stop
from tests.support.servers import MariaDb, _install, temporary_files


class MortalMariaDb:
    """A server with durable commits whose process a test may end in any way."""

    def __init__(self, program: str, folder: Path) -> None:
        self._user = [f"--user={getpass.getuser()}"] if os.geteuid() == 0 else []
        _install(program, folder, self._user)
        self.server = MariaDb(free_port())
        self._command = [
            program,
            "--no-defaults",
            *self._user,
            f"--datadir={folder / 'data'}",
            temporary_files(folder),
            f"--socket={folder / 'sock'}",
            f"--pid-file={folder / 'pid'}",
            f"--port={self.server.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=32M",
        ]
        self._log = folder / "log"
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Start it, recovering what was committed, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = start(self._command, stdout=log, stderr=subprocess.STDOUT)
        eventually(lambda: is_listening(self.server.port), 60, "the database server listening")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """An orderly end."""
        if self._process is not None:
            stop(self._process)


@contextlib.contextmanager
def mortal_mariadb(program: str) -> Iterator[MortalMariaDb]:
    """Run such a server; its data is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sr-mortal-"))  # a socket's path may have 107 bytes only
    database = MortalMariaDb(program, folder)
    try:
        database.start()
        yield database
    finally:
        database.kill()
        shutil.rmtree(folder, ignore_errors=True)
