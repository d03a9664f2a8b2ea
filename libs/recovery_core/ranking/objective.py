"""The objective: how a score and a debt become the priority. The only place that computes one."""


def priority_of(total_score: int, debt: int) -> int:
    """Return total score × debt, with the debt and so the priority in minor units. Exact, and at most 63 bits."""
    return total_score * debt
