"""What goes over the wire about policies. Findings and differences are those of `recovery_core.policies`."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from recovery_core.policies.linting.findings import Finding


class PolicyState(StrEnum):
    """How far a policy is in its life."""

    DRAFT = "draft"  # uploaded, never active
    ACTIVE = "active"  # in one portfolio at least
    RETIRED = "retired"  # was active, and is nowhere now
    BUILT_IN = "built-in"  # comes with the installation, and is active nowhere


class PolicyOut(BaseModel):
    """A policy and how far it is in its life; `portfolios` are those of the caller where it is active."""

    name: str
    version: int
    hash: str
    state: PolicyState
    portfolios: list[str]
    uploaded_by: str | None
    uploaded_at: datetime | None


class PolicyPage(BaseModel):
    """A page of policies, by name and version."""

    items: list[PolicyOut]
    next_cursor: str | None


class PolicyWithDocument(PolicyOut):
    """A policy with its document."""

    document: dict[str, Any]


class UploadedPolicyOut(PolicyOut):
    """A policy that was uploaded, with what the linter says of it under no jurisdiction."""

    findings: list[Finding]
