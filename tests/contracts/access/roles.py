"""The role that each route wants: the table that the code is compared with."""

EXPECTED = {
    "risk": {
        ("GET", "/debtors"): "viewer",
        ("POST", "/debtors"): "operator",
        ("GET", "/debtors/high-risk"): "viewer",
        ("GET", "/debtors/{debtor_id}"): "viewer",
        ("PUT", "/debtors/{debtor_id}"): "operator",
        ("PATCH", "/debtors/{debtor_id}"): "operator",
        ("DELETE", "/debtors/{debtor_id}"): "operator",
        ("GET", "/debtors/{debtor_id}/score"): "viewer",
        ("GET", "/debtors/{debtor_id}/assessments"): "viewer",
        ("POST", "/scores"): "viewer",
        ("POST", "/scoring-jobs"): "operator",
        ("GET", "/scoring-jobs/{job_id}"): "viewer",
        ("GET", "/runs/preview"): "viewer",
        ("GET", "/runs"): "viewer",
        ("POST", "/runs"): "operator",
        ("GET", "/runs/{run_id}"): "viewer",
        ("POST", "/runs/{run_id}/cancel"): "operator",
        ("GET", "/runs/{run_id}/events"): "viewer",
    },
    "debt": {
        ("GET", "/runs/{run_id}"): "viewer",
        ("GET", "/runs/{run_id}/decisions"): "viewer",
        ("GET", "/runs/{run_id}/errors"): "viewer",
        ("GET", "/runs/{run_id}/skips"): "viewer",
        ("GET", "/debtors/{debtor_id}/decisions"): "viewer",
        ("GET", "/queues"): "viewer",
        ("GET", "/dead-letters"): "viewer",
        ("POST", "/dead-letters/redrive"): "operator",
    },
}
