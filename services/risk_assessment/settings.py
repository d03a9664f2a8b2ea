"""Everything the risk service can be told from outside, read once at start."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator
from pydantic_settings import SettingsConfigDict

from service_kit.database import database_url
from service_kit.exposure import ExposureSettings
from service_kit.sqs import MAX_RETENTION_SECONDS
from service_kit.tracing import check_installed

# 80 characters are SQS's limit; "-dlq" names the dead-letter queue.
QueueName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,76}$")]
# A queue keeps its messages no longer: what was not reported by then is lost.
MAX_RESEND_SECONDS = MAX_RETENTION_SECONDS


class Settings(ExposureSettings):
    """Environment variables (or `.env`) of `risk-assessment`; names are the fields' names in upper case."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", case_sensitive=False)

    risk_database_url: str = Field(
        "sqlite:///.smartrecover/risk.db", description="SQLAlchemy URL of this service's own database"
    )
    risk_host: str = Field("127.0.0.1", description="Address the API listens on")
    risk_port: int = Field(8001, ge=0, le=65535, description="Port the API listens on")
    risk_api_url: str = Field("http://127.0.0.1:8001", description="Where the command line finds the risk API")
    debt_api_url: str = Field("http://127.0.0.1:8002", description="Where the command line finds the debt API")
    risk_policy: str = Field("standard", min_length=1, description="Name of the active policy")
    risk_policy_dir: Path | None = Field(
        None, description="Folder of policy documents (*.json) beside the built-in ones"
    )
    risk_max_outstanding: int = Field(0, ge=0, description="Batches sent and not yet reported done; 0 = no cap")
    risk_resend_after_seconds: float = Field(
        300,
        gt=0,
        le=MAX_RESEND_SECONDS,
        allow_inf_nan=False,
        description="A batch sent but not reported done is sent again after this",
    )
    risk_rank_spill_after: int = Field(
        50_000, ge=1000, description="Ranked entries kept in memory before they go to disk"
    )
    risk_rate_limit: int = Field(0, ge=0, description="Requests a minute for each client; 0 = no limit")
    aws_region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9-]{1,63}$", description="AWS region of the queues")
    aws_endpoint_url_sqs: str | None = Field(None, description="SQS endpoint other than AWS's own")
    recovery_queue_high: QueueName = Field("debt-batches-high", description="Queue of the high lane")
    recovery_queue_standard: QueueName = Field("debt-batches-standard", description="Queue of the standard lane")
    recovery_queue_results: QueueName = Field("debt-batch-results", description="Queue of the debt service's reports")
    recovery_create_queues: bool = Field(
        False, description="Make missing queues (local stacks only; elsewhere they are provisioned)"
    )
    recovery_visibility_seconds: int = Field(60, ge=1, le=43200, description="Visibility timeout of queues made here")
    recovery_max_receives: int = Field(5, ge=2, le=1000, description="maxReceiveCount of queues made here")
    recovery_api_key: str | None = Field(None, description="The key with which the command line calls the APIs")
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
    risk_metrics_port: int = Field(0, ge=0, le=65535, description="Port of the dispatcher's /metrics; 0 = none")

    @field_validator("aws_endpoint_url_sqs")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url and not (url.startswith(("http://", "https://")) and urlsplit(url).hostname):
            raise ValueError("write an address such as http://127.0.0.1:9324")
        return url or None

    @field_validator("risk_database_url")
    @classmethod
    def _is_a_database(cls, url: str) -> str:
        database_url(url)
        return url
