"""What may stand in a database URL; what may not is named before anything is opened, and no password is shown."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL
from tests.support.certificates import authority

from service_kit.database.engine import Database
from service_kit.database.urls import database_url

HINT = "write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23 and % as %25"
SERVER = "mysql+pymysql://root:hunter2@localhost/x"


def complaint(url: str) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        database_url(url)
    for part in ("hunter2", "hun", "ter2"):
        assert part not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite://", "names no database"),
        ("sqlite:///:memory:", "names no database"),
        ("sqlite://x.db", "three or four slashes"),
        ("mysql+pymysql://root:hunter2@localhost", "names no database"),
        ("postgresql://root:hunter2@localhost/x", "unknown database driver 'postgresql'"),
        ("mysql://root:hunter2@localhost/x", "unknown database driver 'mysql'"),
        ("hunter2", "not a database URL"),
        ("mysql+pymysql://root:hunter2@localhost/a\nb", "one line"),
        (f"{SERVER} ?connect_timeout=3", "cannot be read"),
        ("mysql+pymysql://root:hunter2@local host/x", "cannot be read"),
    ],
)
def test_an_unusable_url_is_rejected_without_its_password(url: str, expected: str) -> None:
    assert expected in complaint(url)


@pytest.mark.parametrize("space", ["\n", " ", "\r\n", "\t"])
def test_white_space_around_a_url_counts_for_nothing(space: str) -> None:
    assert database_url(f"{space}{SERVER}{space}") == database_url(SERVER)
    assert database_url(f"sqlite:///x.db{space}").database == "x.db"


@pytest.mark.parametrize(
    "password",
    ["hun@ter2", "@hunter2", "hun@te:ter2", "hun@te/ter2", "hun@te?ter2", "hun@te#ter2", "hunter2%", "hun%te"],
)
def test_a_password_that_must_be_escaped_is_answered_with_how(password: str) -> None:
    assert HINT in complaint(f"mysql+pymysql://root:{password}@localhost:3306/x")


@pytest.mark.parametrize("written", ["hun%40ter2", "hun/ter2", "hun:ter2", "hun#ter2", "hun%25ter2", "hun ter2"])
def test_a_password_that_can_be_read_is_read(written: str) -> None:
    parsed = database_url(f"mysql+pymysql://root:{written}@[::1]:3307/x")

    assert parsed.password == written.replace("%40", "@").replace("%25", "%")
    assert (parsed.host, parsed.port, parsed.database) == ("::1", 3307, "x")
    assert written not in repr(parsed)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=require", "unknown parameter sslmode: for TLS write ssl_ca=/path/to/ca.pem"),
        ("useSSL=true", "for TLS write ssl_ca="),
        ("ssl_mode=VERIFY_IDENTITY", "for TLS write ssl_ca="),  # of the other driver
        ("ssl_disabled=false", "for TLS write ssl_ca="),  # the driver takes any text for true
        ("ssl_verify_cert=true", "for TLS write ssl_ca="),  # the driver would forget the CA
        ("connect_timout=3", "unknown parameter connect_timout; the nearest known one is connect_timeout"),
        ("init_command=SELECT+1", "unknown parameter init_command"),
        ("autocommit=true", "unknown parameter autocommit"),
        ("sql_mode=ANSI", "unknown parameter sql_mode"),
        ("x y=hunter2", "parameter that cannot be read"),
        ("ssl_ca=", "parameter ssl_ca needs one value"),
        ("ssl_ca", "parameter ssl_ca needs one value"),
        ("read_timeout=3&read_timeout=4", "parameter read_timeout needs one value"),
        ("read_timeout=soon", "read_timeout must be a whole number"),
        ("charset=latin1", "charset must be utf8mb4"),
        ("charset=utf8", "charset must be utf8mb4"),
        ("collation=latin1_bin", "charset must be utf8mb4"),
        ("ssl_ca=/missing/ca.pem", "ssl_ca cannot be read: /missing/ca.pem: No such file"),
        ("ssl_key=/missing/key.pem", "ssl_key cannot be read"),
        ("ssl_capath=/missing", "ssl_capath is no folder: /missing"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, expected: str) -> None:
    assert expected in complaint(f"{SERVER}?{query}")


def test_a_ca_must_hold_certificates(tmp_path: Path) -> None:
    ours = authority(tmp_path, "ours")
    (tmp_path / "notes.pem").write_text("to do")

    assert "ssl_ca holds no certificates" in complaint(f"{SERVER}?ssl_ca={tmp_path / 'notes.pem'}")
    for driver, more in (("pymysql", ""), ("mysqldb", "&ssl_mode=VERIFY_IDENTITY")):
        url = SERVER.replace("pymysql", driver)
        assert database_url(f"{url}?ssl_ca={ours.file}&charset=utf8mb4&connect_timeout=3{more}").host == "localhost"


def test_the_options_of_a_sqlite_file_are_few() -> None:
    assert "write ? in its path as %3F" in complaint("sqlite:////data/Q4? books/risk.db")
    assert "write ? in its path as %3F" in complaint("sqlite:///risk.db?timeout=5")
    read_only = database_url("sqlite:///file:/data/a%20b.db?mode=ro&uri=true")
    assert read_only == URL.create("sqlite", database="file:/data/a%20b.db", query={"mode": "ro", "uri": "true"})


def test_a_sqlite_file_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "Q4? 100% #1 @home"
    for name in (str(folder / "risk.db").replace("%", "%25").replace("?", "%3F"), str(tmp_path / "plain.db")):
        database = Database(f"sqlite:///{name}")
        with database.write() as connection:
            connection.execute(text("CREATE TABLE t (id INT)"))
        database.dispose()

    assert (folder / "risk.db").is_file()
    assert {path.name for path in tmp_path.iterdir()} >= {folder.name, "plain.db"}
