"""Passwords that change while a process runs: read from a file, or signed for RDS, each time a connection is opened.

The URL says which: `password_file=PATH`, or `iam=true`. A password that is not available now is an outage.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from service_kit.database.urls import IAM, PASSWORD_FILE, database_url
from service_kit.text_files import read_secret

Password = Callable[[], str]

TOKEN_SECONDS = 900  # how long RDS accepts a token for a new connection; one is signed for each, which takes no network
_DEFAULT_PORT = 3306
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html: tokens name the endpoint itself.
_RDS_HOST = re.compile(r".+\.([a-z0-9-]+)\.rds\.amazonaws\.com|.+\.rds\.(cn-[a-z0-9-]+)\.amazonaws\.com\.cn")


class PasswordUnavailable(SQLAlchemyError):  # noqa: N818 - named by its consequence
    """There is no password to open a connection with; the message says why."""


def with_password_from(url: URL, file: Path | None, iam: bool) -> URL:
    """Return the URL with where its password comes from. Raises ValueError when that does not fit the URL."""
    if file is not None:
        url = url.update_query_dict({PASSWORD_FILE: str(file)})
    if iam:
        url = url.update_query_dict({IAM: "true"})
    _check(url)
    return database_url(url)


def password_of(url: URL) -> tuple[URL, Password | None]:
    """Return the URL as a driver takes it, and what returns the password of a new connection, if that may change."""
    _check(url)
    file, plain = url.query.get(PASSWORD_FILE), url.difference_update_query([PASSWORD_FILE, IAM])
    if file is not None:
        return plain, lambda: _read(Path(str(file)))
    return plain, (lambda: _token(plain)) if url.query.get(IAM) == "true" else None


def supply(engine: Engine, password: Password | None) -> None:
    """Ask for the password each time the engine opens a connection."""
    name = "passwd" if engine.driver == "mysqldb" else "password"
    if password is not None:
        event.listen(engine, "do_connect", lambda _dialect, _record, _args, named: named.update({name: password()}))


def _check(url: URL) -> None:
    iam = url.query.get(IAM, "false")
    if iam not in ("true", "false"):
        raise ValueError("the database URL's iam must be true or false")
    sources = [url.password is not None, PASSWORD_FILE in url.query, iam == "true"]
    if sum(sources) > 1:
        raise ValueError("the database's password is in its URL, in a file, or signed by IAM: choose one of them")
    if any(sources[1:]) and (url.get_backend_name() != "mysql" or not url.username):
        raise ValueError("a password from a file or by IAM needs a MySQL URL with a user name")
    if iam == "true":
        _check_iam(url)


def _check_iam(url: URL) -> None:
    if not _region(url.host or ""):
        raise ValueError("IAM needs the endpoint of RDS itself as the host, such as x.abc.eu-west-1.rds.amazonaws.com")
    # The token travels as it is, and mysqlclient has no way to allow that.
    if url.get_driver_name() != "pymysql" or "ssl_ca" not in url.query:
        raise ValueError("IAM needs mysql+pymysql and TLS: write ssl_ca=/path/to/ca.pem")


def _read(file: Path) -> str:
    try:
        return read_secret(file)
    except ValueError as error:
        raise PasswordUnavailable(f"the database's password is not available: {error}") from None


def _token(url: URL) -> str:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - 0.1 s that only IAM needs

    try:
        return _signed(str(url.host), url.port or _DEFAULT_PORT, str(url.username))
    except BotoCoreError as error:
        raise PasswordUnavailable(f"no token for the database could be signed: {type(error).__name__}") from None


def _signed(host: str, port: int, user: str) -> str:
    # What botocore's `generate_db_auth_token` returns, without a client of RDS, whose description takes a megabyte.
    from botocore.auth import SigV4QueryAuth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    request = AWSRequest("GET", f"https://{host}:{port}/?{urlencode({'Action': 'connect', 'DBUser': user})}")
    SigV4QueryAuth(_aws_credentials(), "rds-db", _region(host), TOKEN_SECONDS).add_auth(request)
    return str(request.url).removeprefix("https://")


def _region(host: str) -> str:
    found = _RDS_HOST.fullmatch(host)
    return str(found[1] or found[2]) if found else ""


@lru_cache(maxsize=1)
def _aws_credentials() -> Any:
    # Once a process: they renew themselves when they are read.
    from botocore.session import get_session  # noqa: PLC0415

    return get_session().get_credentials()
