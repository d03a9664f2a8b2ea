"""The settings of every service: a wrong one is named, an empty one has one meaning, and an open door is rejected."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from debt_processing.settings import Settings as DebtSettings
from risk_assessment.settings import Settings as RiskSettings
from service_kit.settings import OpenDoorError, ServiceSettings, WrongSettingError, read_settings

LOCAL_SQS = {"aws_endpoint_url_sqs": "http://127.0.0.1:9324"}
SECRET = "not to be shown anywhere"
OIDC = {"recovery_auth": "oidc", "recovery_oidc_issuer": "https://id.example", "recovery_oidc_audience": "us"}

both_services = pytest.mark.parametrize("kind", [RiskSettings, DebtSettings], ids=["risk", "debt"])


@pytest.fixture(autouse=True)
def without_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this checkout's `.env` out of the tests."""
    monkeypatch.chdir(tmp_path)


def settings(**given: Any) -> ServiceSettings:
    return ServiceSettings(**given)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_authentication_a_loopback_address_is_fine(host: str) -> None:
    settings(**LOCAL_SQS).refuse_open_doors(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.com", "", "localhost.example.com"])
def test_without_authentication_any_other_address_is_rejected_by_name(host: str) -> None:
    with pytest.raises(OpenDoorError, match=r"^RECOVERY_AUTH: "):
        settings(**LOCAL_SQS).refuse_open_doors(host)


@pytest.mark.parametrize("given", [{"recovery_auth": "keys"}, OIDC])
def test_with_authentication_any_address_is_fine(given: dict[str, str]) -> None:
    settings(**given, **LOCAL_SQS).refuse_open_doors("0.0.0.0")


@pytest.mark.parametrize("host", ["127.0.0.1", None])
@pytest.mark.parametrize("endpoint", [None, "", "http://sqs:5000", "https://sqs.eu-west-1.amazonaws.com"])
def test_queues_that_others_reach_need_message_keys(endpoint: str | None, host: str | None) -> None:
    with pytest.raises(OpenDoorError, match=r"^RECOVERY_MESSAGE_KEYS: "):
        settings(aws_endpoint_url_sqs=endpoint).refuse_open_doors(host)

    settings(aws_endpoint_url_sqs=endpoint, recovery_message_keys=f"k:{SECRET}").refuse_open_doors(host)


def test_every_open_door_is_named() -> None:
    with pytest.raises(OpenDoorError, match=r"^RECOVERY_AUTH: .*; RECOVERY_MESSAGE_KEYS: "):
        settings().refuse_open_doors("0.0.0.0")


@both_services
@pytest.mark.parametrize("wrong", [SECRET, f":{SECRET}", "k:short", f"k:{SECRET},k:{SECRET}", f"a b:{SECRET}"])
def test_wrong_message_keys_are_named_and_never_shown(kind: type[ServiceSettings], wrong: str) -> None:
    with pytest.raises(WrongSettingError, match=r"^RECOVERY_MESSAGE_KEYS: ") as caught:
        read_settings(kind, recovery_message_keys=wrong)

    assert SECRET not in str(caught.value)
    assert SECRET not in repr(read_settings(kind, recovery_message_keys=f"k:{SECRET}"))


@pytest.mark.parametrize("wrong", ["tomorrow", "2026-03-01T12:00:00", "noon"])
def test_the_end_of_unsigned_messages_is_an_instant_with_its_zone(wrong: str) -> None:
    with pytest.raises(WrongSettingError, match=r"^RECOVERY_UNSIGNED_UNTIL: "):
        read_settings(ServiceSettings, recovery_unsigned_until=wrong)

    assert settings(recovery_unsigned_until="").message_keys.unsigned_until is None


@pytest.mark.parametrize("missing", ["recovery_oidc_issuer", "recovery_oidc_audience"])
@pytest.mark.parametrize("value", [None, ""])
def test_oidc_needs_its_issuer_and_audience(missing: str, value: str | None) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**OIDC | {missing: value})

    assert [error["loc"] for error in caught.value.errors()] == [(missing,)]


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "https://*.example.com",
        "https://a.example/",
        "https://a.example/x",
        "a.example",
        "null",
        "https://u@a.example",
        "https://a.example;https://b.example",
    ],
)
def test_origins_are_named_one_by_one(text: str) -> None:
    with pytest.raises(ValidationError):
        settings(recovery_cors_origins=text)


def test_origins_are_separated_by_commas() -> None:
    given = settings(recovery_cors_origins=" https://a.example, http://localhost:3000 ,")

    assert given.cors_origins == ("https://a.example", "http://localhost:3000")


@both_services
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("AWS_ENDPOINT_URL_SQS", value) for value in ("secret", "http://", "ftp://secret", "127.0.0.1:9324")),
        *(("AWS_REGION", value) for value in ("a secret", "eu_secret", "x" * 64)),
        ("RECOVERY_AUTH", "secret"),
        ("RECOVERY_EMF_SECONDS", "inf"),
        ("RECOVERY_LOG_LEVEL", "secret"),
        ("RECOVERY_MAX_RECEIVES", "1"),
        ("RECOVERY_OIDC_JWKS_URL", "http://secret.example/keys"),
        ("RECOVERY_QUEUE_HIGH", "a secret"),
        ("RECOVERY_QUEUE_RESULTS", "x" * 77),
        ("RECOVERY_VISIBILITY_SECONDS", "43201"),
    ],
)
def test_both_services_name_a_wrong_setting_without_its_value(
    monkeypatch: pytest.MonkeyPatch, kind: type[ServiceSettings], variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(WrongSettingError) as caught:
        read_settings(kind)

    line = str(caught.value)
    assert line.startswith(f"{variable}: ")
    assert "\n" not in line
    assert "secret" not in line


@both_services
def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch, kind: type[ServiceSettings]) -> None:
    monkeypatch.setenv("AWS_REGION", "not a region")
    monkeypatch.setenv("RECOVERY_AUTH", "perhaps")

    with pytest.raises(WrongSettingError, match=r"^AWS_REGION: .*; RECOVERY_AUTH: "):
        read_settings(kind)


@both_services
@pytest.mark.parametrize(
    ("variable", "name", "value"),
    [
        ("AWS_ENDPOINT_URL_SQS", "aws_endpoint_url_sqs", None),
        ("RECOVERY_OIDC_ISSUER", "recovery_oidc_issuer", None),
        ("RECOVERY_OIDC_JWKS_URL", "recovery_oidc_jwks_url", None),
        ("RECOVERY_CORS_ORIGINS", "cors_origins", ()),
    ],
)
def test_an_empty_value_is_one_that_is_not_set_where_nothing_is_a_valid_value(
    monkeypatch: pytest.MonkeyPatch, kind: type[ServiceSettings], variable: str, name: str, value: object
) -> None:
    monkeypatch.setenv(variable, "")

    assert getattr(read_settings(kind), name) == value


@both_services
@pytest.mark.parametrize(
    "variable",
    [
        "AWS_REGION",
        "RECOVERY_AUTH",
        "RECOVERY_CREATE_QUEUES",
        "RECOVERY_LOG_LEVEL",
        "RECOVERY_METRICS_HOST",
        "RECOVERY_QUEUE_STANDARD",
        "RECOVERY_VISIBILITY_SECONDS",
    ],
)
def test_any_other_empty_value_is_wrong(
    monkeypatch: pytest.MonkeyPatch, kind: type[ServiceSettings], variable: str
) -> None:
    monkeypatch.setenv(variable, "")

    with pytest.raises(WrongSettingError, match=rf"^{variable}: "):
        read_settings(kind)


@both_services
def test_a_given_value_wins_over_the_environment_and_none_does_not(
    monkeypatch: pytest.MonkeyPatch, kind: type[ServiceSettings]
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    assert read_settings(kind, aws_region="eu-north-1").aws_region == "eu-north-1"
    assert read_settings(kind, aws_region=None).aws_region == "eu-west-1"


def test_a_file_is_read_and_the_environment_wins_over_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AWS_REGION=eu-west-1\nRECOVERY_MAX_RECEIVES=7\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")

    found = read_settings(ServiceSettings)

    assert (found.aws_region, found.recovery_max_receives) == ("eu-north-1", 7)


def test_both_services_have_the_same_shared_settings() -> None:
    for name, field in ServiceSettings.model_fields.items():
        for kind in (RiskSettings, DebtSettings):
            assert kind.model_fields[name].default == field.default
            assert kind.model_fields[name].description == field.description


def test_the_more_urgent_lane_comes_first() -> None:
    given = settings(recovery_queue_high="h", recovery_queue_standard="s")

    assert list(given.lane_queues.items()) == [("high", "h"), ("standard", "s")]
