"""What schemathesis loads beside its own checks: which of its complaints are none."""

import json
import re
from typing import Any

import schemathesis

# They depend on what is stored or known at the moment, or on another parameter, so that a request can be right in form
# and refused all the same.
STATE_SAYS_NO = {
    "Bad cursor",
    "Unknown policy",
    "Policy never activated",
    "Not a policy",
    "Unknown time zone",
    "Idempotency-Key reused",
    "Portfolio missing",
    "The policy cannot score this",
    "Bad precondition",
    "Unclear target",
    "Impossible times",
    "Bad capacity",
    "Another order",
    "Facts not accepted",
}


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Keep every failure but the rejection of a request that no schema could have predicted, or that broke it."""
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 422:
        return True
    problem = json.loads(response.content)
    fields = [error["field"] for error in problem["errors"]]
    return problem["title"] not in STATE_SAYS_NO and not any(_breaks_its_pattern(case, field) for field in fields)


def _breaks_its_pattern(case: Any, header: str) -> bool:
    """Whether a header was sent that its pattern forbids: schemathesis counts some such requests among the right ones.

    It does so when it had meant to break a path's id and then put a known one there.
    """
    for parameter in case.operation.definition.raw.get("parameters", ()):
        if parameter["name"] == header and parameter["in"] == "header" and header in (case.headers or {}):
            return re.search(parameter["schema"]["pattern"], str(case.headers[header])) is None
    return False
