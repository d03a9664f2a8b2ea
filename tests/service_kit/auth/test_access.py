"""Settings become an access: who may call, how often, and from which origins."""

from typing import Any

from tests.support.guarded_api import api_keys

from service_kit.auth.access import Access, access_of
from service_kit.auth.keys import KeyAuthenticator
from service_kit.auth.oidc import Issuer, OidcAuthenticator
from service_kit.settings import ServiceSettings

OIDC = {"recovery_auth": "oidc", "recovery_oidc_issuer": "https://id.example", "recovery_oidc_audience": "us"}


def built(limit: int = 0, **given: Any) -> Access:
    return access_of(ServiceSettings(_env_file=None, **given), limit, lambda: None, api_keys)  # type: ignore[call-arg, arg-type, return-value]


def test_settings_become_an_access() -> None:
    off, keys, oidc = built(), built(5, recovery_auth="keys"), built(**OIDC)

    assert (off.authenticator, off.limit, off.cors_origins) == (None, None, ())
    assert isinstance(keys.authenticator, KeyAuthenticator)
    assert keys.limit is not None
    assert isinstance(oidc.authenticator, OidcAuthenticator)


def test_what_the_settings_demand_of_tokens_reaches_the_authenticator() -> None:
    given = {
        "recovery_oidc_role_claim": "groups",
        "recovery_oidc_jwks_url": "https://id.example/keys",
        "recovery_oidc_max_age_seconds": 600,
        "recovery_oidc_token_type": "at+jwt",
        "recovery_oidc_clients": "console, jobs",
        "recovery_oidc_portfolio_claim": "books",
    }
    plain, demanding = built(**OIDC).authenticator, built(**OIDC, **given).authenticator

    assert isinstance(plain, OidcAuthenticator)
    assert plain.issuer == Issuer("https://id.example", "us")
    assert isinstance(demanding, OidcAuthenticator)
    assert demanding.issuer == Issuer(
        "https://id.example",
        "us",
        "groups",
        "https://id.example/keys",
        600,
        "at+jwt",
        frozenset({"console", "jobs"}),
        "books",
    )
