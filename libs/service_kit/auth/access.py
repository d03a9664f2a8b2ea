"""Who may reach an API, assembled from the settings."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Table

from service_kit.auth.identity import Authenticator
from service_kit.auth.keys import KeyAuthenticator
from service_kit.auth.oidc import Issuer, OidcAuthenticator
from service_kit.auth.rate_limit import RateLimit
from service_kit.database.engine import Database
from service_kit.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Access:
    """Who may reach an API: how callers are authenticated (None: not at all), how often they may call, from where."""

    authenticator: Authenticator | None = None
    limit: RateLimit | None = None
    cors_origins: tuple[str, ...] = ()


def access_of(settings: ServiceSettings, limit: int, database: Callable[[], Database], keys: Table) -> Access:
    """Build the access that the settings ask for; `limit` is requests a minute for each client, 0 for no limit."""
    return Access(_authenticator(settings, database, keys), RateLimit(limit) if limit else None, settings.cors_origins)


def _authenticator(settings: ServiceSettings, database: Callable[[], Database], keys: Table) -> Authenticator | None:
    if settings.recovery_auth == "keys":
        return KeyAuthenticator(database, keys)
    if settings.recovery_auth == "oidc":
        issuer, audience = settings.recovery_oidc_issuer, settings.recovery_oidc_audience
        assert issuer is not None  # noqa: S101 - as validated
        assert audience is not None  # noqa: S101
        return OidcAuthenticator(
            Issuer(
                issuer,
                audience,
                settings.recovery_oidc_role_claim,
                settings.recovery_oidc_jwks_url,
                settings.recovery_oidc_max_age_seconds,
                settings.recovery_oidc_token_type or None,
                settings.oidc_clients,
                settings.recovery_oidc_portfolio_claim or None,
            )
        )
    return None
