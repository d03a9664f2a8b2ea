"""Everything the debt service can be told from outside, read once at start."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import SettingsConfigDict

from service_kit.database import database_url
from service_kit.exposure import ExposureSettings
from service_kit.tracing import check_installed

MAX_QUEUE_NAME = 76  # SQS takes 80, and "-dlq" must fit


class WrongSettingError(Exception):
    """The process cannot start like this; the message names the variable, in one line."""


def _database_url(text: str) -> str:
    database_url(text)
    return text


QueueName = Annotated[str, Field(pattern=rf"^[A-Za-z0-9_-]{{1,{MAX_QUEUE_NAME}}}$")]


class Settings(ExposureSettings):
    """Environment variables (or `.env`) of `debt-processing`; names are the fields' names in upper case."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", case_sensitive=False)

    debt_database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        "sqlite:///.smartrecover/debt.db", description="SQLAlchemy URL of this service's own database"
    )
    debt_host: str = Field("127.0.0.1", min_length=1, description="Address the API listens on")
    debt_port: int = Field(8002, ge=0, le=65535, description="Port the API listens on")
    debt_api_url: str = Field("http://127.0.0.1:8002", description="Where clients find the debt API")
    debt_rate_limit: int = Field(0, ge=0, description="Requests a minute for each client; 0 = no limit")
    debt_workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Batches worked at the same time; 0 = 1 on SQLite, which has one writer, otherwise 2",
    )
    debt_prefetch: int = Field(40, ge=2, le=1000, description="Messages the consumer holds at most")
    debt_wait_seconds: int = Field(
        3, ge=0, le=10, description="How long an idle consumer's long poll waits; a stop waits for it to end"
    )
    debt_retry_seconds: float = Field(
        1,
        ge=0,
        le=900,
        description="First wait before a failed batch is tried again, doubled by every receive; 0 = at once",
    )
    debt_max_batch_seconds: float = Field(
        600, gt=0, le=40_000, description="A batch worked for longer than this is no longer kept from other consumers"
    )
    debt_metrics_port: int = Field(0, ge=0, le=65535, description="Port of the consumer's /metrics; 0 = none")
    aws_region: str = Field("us-east-1", min_length=1, description="AWS region of the queues")
    aws_endpoint_url_sqs: str | None = Field(None, description="SQS endpoint other than AWS's own")
    recovery_queue_high: QueueName = Field("debt-batches-high", description="Queue of the high lane")
    recovery_queue_standard: QueueName = Field("debt-batches-standard", description="Queue of the standard lane")
    recovery_queue_results: QueueName = Field("debt-batch-results", description="Queue of the reports on batches")
    recovery_create_queues: bool = Field(
        False, description="Make missing queues (local stacks only; elsewhere they are provisioned)"
    )
    recovery_visibility_seconds: int = Field(
        60, ge=1, le=43200, description="How long a received message stays hidden unless it is extended"
    )
    recovery_max_receives: int = Field(
        5,
        ge=2,
        le=1000,
        description="The queues' maxReceiveCount: at the last receive a failing batch is a dead letter",
    )
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

    @property
    def workers(self) -> int:
        """How many batches are worked at the same time."""
        on_sqlite = database_url(self.debt_database_url).get_backend_name() == "sqlite"
        return self.debt_workers or (1 if on_sqlite else 2)


def read_settings() -> Settings:
    """Read the environment; WrongSettingError names the first variable that is wrong, without repeating its value."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        variable = ".".join(str(part) for part in first["loc"]).upper()
        raise WrongSettingError(f"{variable}: {first['msg'].removeprefix('Value error, ')}") from None
