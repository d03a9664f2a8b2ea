"""The settings that processes and services share, read once at start from the environment or `.env`.

A wrong value stops the process with a line that names it. An empty value counts as not set only where nothing is a
valid value.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL

from service_kit.addresses import check_address, is_loopback
from service_kit.database.urls import database_url
from service_kit.message_keys import MessageKeys
from service_kit.observability.tracing import check_installed
from service_kit.text_files import encoding_of, read_secret

MAX_QUEUE_NAME_CHARS = 76  # SQS takes 80, and "-dlq" must fit

_KEY = re.compile(r"[!-~]*")

S = TypeVar("S", bound="ProcessSettings")


class WrongSettingError(Exception):
    """The process cannot start with these settings; the message names each wrong variable, without its value."""


class OpenDoorError(ValueError):
    """Anyone on the network could call an API, or write to a queue, that has no authentication."""


def read_settings(kind: type[S], **given: Any) -> S:
    """Read a service's settings; a value in `given` that is not None wins. Raises WrongSettingError."""
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return kind(_env_file_encoding=_env_file_encoding(kind), **chosen)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise WrongSettingError("; ".join(sorted(_describe(p["loc"], p["msg"]) for p in problems))) from None


def _env_file_encoding(kind: type[BaseSettings]) -> str | None:
    file = Path(str(kind.model_config.get("env_file")))
    if not file.is_file():
        return None
    try:
        return encoding_of(file.read_bytes())
    except OSError as error:
        raise WrongSettingError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise WrongSettingError(f"{file}: {error}") from None


def _describe(location: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, location)).upper()}: {message.removeprefix('Value error, ')}"


def _items(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _checked_origins(text: str) -> str:
    for origin in _items(text):
        parts = urlsplit(origin)
        named = parts.scheme in ("http", "https") and re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc)
        if not named or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("write origins as https://console.example.com, separated by commas; no path and no *")
    return text


def _checked_address(url: str | None) -> str | None:
    return check_address(url) if url else None


def _checked_message_keys(keys: SecretStr) -> SecretStr:
    MessageKeys.parse(keys.get_secret_value())
    return keys


def _checked_key(key: SecretStr) -> SecretStr:
    if not _KEY.fullmatch(key.get_secret_value()):
        raise ValueError("must be one line of visible ASCII characters without blanks")
    return key


def _checked_secret_file(file: Path | None) -> Path | None:
    if file is None or str(file) == ".":  # Path("")
        return None
    read_secret(file)
    return file


def _checked_endpoint(url: str | None) -> str | None:
    if url and not (url.startswith(("http://", "https://")) and urlsplit(url).hostname):
        raise ValueError("write an address such as http://127.0.0.1:9324")
    return url or None


Address = Annotated[str | None, AfterValidator(_checked_address)]
DatabaseUrl = Annotated[URL, NoDecode, PlainValidator(database_url), PlainSerializer(str), Field(validate_default=True)]
"""It shows itself without its password."""
SecretFile = Annotated[Path | None, AfterValidator(_checked_secret_file)]
QueueName = Annotated[str, Field(pattern=rf"^[A-Za-z0-9_-]{{1,{MAX_QUEUE_NAME_CHARS}}}$")]
Port = Annotated[int, Field(ge=0, le=65535)]
ApiWorkers = Annotated[int, Field(ge=1, le=64)]


def from_its_file(value: str | SecretStr, others: ValidationInfo) -> str | SecretStr:
    """Return the secret that the field `NAME_file` names, or the value where it names none. Raises ValueError."""
    file = others.data.get(f"{others.field_name}_file")
    if file is not None and value not in ("", SecretStr("")):
        raise ValueError("set either this or its file")
    return value if file is None else read_secret(file)


def set_for_oidc(value: str | None, others: ValidationInfo) -> str | None:
    """Return the value. Raises ValueError where it is missing and the callers are known by OpenID Connect."""
    if not value and others.data.get("recovery_auth") == "oidc":
        raise ValueError("must be set when RECOVERY_AUTH is oidc")
    return value


class ProcessSettings(BaseSettings):
    """Environment variables (or `.env`) that every process reads; names are the fields' names in upper case."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", case_sensitive=False)

    recovery_emf_seconds: float = Field(
        0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How often metrics are written to standard output for CloudWatch (EMF); 0 = never",
    )
    recovery_traces: Annotated[bool, AfterValidator(check_installed)] = Field(
        False, description="Trace runs with OpenTelemetry; the standard OTEL_… variables say where to"
    )
    recovery_log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged")
    recovery_auth: Literal["off", "keys", "oidc"] = Field(
        "off", description="Who may call the API; off: everyone on this machine"
    )
    recovery_oidc_issuer: Address = Field(
        None, validate_default=True, description="The issuer whose tokens are accepted, as they name it"
    )

    @model_validator(mode="before")
    @classmethod
    def _without_surrounding_space(cls, given: dict[str, object]) -> dict[str, object]:
        # A copied line, a file or Windows leave spaces, newlines and carriage returns behind.
        return {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}

    @field_validator("recovery_oidc_issuer")
    @classmethod
    def _issuer_is_set_for_oidc(cls, value: str | None, others: ValidationInfo) -> str | None:
        return set_for_oidc(value, others)

    def refuse_open_doors(self, host: str | None) -> None:
        """Raise OpenDoorError, which names each open door; `host` is the address that this process listens on."""
        if doors := self._open_doors(host):
            raise OpenDoorError("; ".join(doors))

    def _open_doors(self, host: str | None) -> list[str]:
        if host is None or self.recovery_auth != "off" or is_loopback(host):
            return []
        return [f"RECOVERY_AUTH: off is for a loopback address only, and this would listen on {host}; set keys or oidc"]


class ServiceSettings(ProcessSettings):
    """Environment variables (or `.env`) that both services read; names are the fields' names in upper case."""

    aws_region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,63}$")] | None = Field(
        None, description="AWS region of the queues; unset: AWS_DEFAULT_REGION, the profile's, or us-east-1"
    )
    aws_endpoint_url_sqs: Annotated[str | None, AfterValidator(_checked_endpoint)] = Field(
        None, description="SQS endpoint other than AWS's own"
    )
    recovery_queue_high: QueueName = Field("debt-batches-high", description="Queue of the high lane")
    recovery_queue_standard: QueueName = Field("debt-batches-standard", description="Queue of the standard lane")
    recovery_queue_results: QueueName = Field("debt-batch-results", description="Queue of the reports on batches")
    recovery_queue_stops: QueueName = Field(
        "debt-stops", description="Queue of what forbids processing a debtor: holds, payments, deletions"
    )
    recovery_message_keys_file: SecretFile = Field(
        None, description="File that holds RECOVERY_MESSAGE_KEYS, read at start"
    )
    recovery_message_keys: Annotated[SecretStr, AfterValidator(_checked_message_keys)] = Field(
        SecretStr(""),
        validate_default=True,
        description="Keys that authenticate the messages between the services, as id:secret pairs; the first signs, "
        "all verify",
    )
    recovery_unsigned_until: AwareDatetime | None = Field(
        None, description="Until when messages without a MAC are accepted, for those that an older version sent"
    )
    recovery_create_queues: bool = Field(
        False, description="Make missing queues (local stacks only; elsewhere they are provisioned)"
    )
    recovery_visibility_seconds: int = Field(
        60, ge=1, le=43200, description="Visibility timeout: how long a received message is hidden, until extended"
    )
    recovery_max_receives: int = Field(
        5,
        ge=2,
        le=1000,
        description="The queues' maxReceiveCount: at the last receive a failing batch is a dead letter",
    )
    recovery_api_key_file: SecretFile = Field(None, description="File that holds RECOVERY_API_KEY, read at start")
    recovery_api_key: Annotated[SecretStr, AfterValidator(_checked_key)] = Field(
        SecretStr(""), validate_default=True, description="The key with which the command line calls the APIs"
    )
    recovery_oidc_audience: str | None = Field(
        None, validate_default=True, description="The audience that tokens must name"
    )
    recovery_oidc_role_claim: str = Field(
        "roles", min_length=1, description="The claim that names roles; dots lead into objects: realm_access.roles"
    )
    recovery_oidc_jwks_url: Address = Field(
        None, description="Where the issuer's keys are; by default where its discovery document says"
    )
    recovery_oidc_max_age_seconds: int = Field(
        0, ge=0, le=31_536_000, description="Tokens issued longer ago are refused; 0 = any age until they expire"
    )
    recovery_oidc_token_type: Literal["", "JWT", "at+jwt"] = Field(
        "", description="The `typ` that tokens must have; by default JWT, at+jwt or none"
    )
    recovery_oidc_clients: str = Field(
        "", description="Clients, separated by commas, whose tokens are accepted (`azp`, `client_id`); empty = any"
    )
    recovery_oidc_portfolio_claim: str = Field(
        "",
        description="The claim that names the portfolios a token is for, or * for all; empty = every token is for all",
    )
    recovery_cors_origins: Annotated[str, AfterValidator(_checked_origins)] = Field(
        "", description="Origins, separated by commas, whose web pages may call the API"
    )
    recovery_metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="Address on which a loop's /metrics listens, if it has a port"
    )
    recovery_docs: bool = Field(True, description="Serve /docs and /openapi.json")

    @field_validator("recovery_message_keys", "recovery_api_key", mode="before")
    @classmethod
    def _from_its_file(cls, value: str | SecretStr, others: ValidationInfo) -> str | SecretStr:
        return from_its_file(value, others)

    @field_validator("recovery_unsigned_until", mode="before")
    @classmethod
    def _is_a_moment(cls, moment: object) -> object:
        return None if moment == "" else moment

    @field_validator("recovery_oidc_audience")
    @classmethod
    def _audience_is_set_for_oidc(cls, value: str | None, others: ValidationInfo) -> str | None:
        return set_for_oidc(value, others)

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The origins whose web pages may call the API."""
        return _items(self.recovery_cors_origins)

    @property
    def oidc_clients(self) -> frozenset[str]:
        """The clients whose tokens are accepted; none means any."""
        return frozenset(_items(self.recovery_oidc_clients))

    @property
    def lane_queues(self) -> dict[str, str]:
        """The queue of each lane, the more urgent one first."""
        return {"high": self.recovery_queue_high, "standard": self.recovery_queue_standard}

    @property
    def message_keys(self) -> MessageKeys:
        """The keys that authenticate messages, and until when those of an older version pass without."""
        return MessageKeys.parse(self.recovery_message_keys.get_secret_value(), self.recovery_unsigned_until)

    def _open_doors(self, host: str | None) -> list[str]:
        doors = super()._open_doors(host)
        queues = urlsplit(self.aws_endpoint_url_sqs or "").hostname
        if not self.message_keys.secrets and not (queues and is_loopback(queues)):
            rule = "must be set unless AWS_ENDPOINT_URL_SQS is on a loopback address: others could write to the queues"
            doors.append(f"RECOVERY_MESSAGE_KEYS: {rule}")
        return doors
