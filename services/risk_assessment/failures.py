"""What went wrong, in one line for the person at the command line."""

from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from recovery_core.policy import PolicyError, UnknownPolicyError
from risk_assessment.following import ClientError
from risk_assessment.import_mapping import ImportRefusedError
from risk_assessment.portfolio import PortfolioInUseError
from service_kit.database import describe_outage, is_unavailable
from service_kit.migrations import MigrationError

_OURS = (
    ClientError,
    ImportRefusedError,
    MigrationError,
    PolicyError,
    PortfolioInUseError,
    UnknownPolicyError,
    ValueError,
)


def explain(error: Exception) -> str:
    """One line that says what is wrong, without SQL, addresses or personal values."""
    if isinstance(error, _OURS):
        return " ".join(str(error).split())
    if is_unavailable(error):
        return describe_outage(error)
    if isinstance(error, OperationalError | ProgrammingError):
        return "the database's schema is not the one of this version: run `risk-assessment migrate`"
    if isinstance(error, OSError):
        return f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")
    kind = type(error).__name__
    return f"unexpected {kind}" if isinstance(error, SQLAlchemyError) else f"unexpected {kind}: {error}"
