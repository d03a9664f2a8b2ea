"""Database URLs: what may stand in one, checked before anything is opened. No error ever shows a password."""

import re
import ssl
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

PASSWORD_FILE = "password_file"  # noqa: S105 - a parameter's name
IAM = "iam"

_DRIVERS = {"sqlite", "sqlite+pysqlite", "mysql+pymysql", "mysql+mysqldb"}
_NUMBERS = {"connect_timeout", "read_timeout", "write_timeout", "max_allowed_packet"}
_FILES = {"ssl_ca", "ssl_cert", "ssl_key", PASSWORD_FILE}
_SHARED = (_NUMBERS - {"max_allowed_packet"}) | _FILES
_SHARED |= {"ssl_capath", "ssl_cipher", "ssl_check_hostname", "charset", "collation", "unix_socket", IAM}
_PARAMETERS = {
    "mysql+pymysql": _SHARED | {"max_allowed_packet", "bind_address", "program_name"},
    "mysql+mysqldb": _SHARED | {"ssl_mode", "compress"},
}
_SQLITE_OPTIONS = {"uri", "mode"}
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[\w.:%-]*")
_PARAMETER = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ENCODE = "in a user name or password write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23 and % as %25"
_TLS = "for TLS write ssl_ca=/path/to/ca.pem"


def database_url(url: str | URL) -> URL:
    """Parse and check a database URL, with the files that it names. Raises ValueError.

    White space around it counts for nothing, as a file or a copied line leaves it there. In the path of a SQLite file
    a percent escape stands for its character.
    """
    parsed = _parsed(url.strip()) if isinstance(url, str) else url
    if parsed.drivername not in _DRIVERS:
        raise ValueError(f"unknown database driver {parsed.drivername!r}; use sqlite, mysql+pymysql or mysql+mysqldb")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("the database URL names no database (in-memory SQLite is not supported)")
    if parsed.get_backend_name() == "mysql":
        _check_server(parsed)
    return parsed


def _parsed(text: str) -> URL:
    if _CONTROL.search(text):
        raise ValueError("a database URL is one line, without control characters")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError("not a database URL; write sqlite:///file.db or mysql+pymysql://user@host/name")
    if scheme.startswith("sqlite"):
        return _sqlite(scheme, rest)
    user, _, place = rest.rpartition("@")
    if "@" in user or _BROKEN_ESCAPE.search(user):
        raise ValueError(f"the database URL cannot be read: {_ENCODE}")
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):  # its text would show what it took for a port
        raise ValueError(f"the database URL cannot be read: {_ENCODE}") from None
    if scheme in _PARAMETERS:
        _check_parameters(scheme, parse_qsl(place.partition("?")[2], keep_blank_values=True))
    return parsed


def _sqlite(scheme: str, rest: str) -> URL:
    # SQLAlchemy would leave escapes in the path as they are, and take what follows a ? for options of its driver.
    path, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= _SQLITE_OPTIONS:
        raise ValueError("the URL of a SQLite file has no such parameter: write ? in its path as %3F, and % as %25")
    if path and not path.startswith("/"):
        raise ValueError("write sqlite:///relative.db or sqlite:////absolute.db, with three or four slashes")
    # SQLite itself reads the escapes of a file: URI.
    return URL.create(scheme, database=path[1:] if options else unquote(path[1:]), query=options)


def _check_parameters(scheme: str, given: Iterable[tuple[str, str]]) -> None:
    seen = set[str]()
    for name, value in given:
        if name not in _PARAMETERS[scheme]:
            raise ValueError(_unknown(name, _PARAMETERS[scheme]))
        if not value or name in seen:
            raise ValueError(f"the database URL's parameter {name} needs one value")
        seen.add(name)


def _unknown(name: str, known: set[str]) -> str:
    if not _PARAMETER.fullmatch(name):
        return f"the database URL has a parameter that cannot be read: {_ENCODE}"
    if any(word in name.lower() for word in ("ssl", "tls")):
        return f"the database URL has an unknown parameter {name}: {_TLS}"
    [meant] = get_close_matches(name, sorted(known), 1, 0) or ["charset"]
    return f"the database URL has an unknown parameter {name}; the nearest known one is {meant}"


def _check_server(url: URL) -> None:
    if not _HOST.fullmatch(url.host or "") or url.database != str(url.database).strip():
        raise ValueError(f"the database URL's host or name cannot be read: {_ENCODE}")
    query = {name: str(value) for name, value in url.query.items()}
    if query.get("charset", "utf8mb4") != "utf8mb4" or not query.get("collation", "utf8mb4_bin").startswith("utf8mb4_"):
        raise ValueError("the database URL's charset must be utf8mb4, or be left out")
    for name in _NUMBERS & query.keys():
        if not query[name].isdecimal():
            raise ValueError(f"the database URL's {name} must be a whole number")
    for name in _FILES & query.keys():
        _check_file(name, Path(query[name]))
    if (folder := query.get("ssl_capath")) and not Path(folder).is_dir():
        raise ValueError(f"the database URL's ssl_capath is no folder: {folder}")


def _check_file(name: str, file: Path) -> None:
    try:
        if name == "ssl_ca":
            ssl.create_default_context(cafile=file)
        else:
            file.read_bytes()
    except ssl.SSLError:
        raise ValueError(f"the database URL's {name} holds no certificates: {file}") from None
    except OSError as error:
        raise ValueError(f"the database URL's {name} cannot be read: {file}: {error.strerror}") from None
