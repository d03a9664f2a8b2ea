"""Settings: what is wrong is named in one line, and no API serves the network without authentication."""

import pytest

from debt_processing.settings import Settings
from service_kit.settings import OpenDoorError, WrongSettingError, read_settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEBT_PORT", "eighty"),
        ("DEBT_PORT", "70000"),
        ("DEBT_DATABASE_URL", "postgresql://u:geheim@h/d"),
        ("DEBT_DATABASE_URL", "nonsense"),
        ("DEBT_PREFETCH", "1"),
        ("DEBT_RETRY_SECONDS", "-1"),
        ("RECOVERY_QUEUE_HIGH", "no spaces please"),
        ("RECOVERY_AUTH", "perhaps"),
        ("RECOVERY_LOG_LEVEL", "loud"),
        ("RECOVERY_VISIBILITY_SECONDS", "0"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(WrongSettingError) as caught:
        read_settings(Settings)

    line = str(caught.value)
    assert line.startswith(f"{variable}: ")
    assert "\n" not in line
    assert "geheim" not in line


def test_an_empty_variable_is_one_that_is_not_set_where_nothing_is_a_valid_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "")

    settings = read_settings(Settings)

    assert (settings.aws_endpoint_url_sqs, settings.debt_port) == (None, 8002)


def test_an_empty_variable_that_needs_a_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBT_PORT", "")

    with pytest.raises(WrongSettingError, match=r"^DEBT_PORT: "):
        read_settings(Settings)


@pytest.mark.parametrize(("url", "workers"), [("sqlite:///x.db", 1), ("mysql+pymysql://u@h/d", 2)])
def test_sqlite_has_one_writer_so_one_worker(url: str, workers: int) -> None:
    assert Settings(_env_file=None, debt_database_url=url).workers == workers  # type: ignore[call-arg]
    assert Settings(_env_file=None, debt_database_url=url, debt_workers=3).workers == 3  # type: ignore[call-arg]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_without_keys_a_loopback_address_is_fine(host: str) -> None:
    Settings(_env_file=None, aws_endpoint_url_sqs="http://127.0.0.1:9324").refuse_open_doors(host)  # type: ignore[call-arg]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org"])
def test_without_keys_any_other_address_is_refused(host: str) -> None:
    with pytest.raises(OpenDoorError, match="RECOVERY_AUTH"):
        Settings(_env_file=None, aws_endpoint_url_sqs="http://127.0.0.1:9324").refuse_open_doors(host)  # type: ignore[call-arg]
