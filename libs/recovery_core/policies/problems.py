"""What is wrong in a policy document, place by place."""

from typing import NamedTuple


class Problem(NamedTuple):
    """One fault: its place, dotted as in the document (``treatment.4``), and what is wrong there.

    ``code`` is the code of the linter's finding, for a fault that has one.
    """

    place: str
    message: str
    code: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"
