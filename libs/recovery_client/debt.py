"""Every call of the debt service that a client of ours makes. Options that are None are left out."""

from typing import Any

from recovery_client import run_shapes, shapes
from recovery_client.calls import Call, Page, Service, get, given, post

D = Service.DEBT


def me() -> Call[shapes.Caller]:
    """Return who calls, with which role."""
    return get(D, "me")


def workers() -> Call[shapes.Workers]:
    """Return the consumers that are alive."""
    return get(D, "workers")


def reports(**options: Any) -> Call[Page[run_shapes.Report]]:
    """Return a page of reports on runs, newest first."""
    return get(D, "runs", params=options)


def report(run_id: str) -> Call[run_shapes.Report]:
    """Return the report on a run. It is a 404 until the first batch is recorded."""
    return get(D, "runs", run_id)


def decisions(run_id: str, **options: Any) -> Call[Page[run_shapes.Decision]]:
    """Return a page of the decisions of a run, in the order of work."""
    return get(D, "runs", run_id, "decisions", params=options)


def skips(run_id: str, **options: Any) -> Call[Page[run_shapes.Skip]]:
    """Return a page of the skips of a run, in the order of work."""
    return get(D, "runs", run_id, "skips", params=options)


def errors(run_id: str, **options: Any) -> Call[Page[run_shapes.RunError]]:
    """Return a page of the errors of a run, in the order of work."""
    return get(D, "runs", run_id, "errors", params=options)


def debtor_decisions(debtor_id: int, **options: Any) -> Call[Page[run_shapes.Decision]]:
    """Return a page of the decisions for a debtor, newest run first."""
    return get(D, "debtors", debtor_id, "decisions", params=options)


def debtor_skips(debtor_id: int, **options: Any) -> Call[Page[run_shapes.Skip]]:
    """Return a page of the skips of a debtor, newest run first."""
    return get(D, "debtors", debtor_id, "skips", params=options)


def queues() -> Call[run_shapes.Queues]:
    """Return how many messages each lane has."""
    return get(D, "queues")


def dead_letters(**options: Any) -> Call[Page[run_shapes.DeadLetter]]:
    """Return messages that could not be processed."""
    return get(D, "dead-letters", params=options)


def redrive(reason: str | None = None, **body: Any) -> Call[run_shapes.Redriven]:
    """Send dead letters back to their lanes. The reason goes into the audit record."""
    sending: Call[run_shapes.Redriven] = post(D, "dead-letters", "redrive", json=given(body))
    return sending.because(reason) if reason else sending
