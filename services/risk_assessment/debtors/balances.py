"""How balances end: a debtor whose balance is 0 is `PAID`, whatever is said beside it. Pure."""

from recovery_core.profile import PaymentStatus

PAID, UNPAID = PaymentStatus.PAID.value, PaymentStatus.UNPAID.value


class NothingOwedError(ValueError):
    """A change reopens a debtor without a debt."""

    field = "payment_status"

    def __init__(self) -> None:
        super().__init__("the debtor owes 0, so it is PAID: send total_debt_amount too")


def status_of(debt: int, said: str | None, debt_before: int, status_before: str) -> str:
    """Return the status of a known debtor whose debt is this now; `said` is None where nothing was said of it.

    Who was closed at 0 and owes again is open again: that status followed from the balance, and so does this.
    """
    if debt == 0:
        return PAID
    if said is not None:
        return said
    return UNPAID if debt_before == 0 else status_before


def settled(status: str, debt: int) -> str:
    """Return the status that a debt and what is said beside it come to."""
    return PAID if debt == 0 else status
