"""What is wrong in a policy document, place by place."""

from typing import NamedTuple


class Problem(NamedTuple):
    """One fault: its place, dotted as in the document (``treatment.4``), and what is wrong there."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"
