"""Every call of the risk service that a client of ours makes. Options that are None are left out."""

from typing import Any

from recovery_client import run_shapes, shapes
from recovery_client.calls import Call, Page, Service, get, given, joined, post

R = Service.RISK


def me() -> Call[shapes.Caller]:
    """Return who calls, with which role."""
    return get(R, "me")


def workers() -> Call[shapes.Workers]:
    """Return the dispatchers that are alive."""
    return get(R, "workers")


def portfolios(**options: Any) -> Call[Page[shapes.Portfolio]]:
    """Return the portfolios that the caller may see."""
    return get(R, "portfolios", params=options)


def portfolio(name: str) -> Call[shapes.Portfolio]:
    """Return a portfolio."""
    return get(R, "portfolios", name)


def activations(name: str, **options: Any) -> Call[Page[dict[str, Any]]]:
    """Return which policy was active in a portfolio when, by which person and why."""
    return get(R, "portfolios", name, "activations", params=options)


def summary(name: str) -> Call[shapes.Summary]:
    """Return what a lead looks at first: counts and debt by level, status and score."""
    return get(R, "portfolios", name, "summary")


def concentration(name: str) -> Call[shapes.Concentration]:
    """Return how much of the debt the top x percent hold."""
    return get(R, "portfolios", name, "concentration")


def debtors(**filters: Any) -> Call[Page[shapes.Debtor]]:
    """Return a page of debtors."""
    return get(R, "debtors", params=filters)


def debtor(debtor_id: int) -> Call[shapes.Debtor]:
    """Return a debtor."""
    return get(R, "debtors", debtor_id)


def score(debtor_id: int) -> Call[shapes.Assessment]:
    """Return a fresh assessment of a debtor; nothing is written."""
    return get(R, "debtors", debtor_id, "score")


def assessments(debtor_id: int, **options: Any) -> Call[Page[shapes.HistoryEntry]]:
    """Return the assessments of a debtor, newest first."""
    return get(R, "debtors", debtor_id, "assessments", params=options)


def rank(debtor_id: int, **options: Any) -> Call[shapes.Rank]:
    """Return the rank of a debtor among the eligible debtors now, or why it has none."""
    return get(R, "debtors", debtor_id, "rank", params=options)


def holds(**filters: Any) -> Call[Page[shapes.Hold]]:
    """Return a page of holds, the last recorded first."""
    return get(R, "holds", params=filters)


def hold(hold_id: str) -> Call[shapes.Hold]:
    """Return a hold, with its end if it has been ended."""
    return get(R, "holds", hold_id)


def place_hold(**body: Any) -> Call[shapes.Hold]:
    """Place a hold on a debtor or a person."""
    return post(R, "holds", json=given(body))


def end_hold(hold_id: str, **body: Any) -> Call[shapes.Hold]:
    """End a hold."""
    return post(R, "holds", hold_id, "end", json=given(body))


def policies(**options: Any) -> Call[Page[shapes.Policy]]:
    """Return a page of policies, without their documents, by name and version."""
    return get(R, "policies", params=options)


def policy(policy_hash: str) -> Call[shapes.Policy]:
    """Return a policy with its document."""
    return get(R, "policies", policy_hash)


def findings(policy_hash: str, jurisdiction: str | None = None) -> Call[shapes.Findings]:
    """Return what the linter finds in a policy, and the influence of each factor."""
    return get(R, "policies", policy_hash, "findings", params={"jurisdiction": jurisdiction})


def policy_diff(policy_hash: str, other_hash: str) -> Call[dict[str, Any]]:
    """Return what differs between two policies, place by place."""
    return get(R, "policies", policy_hash, "diff", other_hash)


def upload_policy(document: bytes) -> Call[shapes.Policy]:
    """Store a policy document, as JSON text, as a draft."""
    return Call(R, "POST", joined(R, "policies"), content=document, headers={"Content-Type": "application/json"})


def activate_policy(policy_hash: str, **body: Any) -> Call[dict[str, Any]]:
    """Let a policy score a portfolio from now on. The answer is the job that scores its debtors again."""
    return post(R, "policies", policy_hash, "activate", json=given(body))


def simulate(**body: Any) -> Call[shapes.Simulation]:
    """Start a simulation."""
    return post(R, "simulations", json=given(body))


def simulation(simulation_id: str) -> Call[shapes.Simulation]:
    """Return a simulation and how far it is."""
    return get(R, "simulations", simulation_id)


def simulations(**options: Any) -> Call[Page[shapes.Simulation]]:
    """Return a page of simulations without their reports, newest first."""
    return get(R, "simulations", params=options)


def preview(**options: Any) -> Call[run_shapes.Preview]:
    """Return what a run with these options would do now; nothing is written."""
    return get(R, "runs", "preview", params=options)


def start_run(**options: Any) -> Call[run_shapes.Run]:
    """Start a run."""
    return post(R, "runs", json=given(options))


def runs(**options: Any) -> Call[Page[run_shapes.Run]]:
    """Return a page of runs, newest first."""
    return get(R, "runs", params=options)


def run(run_id: str) -> Call[run_shapes.Run]:
    """Return a run and how far it is."""
    return get(R, "runs", run_id)


def run_events(run_id: str) -> Call[Any]:
    """Return a run as server-sent events: one at once, one at each change."""
    return get(R, "runs", run_id, "events")


def batches(run_id: str) -> Call[run_shapes.RunBatches]:
    """Return the batches of a run, each at its place."""
    return get(R, "runs", run_id, "batches")


def cancel_run(run_id: str, reason: str | None = None) -> Call[run_shapes.Run]:
    """Stop what has not been sent yet. The reason goes into the audit record."""
    cancelling: Call[run_shapes.Run] = Call(R, "POST", joined(R, "runs", run_id, "cancel"))
    return cancelling.because(reason) if reason else cancelling


def exclusions(run_id: str, **options: Any) -> Call[Page[run_shapes.Exclusion]]:
    """Return a page of the debtors that a run left out, and why."""
    return get(R, "runs", run_id, "exclusions", params=options)


def explanation(run_id: str, debtor_id: int) -> Call[run_shapes.Explanation]:
    """Return why a debtor stands where it stands in a run."""
    return get(R, "runs", run_id, "explain", debtor_id)


def manifest(run_id: str) -> Call[dict[str, Any]]:
    """Return what a run was made of."""
    return get(R, "runs", run_id, "manifest")


def comparison(run_id: str, other_id: str, **options: Any) -> Call[run_shapes.Comparison]:
    """Return who is new, gone or moved in a run, against an earlier one."""
    return get(R, "runs", run_id, "compare", params={"with": other_id, **options})
