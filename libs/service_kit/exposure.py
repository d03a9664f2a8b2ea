"""What both services can be told about who reaches their APIs, and how that becomes an `Access`.

Refuses to leave an API open on an address that others can reach, and an issuer or origin that cannot be right.
"""

from collections.abc import Callable
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings
from sqlalchemy import Table

from service_kit.auth import Access, Authenticator
from service_kit.database import Database
from service_kit.keys import KeyAuthenticator
from service_kit.oidc import Issuer, OidcAuthenticator, check_address, is_loopback
from service_kit.rate_limit import RateLimit


class OpenDoorError(ValueError):
    """Anybody on the network could call an API that asks nobody who they are."""


def _origins(text: str) -> str:
    for origin in filter(None, map(str.strip, text.split(","))):
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("write origins as https://console.example.com, separated by commas; no path and no *")
    return text


def _address(url: str | None) -> str | None:
    return check_address(url) if url else None


Address = Annotated[str | None, AfterValidator(_address)]


class ExposureSettings(BaseSettings):
    """The settings about access that every service has."""

    recovery_auth: Literal["off", "keys", "oidc"] = Field(
        "off", description="Who may call the API; off: everybody on this machine"
    )
    recovery_oidc_issuer: Address = Field(
        None, validate_default=True, description="The issuer whose tokens are taken, as they name it"
    )
    recovery_oidc_audience: str | None = Field(
        None, validate_default=True, description="The audience that tokens must be meant for"
    )
    recovery_oidc_role_claim: str = Field(
        "roles", min_length=1, description="The claim that names roles; dots lead into objects: realm_access.roles"
    )
    recovery_oidc_jwks_url: Address = Field(
        None, description="Where the issuer's keys are; otherwise the issuer's own description tells"
    )
    recovery_cors_origins: Annotated[str, AfterValidator(_origins)] = Field(
        "", description="Origins, separated by commas, whose web pages may call the API"
    )
    recovery_docs: bool = Field(True, description="Serve /docs and /openapi.json")

    @field_validator("recovery_oidc_issuer", "recovery_oidc_audience")
    @classmethod
    def _told_where_needed(cls, value: str | None, others: ValidationInfo) -> str | None:
        if not value and others.data.get("recovery_auth") == "oidc":
            raise ValueError("must be set when RECOVERY_AUTH is oidc")
        return value

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The origins whose web pages may call the API."""
        return tuple(filter(None, map(str.strip, self.recovery_cors_origins.split(","))))

    def refuse_open_doors(self, host: str) -> None:
        """Raise OpenDoorError when the API would ask nobody who they are where others can reach it."""
        if self.recovery_auth == "off" and not is_loopback(host):
            raise OpenDoorError(
                f"RECOVERY_AUTH: off is for a loopback address only, and this would listen on {host}; set keys or oidc"
            )


def access_of(settings: ExposureSettings, limit: int, database: Callable[[], Database], keys: Table) -> Access:
    """Build the access that the settings ask for; `limit` is requests a minute for each client, 0 for no limit."""
    return Access(_authenticator(settings, database, keys), RateLimit(limit) if limit else None, settings.cors_origins)


def _authenticator(settings: ExposureSettings, database: Callable[[], Database], keys: Table) -> Authenticator | None:
    if settings.recovery_auth == "keys":
        return KeyAuthenticator(database, keys)
    if settings.recovery_auth == "oidc":
        issuer, audience = settings.recovery_oidc_issuer, settings.recovery_oidc_audience
        assert issuer is not None  # noqa: S101 - as validated
        assert audience is not None  # noqa: S101
        return OidcAuthenticator(
            Issuer(issuer, audience, settings.recovery_oidc_role_claim, settings.recovery_oidc_jwks_url)
        )
    return None
