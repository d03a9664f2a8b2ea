"""What the figures were measured on: the machine and the versions that decide the speed."""

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.support.servers import find_mariadb

PACKAGES = (
    "sqlalchemy",
    "pymysql",
    "mysqlclient",
    "aioboto3",
    "moto",
    "fastapi",
    "uvicorn",
    "uvloop",
    "pydantic",
    "orjson",
)


def describe() -> dict[str, str]:
    """The machine by name, for people and for JSON."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "mysql server": _mysql_server(),
        "packages": ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def has_mysqlclient() -> bool:
    """Whether the faster MySQL driver is installed."""
    return _version("mysqlclient") is not None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    return _line_of("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _memory() -> str:
    kibibytes = _line_of("/proc/meminfo", "MemTotal").split(" ")[0]
    return f"{int(kibibytes) / 1024**2:.0f} GiB" if kibibytes else "unknown"


def _line_of(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def _mysql_server() -> str:
    program = find_mariadb()
    if program is None:
        return "none"
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return printed.split("Ver", 1)[-1].strip()
