"""The client of both APIs with which the command line works, built from the settings."""

from recovery_client.client import RecoveryClient
from risk_assessment.settings import Settings


def client_of(settings: Settings) -> RecoveryClient:
    """Return a client that calls the APIs with the key of the command line."""
    key = settings.recovery_api_key.get_secret_value() or None
    return RecoveryClient(settings.risk_api_url.rstrip("/"), settings.debt_api_url.rstrip("/"), key)
