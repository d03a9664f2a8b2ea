"""The settings of the debt service, read once at start."""

from pydantic import Field, ValidationInfo, field_validator
from sqlalchemy.engine import URL

from service_kit.database.credentials import with_password_from
from service_kit.settings import ApiWorkers, DatabaseUrl, Port, SecretFile, ServiceSettings

PACKAGE = "debt_processing"


class Settings(ServiceSettings):
    """Environment variables (or `.env`) of `debt-processing`; names are the fields' names in upper case."""

    debt_database_password_file: SecretFile = Field(
        None, description="File that holds the password for DEBT_DATABASE_URL, read each time a connection is opened"
    )
    debt_database_iam: bool = Field(
        False, description="Open connections with RDS IAM tokens, signed with the process's AWS credentials"
    )
    debt_database_url: DatabaseUrl = Field(
        URL.create("sqlite", database=".smartrecover/debt.db"),
        description="SQLAlchemy URL of this service's own database",
    )
    debt_host: str = Field("127.0.0.1", min_length=1, description="Address the API listens on")
    debt_port: Port = Field(8002, description="Port the API listens on")
    debt_api_workers: ApiWorkers = Field(1, description="Processes that share the API's port")
    debt_api_url: str = Field("http://127.0.0.1:8002", description="Where clients find the debt API")
    debt_rate_limit: int = Field(0, ge=0, description="Requests a minute for each client; 0 = no limit")
    debt_workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Batches processed at the same time; 0 = 1 on SQLite, which has one writer, otherwise 2",
    )
    debt_prefetch: int = Field(40, ge=2, le=1000, description="Messages the consumer prefetches at most")
    debt_wait_seconds: int = Field(
        3, ge=0, le=10, description="How long an idle consumer's long poll waits; a stop waits for it to end"
    )
    debt_retry_seconds: float = Field(
        1,
        ge=0,
        le=900,
        description="Wait before a failed batch is retried, doubled by every receive; 0 = at once",
    )
    debt_max_batch_seconds: float = Field(
        600, gt=0, le=40_000, description="A batch that takes longer than this is no longer hidden from other consumers"
    )
    debt_stops_max_lag_seconds: float = Field(
        30,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="No batch is begun while what is known of holds, payments and deletions is older than this",
    )
    debt_metrics_port: Port = Field(0, description="Port of the consumer's /metrics; 0 = none")

    @field_validator("debt_database_url")
    @classmethod
    def _has_one_password(cls, url: URL, others: ValidationInfo) -> URL:
        file, iam = others.data.get("debt_database_password_file"), others.data.get("debt_database_iam", False)
        return with_password_from(url, file, iam)

    @property
    def workers(self) -> int:
        """How many batches are processed at the same time."""
        on_sqlite = self.debt_database_url.get_backend_name() == "sqlite"
        return self.debt_workers or (1 if on_sqlite else 2)
