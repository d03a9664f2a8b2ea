"""The settings of the console, read once at start."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from service_kit.settings import Port, ProcessSettings, SecretFile, from_its_file, set_for_oidc

PACKAGE = "recovery_console"
MIN_SECRET_CHARS = 32


def _checked_public_url(url: str | None) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or url.rstrip("/") != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError("write the address of the console without a path, as https://console.example.com")
    return url.rstrip("/")


def _checked_secret(secret: SecretStr) -> SecretStr:
    if 0 < len(secret.get_secret_value()) < MIN_SECRET_CHARS:
        raise ValueError(f"must have at least {MIN_SECRET_CHARS} characters")
    return secret


class Settings(ProcessSettings):
    """Environment variables (or `.env`) of `recovery-console`; names are the fields' names in upper case."""

    console_host: str = Field("127.0.0.1", min_length=1, description="Address the console listens on")
    console_port: Port = Field(8003, description="Port the console listens on")
    risk_api_url: str = Field("http://127.0.0.1:8001", description="Where the console finds the risk API")
    debt_api_url: str = Field("http://127.0.0.1:8002", description="Where the console finds the debt API")
    console_public_url: Annotated[str | None, AfterValidator(_checked_public_url)] = Field(
        None, description="The address in people's browsers; others than it and this machine's own names are refused"
    )
    console_session_secret_file: SecretFile = Field(
        None, description="File that holds CONSOLE_SESSION_SECRET, read at start"
    )
    console_session_secret: Annotated[SecretStr, AfterValidator(_checked_secret)] = Field(
        SecretStr(""),
        validate_default=True,
        description="Seals the sessions, the same for all copies of the console; empty = a new one at each start",
    )
    console_session_hours: float = Field(
        12, gt=0, le=744, allow_inf_nan=False, description="How long a person stays signed in at most"
    )
    console_oidc_client_id: str | None = Field(
        None, validate_default=True, description="The client as which the console signs people in at the issuer"
    )
    console_oidc_client_secret_file: SecretFile = Field(
        None, description="File that holds CONSOLE_OIDC_CLIENT_SECRET, read at start"
    )
    console_oidc_client_secret: SecretStr = Field(
        SecretStr(""), validate_default=True, description="Its secret, where the issuer asks for one"
    )
    console_oidc_scope: str = Field("openid", min_length=1, description="The scopes that the console asks for")
    console_oidc_sends: Literal["access_token", "id_token"] = Field(
        "access_token", description="Which of the issuer's tokens the APIs accept"
    )

    @field_validator("console_session_secret", "console_oidc_client_secret", mode="before")
    @classmethod
    def _from_its_file(cls, value: str | SecretStr, others: ValidationInfo) -> str | SecretStr:
        return from_its_file(value, others)

    @field_validator("console_oidc_client_id")
    @classmethod
    def _client_is_set_for_oidc(cls, value: str | None, others: ValidationInfo) -> str | None:
        return set_for_oidc(value or None, others)

    @property
    def signs_in(self) -> bool:
        """Whether people sign in before they see anything."""
        return self.recovery_auth != "off"
