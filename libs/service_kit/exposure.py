"""What every service can be told about who reaches its API.

Refuses to leave an API open on an address that others can reach, and an issuer or origin that cannot be right.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings


class OpenDoorError(ValueError):
    """Anybody on the network could call an API that asks nobody who they are."""


def check_address(url: str) -> str:
    """Return an address that may be trusted: https, or anything on this machine. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname):
        return url
    raise ValueError("must be an https address (plain http is for a loopback address only)")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach that host."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _origins(text: str) -> str:
    for origin in filter(None, map(str.strip, text.split(","))):
        parts = urlsplit(origin)
        named = parts.scheme in ("http", "https") and re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc)
        if not named or origin != f"{parts.scheme}://{parts.netloc}":
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
    recovery_metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="Address on which a loop's /metrics listens, if it has a port"
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
