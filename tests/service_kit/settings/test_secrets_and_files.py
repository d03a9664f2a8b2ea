"""Settings as files and shells of all kinds give them: read where that is harmless, named where not, never shown."""

from pathlib import Path

import pytest

from debt_processing.settings import Settings as DebtSettings
from risk_assessment.settings import Settings as RiskSettings
from service_kit.settings import ServiceSettings, WrongSettingError, read_settings

SECRET = "not to be shown anywhere"
both_services = pytest.mark.parametrize("kind", [RiskSettings, DebtSettings], ids=["risk", "debt"])


@pytest.fixture(autouse=True)
def without_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this checkout's `.env` out of the tests."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "AWS_REGION=eu-west-1\n".encode("utf-8-sig"),
        b"AWS_REGION=eu-west-1\r\nRECOVERY_DOCS=false\r\n",
        "AWS_REGION=eu-west-1\r\n".encode("utf-16"),
        b"\xfe\xff" + "# Zoë\r\nAWS_REGION=eu-west-1\r\n".encode("utf-16-be"),
    ],
    ids=["utf-8 with a mark", "crlf", "utf-16", "utf-16-be"],
)
def test_a_file_is_read_as_windows_saves_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)

    assert read_settings(ServiceSettings).aws_region == "eu-west-1"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("A=1\n# Zoë\nRECOVERY_API_KEY=geheimnisvoll\n".encode("cp1252"), ".env: line 2 is not UTF-8: save the file"),
        ("RECOVERY_API_KEY=geheimnisvoll\n".encode("utf-16-le"), ".env: contains NUL characters: save the file"),
    ],
    ids=["cp1252", "utf-16 without a mark"],
)
def test_a_file_in_another_encoding_is_named_in_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / ".env").write_bytes(content)

    with pytest.raises(WrongSettingError) as caught:
        read_settings(ServiceSettings)

    assert str(caught.value).startswith(complaint)
    assert "geheimnis" not in str(caught.value)


@both_services
@pytest.mark.parametrize("space", ["\n", "\r\n", " ", "\r"])
def test_white_space_around_a_value_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch, kind: type[ServiceSettings], space: str
) -> None:
    given = {
        "AWS_REGION": "eu-west-1",
        "RECOVERY_LOG_LEVEL": "debug",
        "RECOVERY_DOCS": "false",
        "RECOVERY_API_KEY": SECRET.replace(" ", "-"),
        "RISK_DATABASE_URL": "mysql+pymysql://risk@db/risk",
        "DEBT_DATABASE_URL": "mysql+pymysql://debt@db/debt",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, f"{value}{space}")

    found = read_settings(kind)

    assert (found.aws_region, found.recovery_log_level, found.recovery_docs) == ("eu-west-1", "debug", False)
    assert found.recovery_api_key.get_secret_value() == given["RECOVERY_API_KEY"]
    assert getattr(found, database_setting(kind)).database in ("risk", "debt")


def database_setting(kind: type[ServiceSettings]) -> str:
    return "risk_database_url" if kind is RiskSettings else "debt_database_url"


@both_services
@pytest.mark.parametrize("key", ["srk_geheim\nnisvoll", "srk geheimnisvoll", "srk_geheimnisvöll", "\x00geheimnisvoll"])
def test_a_key_that_no_header_can_carry_is_named_and_never_shown(kind: type[ServiceSettings], key: str) -> None:
    with pytest.raises(WrongSettingError, match=r"^RECOVERY_API_KEY: must be one line") as caught:
        read_settings(kind, recovery_api_key=key)

    assert "geheim" not in str(caught.value)


@both_services
def test_nothing_that_shows_settings_shows_a_secret(kind: type[ServiceSettings]) -> None:
    url = "mysql+pymysql://user:geheimnisvoll@db/name"
    found = read_settings(
        kind,
        recovery_api_key="geheimnisvoll",
        recovery_message_keys="k:geheimnisvoll-geheimnisvoll",
        **{database_setting(kind): url},
    )

    for shown in (repr(found), str(found), str(found.model_dump()), str(getattr(found, database_setting(kind)))):
        assert "geheim" not in shown
    assert getattr(found, database_setting(kind)).password == "geheimnisvoll"


@both_services
@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql+pymysql://user:geheim@nisvoll@db/name", "write @ as %40"),
        ("mysql+pymysql://user:geheim@nis:voll@db/name", "write @ as %40"),
        ("mysql+pymysql://user:geheimnisvoll@db/name?sslmode=require", "for TLS write ssl_ca="),
        ("mysql+pymysql://user:geheimnisvoll@db/name?ssl_ca=/missing.pem", "ssl_ca cannot be read"),
        ("mysql+pymysql://user:geheimnisvoll@db/name?charset=latin1", "charset must be utf8mb4"),
        ("sqlite:////data/Q4? books/risk.db", "write ? in its path as %3F"),
    ],
)
def test_a_wrong_database_url_is_named_with_what_is_right(
    kind: type[ServiceSettings], url: str, complaint: str
) -> None:
    with pytest.raises(WrongSettingError) as caught:
        read_settings(kind, **{database_setting(kind): url})

    line = str(caught.value)
    assert line.startswith(f"{database_setting(kind).upper()}: ")
    assert complaint in line
    assert "geheim" not in line
    assert "nisvoll" not in line


@both_services
def test_secrets_are_read_from_files(kind: type[ServiceSettings], tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfsrk_1\r\n")
    (tmp_path / "keys").write_text(f"k:{SECRET}\n")
    (tmp_path / "password").write_text(f"{SECRET}\n")
    url, file = database_setting(kind), database_setting(kind).replace("url", "password_file")
    found = read_settings(
        kind,
        recovery_api_key_file=tmp_path / "key",
        recovery_message_keys_file=tmp_path / "keys",
        **{url: "mysql+pymysql://user@db/name", file: tmp_path / "password"},
    )

    assert found.recovery_api_key.get_secret_value() == "srk_1"
    assert found.message_keys.secrets == {"k": SECRET.encode()}
    assert getattr(found, url).query == {"password_file": str(tmp_path / "password")}
    assert SECRET not in repr(found)
    assert kind(**dict.fromkeys(("recovery_api_key_file", file), "")).recovery_api_key.get_secret_value() == ""


@both_services
@pytest.mark.parametrize("name", ["recovery_api_key", "recovery_message_keys"])
def test_a_secret_has_one_source(kind: type[ServiceSettings], name: str, tmp_path: Path) -> None:
    for content, given, wrong in (
        (f"k:{SECRET}".replace(" ", "-"), {name: f"k:{SECRET}".replace(" ", "-")}, name),
        ("two\nlines", {}, f"{name}_file"),
        ("", {}, f"{name}_file"),
        (None, {}, f"{name}_file"),
    ):
        file = tmp_path / "secret"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        with pytest.raises(WrongSettingError) as caught:
            read_settings(kind, **{f"{name}_file": file}, **given)
        assert str(caught.value).startswith(f"{wrong.upper()}: ")
        assert SECRET.replace(" ", "-") not in str(caught.value)


@both_services
@pytest.mark.parametrize("endpoint", ["sqs:5000", "localhost:9324", "[::1]:9324"])
def test_an_endpoint_without_its_scheme_is_named(kind: type[ServiceSettings], endpoint: str) -> None:
    with pytest.raises(WrongSettingError, match=r"^AWS_ENDPOINT_URL_SQS: "):
        read_settings(kind, aws_endpoint_url_sqs=endpoint)


def test_ipv6_addresses_stand_in_brackets_in_every_url() -> None:
    found = ServiceSettings(aws_endpoint_url_sqs="http://[::1]:9324", recovery_cors_origins="http://[::1]:3000")

    found.refuse_open_doors("::1")
    assert found.cors_origins == ("http://[::1]:3000",)
