"""What the local system consists of: its environment, its databases, its processes."""

import fcntl
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from service_kit.private_files import FOLDER_MODE, make_private

LOCAL_MAX_OUTSTANDING = 40
"""The local SQS slows down with its backlog, so the local stack never lets one grow."""
LOCAL_RESEND_AFTER_SECONDS = 20
"""The local SQS forgets everything when it dies, so what it lost is sent again soon."""

LOCAL_AWS = {
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""All that AWS's client may know when the SQS is our own. With the profile that a shell has chosen for work it would
ask for a login, and sign with keys that are none of the local SQS's business."""
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
_PARTS_OF_LOCAL = ("moto", "flask", "flask_cors", "werkzeug")  # what moto's server is made of

_DATABASES = ("risk.db", "debt.db")
_DATABASE_SUFFIXES = ("", "-wal", "-shm")
_LOCK = ".lock"
_OUR_FILES = {_LOCK, "demo.log"} | {f"{name}{suffix}" for name in _DATABASES for suffix in _DATABASE_SUFFIXES}


@dataclass(frozen=True, slots=True)
class Command:
    """One process of the system."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """A local system: its data folder and its loopback ports; without a port the console is left out."""

    data_dir: Path
    risk_port: int
    debt_port: int
    sqs_port: int
    console_port: int | None = None

    @property
    def risk_url(self) -> str:
        """The address of the risk API."""
        return f"http://127.0.0.1:{self.risk_port}"

    @property
    def debt_url(self) -> str:
        """The address of the debt API."""
        return f"http://127.0.0.1:{self.debt_port}"

    @property
    def console_url(self) -> str | None:
        """The address of the console, if it runs."""
        return f"http://127.0.0.1:{self.console_port}" if self.console_port else None

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the processes' environment: given values stay, missing ones get their local value."""
        data = self.data_dir.resolve()
        proxied = _around_proxies(given)
        if self.needs_sqs(given):
            given = {name: value for name, value in given.items() if not name.startswith("AWS_")} | LOCAL_AWS
        local = {
            # A folder's name may have a ? or a %, which mean something else in a URL.
            "RISK_DATABASE_URL": f"sqlite:///{quote(str(data / 'risk.db'))}",
            "DEBT_DATABASE_URL": f"sqlite:///{quote(str(data / 'debt.db'))}",
            "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{self.sqs_port}",
            "RISK_MAX_OUTSTANDING": str(LOCAL_MAX_OUTSTANDING),
            "RISK_RESEND_AFTER_SECONDS": str(LOCAL_RESEND_AFTER_SECONDS),
            "RECOVERY_CREATE_QUEUES": "true",
        }
        ours = {
            "RISK_HOST": "127.0.0.1",
            "RISK_PORT": str(self.risk_port),
            "DEBT_HOST": "127.0.0.1",
            "DEBT_PORT": str(self.debt_port),
            "RISK_API_URL": self.risk_url,
            "DEBT_API_URL": self.debt_url,
            "CONSOLE_HOST": "127.0.0.1",
            "CONSOLE_PORT": str(self.console_port or 0),
            "PYTHONUNBUFFERED": "1",
        }
        return local | {name: value for name, value in given.items() if value} | ours | proxied

    def needs_sqs(self, given: Mapping[str, str]) -> bool:
        """Return whether a local SQS has to be started."""
        return not given.get("AWS_ENDPOINT_URL_SQS")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create and lock the data folder: two systems on the same databases would take each other's batches.

        Raises OSError when another system has it. The lock ends with this process, however it ends. The folder becomes
        private to its owner, unless it contains what is not ours.
        """
        self.data_dir.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        if {path.name for path in self.data_dir.iterdir()} <= _OUR_FILES:
            make_private(self.data_dir)
        with (self.data_dir / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                refusal = f"another smartrecover is using {self.data_dir}: stop it, or choose another --data-dir"
                raise OSError(error.errno, refusal) from error
            yield

    def forget(self) -> None:
        """Delete the SQLite files of the data dir; databases elsewhere are not touched."""
        for name in _DATABASES:
            for suffix in _DATABASE_SUFFIXES:
                (self.data_dir / f"{name}{suffix}").unlink(missing_ok=True)

    def sqs(self) -> Command:
        """Return the local SQS."""
        return Command("sqs", _python("smartrecover.local_sqs", "--host", "127.0.0.1", "--port", str(self.sqs_port)))

    def migrations(self) -> tuple[Command, ...]:
        """Return what brings both databases up to date."""
        return (
            Command("risk-migrate", _python("risk_assessment", "migrate")),
            Command("debt-migrate", _python("debt_processing", "migrate")),
        )

    def services(self) -> tuple[Command, ...]:
        """Return the four processes, and the console where it runs."""
        console = (Command("console", _python("recovery_console", "serve")),) if self.console_port else ()
        return (
            Command("risk-api", _python("risk_assessment", "serve")),
            Command("dispatcher", _python("risk_assessment", "dispatch")),
            Command("debt-api", _python("debt_processing", "serve")),
            Command("consumer", _python("debt_processing", "consume")),
            *console,
        )


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def check_ports(*ports: int) -> None:
    """Raise OSError naming the port when one of them is taken."""
    for port in ports:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError as error:
                raise OSError(
                    error.errno, f"port {port} is taken: stop what listens there or choose another"
                ) from error


def check_installed() -> None:
    """Raise ModuleNotFoundError, which says what to install, when the local SQS is not."""
    missing = [name for name in _PARTS_OF_LOCAL if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"the local SQS is not installed ({', '.join(missing)} is missing): "
            "pip install 'smartrecover[local]', or set AWS_ENDPOINT_URL_SQS"
        )


def own_environment() -> dict[str, str]:
    """Return this process's environment."""
    return dict(os.environ)


def _around_proxies(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep requests to this machine from going through a proxy; others still do.

    Some programs read one of the two, some the other.
    """
    named = [given.get(name, "") for name in ("NO_PROXY", "no_proxy")]
    hosts = ",".join([*filter(None, dict.fromkeys(named)), *LOOPBACK_NAMES])
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)
