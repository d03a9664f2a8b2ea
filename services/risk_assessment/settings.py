"""The settings of the risk service, read once at start."""

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator
from sqlalchemy.engine import URL

from service_kit.database.credentials import with_password_from
from service_kit.settings import ApiWorkers, DatabaseUrl, Port, SecretFile, ServiceSettings
from service_kit.sqs.specs import MAX_RETENTION_SECONDS

PACKAGE = "risk_assessment"
# A queue keeps its messages no longer: a batch that was not reported by then is lost.
MAX_RESEND_SECONDS = MAX_RETENTION_SECONDS


class Settings(ServiceSettings):
    """Environment variables (or `.env`) of `risk-assessment`; names are the fields' names in upper case."""

    risk_database_password_file: SecretFile = Field(
        None, description="File that holds the password for RISK_DATABASE_URL, read each time a connection is opened"
    )
    risk_database_iam: bool = Field(
        False, description="Open connections with RDS IAM tokens, signed with the process's AWS credentials"
    )
    risk_database_url: DatabaseUrl = Field(
        URL.create("sqlite", database=".smartrecover/risk.db"),
        description="SQLAlchemy URL of this service's own database",
    )
    risk_host: str = Field("127.0.0.1", min_length=1, description="Address the API listens on")
    risk_port: Port = Field(8001, description="Port the API listens on")
    risk_api_workers: ApiWorkers = Field(1, description="Processes that share the API's port")
    risk_api_url: str = Field("http://127.0.0.1:8001", description="Where the command line finds the risk API")
    debt_api_url: str = Field("http://127.0.0.1:8002", description="Where the command line finds the debt API")
    risk_policy: str = Field(
        "standard", min_length=1, description="Name of the active policy of a portfolio that has no other"
    )
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
    risk_simulations_kept_days: int = Field(
        365, ge=0, le=36_500, description="A simulation is deleted so many days after its end; 0 = never"
    )
    risk_rate_limit: int = Field(0, ge=0, description="Requests a minute for each client; 0 = no limit")
    risk_metrics_port: Port = Field(0, description="Port of the dispatcher's /metrics; 0 = none")

    @field_validator("risk_database_url")
    @classmethod
    def _has_one_password(cls, url: URL, others: ValidationInfo) -> URL:
        file, iam = others.data.get("risk_database_password_file"), others.data.get("risk_database_iam", False)
        return with_password_from(url, file, iam)

    @field_validator("risk_policy_dir", mode="before")
    @classmethod
    def _is_a_folder(cls, folder: object) -> object:
        return None if folder == "" else folder  # Path("") would be the working folder
