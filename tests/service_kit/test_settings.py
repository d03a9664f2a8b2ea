"""Settings about access: an open door is refused, and what cannot be right is named."""

import pytest
from pydantic import ValidationError
from tests.support.guarded_api import api_keys

from service_kit.addresses import check_address
from service_kit.auth.access import access_of
from service_kit.auth.keys import KeyAuthenticator
from service_kit.auth.oidc import OidcAuthenticator
from service_kit.settings import OpenDoorError, ServiceSettings

OIDC = {"recovery_auth": "oidc", "recovery_oidc_issuer": "https://id.example", "recovery_oidc_audience": "us"}


def settings(**given: object) -> ServiceSettings:
    return ServiceSettings(_env_file=None, **given)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_authentication_a_loopback_address_is_fine(host: str) -> None:
    settings().refuse_open_doors(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.com", "", "localhost.example.com"])
def test_without_authentication_any_other_address_is_refused_by_name(host: str) -> None:
    with pytest.raises(OpenDoorError, match=r"^RECOVERY_AUTH: "):
        settings().refuse_open_doors(host)


@pytest.mark.parametrize("given", [{"recovery_auth": "keys"}, OIDC])
def test_with_authentication_any_address_is_fine(given: dict[str, str]) -> None:
    settings(**given).refuse_open_doors("0.0.0.0")


@pytest.mark.parametrize("missing", ["recovery_oidc_issuer", "recovery_oidc_audience"])
@pytest.mark.parametrize("value", [None, ""])
def test_oidc_needs_its_issuer_and_audience(missing: str, value: str | None) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**OIDC | {missing: value})

    assert [error["loc"] for error in caught.value.errors()] == [(missing,)]


@pytest.mark.parametrize("url", ["https://id.example/realms/x", "http://127.0.0.1:9000", "http://localhost/x"])
def test_an_issuer_over_tls_or_on_this_machine_may_be_trusted(url: str) -> None:
    assert check_address(url) == url


@pytest.mark.parametrize("url", ["http://id.example", "file:///etc/passwd", "ftp://x", "id.example", "https://", "x"])
def test_any_other_address_of_an_issuer_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        check_address(url)


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


def test_settings_become_an_access() -> None:
    def built(limit: int = 0, **given: object) -> object:
        return access_of(settings(**given), limit, lambda: None, api_keys)  # type: ignore[arg-type, return-value]

    off, keys, oidc = built(), built(5, recovery_auth="keys"), built(**OIDC)

    assert (off.authenticator, off.limit, off.cors_origins) == (None, None, ())
    assert isinstance(keys.authenticator, KeyAuthenticator)
    assert keys.limit is not None
    assert isinstance(oidc.authenticator, OidcAuthenticator)
