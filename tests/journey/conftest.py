"""A whole system to travel through, once on each kind of database."""

from tests.support.system.fixtures import build, templates

__all__ = ["build", "templates"]
