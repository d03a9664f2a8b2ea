"""The settings of the console: what is wrong is named, and no console without authentication is open to others."""

import pytest

from recovery_console.settings import Settings
from service_kit.settings import OpenDoorError, WrongSettingError, read_settings


def test_without_authentication_it_listens_on_this_machine_alone() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]

    settings.refuse_open_doors("127.0.0.1")
    with pytest.raises(OpenDoorError, match=r"^RECOVERY_AUTH: off is for a loopback address only"):
        settings.refuse_open_doors("0.0.0.0")


def test_with_keys_it_listens_anywhere() -> None:
    Settings(_env_file=None, recovery_auth="keys").refuse_open_doors("0.0.0.0")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CONSOLE_SESSION_SECRET", "short"),
        ("CONSOLE_PUBLIC_URL", "console.example.com"),
        ("CONSOLE_PUBLIC_URL", "https://console.example.com/path"),
        ("CONSOLE_OIDC_SENDS", "refresh_token"),
        ("CONSOLE_SESSION_HOURS", "0"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(WrongSettingError, match=rf"^{variable}: "):
        read_settings(Settings)


def test_sign_in_at_an_issuer_needs_the_issuer_and_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOVERY_AUTH", "oidc")

    with pytest.raises(WrongSettingError, match=r"^CONSOLE_OIDC_CLIENT_ID: .*; RECOVERY_OIDC_ISSUER: "):
        read_settings(Settings)
