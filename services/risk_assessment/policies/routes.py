"""`/policies`: upload a draft, list, read, lint and compare policies. A policy belongs to no portfolio."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request, Response

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.diff import PolicyDiff, diff_policies
from recovery_core.policies.lint import lint
from recovery_core.policies.linting.findings import Findings, Jurisdiction
from risk_assessment.dependencies import WITH_LOCATION, Context
from risk_assessment.policies import queries, service
from risk_assessment.policies.schemas import PolicyPage, PolicyWithDocument, UploadedPolicyOut
from service_kit.auth.portfolios import Origin
from service_kit.http.context import long_viewer, operator, viewer
from service_kit.http.input.wording import PRINTABLE_PATTERN
from service_kit.http.pages import Cursor, Limit
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/policies", tags=["policies"], route_class=JsonRoute)

# Any printable text may be asked for, and is then not found.
PolicyHash = Annotated[str, Path(pattern=PRINTABLE_PATTERN, description="The hash of a policy's document")]
Document = Annotated[
    dict[str, Any], Body(description="A policy document", examples=[built_in_policy("standard").document])
]
UPLOADED = problem_responses(409) | {
    200: {"model": UploadedPolicyOut, "description": "This very document is known already"} | WITH_LOCATION,
    201: WITH_LOCATION,
}


@router.post(
    "", response_model=UploadedPolicyOut, status_code=201, responses=UPLOADED, dependencies=operator(Origin.SHARED)
)
def upload(document: Document, request: Request, context: Context) -> Response:
    """Store a policy document as a draft. The same document again gets a 200 with the policy that is there."""
    policy = service.read_document(document)
    findings = lint(policy).findings
    installation, audit = context.registry.installation, context.audit
    with context.writing() as connection:
        created = service.upload(connection, policy, installation, audit.caller.actor, audit.at)
        if created:
            ref = {"name": policy.name, "version": policy.version}
            audit.changed(connection, "policy.uploaded", f"policy:{policy.hash}", **ref)
        shown = queries.view_one(connection, policy, installation, context.portfolios) | {"findings": findings}
    location = {"Location": f"{request.scope['path'].rstrip('/')}/{policy.hash}"}
    return json_response(UploadedPolicyOut.model_validate(shown), status=201 if created else 200, headers=location)


@router.get("", response_model=PolicyPage, dependencies=viewer(Origin.SHARED))
def list_policies(context: Context, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Policies by name and version: built-in ones, those of RISK_POLICY_DIR, and uploads."""
    installation = context.registry.installation
    with context.reading() as connection:
        page = queries.page(connection, installation, cursor, limit)
        found = queries.uses(connection, page.items, installation.default)
    items = [queries.view(one, found, installation, context.portfolios) for one in page.items]
    return json_response(PolicyPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


@router.get("/{policy_hash}", response_model=PolicyWithDocument, dependencies=viewer(Origin.SHARED))
def read(policy_hash: PolicyHash, context: Context) -> Response:
    """A policy with its document and its state."""
    with context.reading() as connection:
        policy = context.registry.with_hash(connection, policy_hash)
        shown = queries.view_one(connection, policy, context.registry.installation, context.portfolios)
    return json_response(PolicyWithDocument.model_validate(shown | {"document": policy.document}))


@router.get("/{policy_hash}/findings", response_model=Findings, dependencies=long_viewer(Origin.SHARED))
def findings(policy_hash: PolicyHash, context: Context, jurisdiction: Jurisdiction = Jurisdiction.NONE) -> Response:
    """What the linter says of a policy under a jurisdiction, and the exact influence of each factor."""
    with context.reading() as connection:
        policy = context.registry.with_hash(connection, policy_hash)
    return json_response(lint(policy, jurisdiction))


@router.get("/{policy_hash}/diff/{other_hash}", response_model=PolicyDiff, dependencies=viewer(Origin.SHARED))
def diff(policy_hash: PolicyHash, other_hash: PolicyHash, context: Context) -> Response:
    """What differs between two policies, place by place."""
    with context.reading() as connection:
        left, right = (context.registry.with_hash(connection, one) for one in (policy_hash, other_hash))
    return json_response(diff_policies(left, right))
