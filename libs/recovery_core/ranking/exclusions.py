"""Why a run leaves a debtor out."""

from enum import StrEnum


class Exclusion(StrEnum):
    """A reason to leave a debtor out of a ranking. Each excluded debtor has exactly one."""

    PAID = "PAID"
    NOT_SCORABLE = "NOT_SCORABLE"
    FILTERED = "FILTERED"
    BEYOND_LIMIT = "BEYOND_LIMIT"
