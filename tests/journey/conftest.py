"""A whole system to travel through, once on each kind of database."""

from tests.support.system_fixtures import build, nursery, templates

__all__ = ["build", "nursery", "templates"]
