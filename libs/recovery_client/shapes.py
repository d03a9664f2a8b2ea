"""The JSON that the APIs answer with, as far as clients read it. The APIs may add fields."""

from typing import Any, TypedDict

Counts = dict[str, int]


class Caller(TypedDict):
    """Who calls. The role is null for a known caller who may do nothing; `portfolios` is null for all of them."""

    actor: str
    role: str | None
    auth: str
    portfolios: list[str] | None


class Worker(TypedDict):
    """A loop that is alive."""

    id: str
    kind: str
    host: str
    started_at: str
    heard_at: str
    holding: int
    leader: bool
    waiting_for: str | None


class Workers(TypedDict):
    """The loops that were heard of within 30 seconds."""

    items: list[Worker]


class PolicyRef(TypedDict):
    """The name of a policy."""

    name: str
    version: int
    hash: str


class Portfolio(TypedDict):
    """A creditor's book."""

    name: str
    currency: str | None
    time_zone: str
    jurisdiction: str
    attributes: dict[str, Any]
    active_policy: PolicyRef
    debtors: int
    created_at: str
    updated_at: str


class Exposure(TypedDict):
    """How many debtors, and their debt as decimal text."""

    debtors: int
    debt: str


Band = TypedDict("Band", {"from": int, "to": int, "debtors": int, "debt": str})


class Summary(TypedDict):
    """What a lead looks at first."""

    portfolio: str
    as_of: str
    currency: str | None
    debtors: int
    debt: str
    by_level: dict[str, Exposure]
    by_payment_status: dict[str, Exposure]
    on_hold: dict[str, Exposure]
    rankable: int
    excluded: Counts
    score_histogram: list[Band]


class ConcentrationPoint(TypedDict):
    """What the first `top_percent` by priority hold."""

    top_percent: int
    debtors: int
    debt: str
    debt_share_percent: str
    priority: str


class Concentration(TypedDict):
    """How much of the debt the top x percent hold."""

    portfolio: str
    as_of: str
    points: list[ConcentrationPoint]


class Factor(TypedDict):
    """One factor's share of a score."""

    points: int
    weight: int
    contribution: int


class Reason(TypedDict):
    """Why a score is higher than that of the neutral debtor."""

    code: str
    text: str
    contribution: int


class Assessment(TypedDict):
    """What one policy says of one profile at one moment."""

    total_score: int
    risk_percentage: float
    risk_level: str
    factors: dict[str, Factor]
    reasons: list[Reason]
    policy: PolicyRef
    assessed_at: str


class HistoryEntry(Assessment):
    """One assessment of a debtor's history."""

    version: int
    priority: str
    profile: dict[str, Any]


class Debtor(TypedDict):
    """A debtor with its current assessment. Money is decimal text."""

    id: int
    portfolio: str
    external_ref: str | None
    person_ref: str | None
    name: str
    total_debt_amount: str
    monthly_income: str
    late_payments_count: int
    payment_status: str
    priority: str
    assessment: Assessment
    created_at: str
    updated_at: str
    version: int


class Rank(TypedDict):
    """The rank of a debtor now, null with the reason for who is not eligible."""

    debtor_id: int
    portfolio: str
    rank: int | None
    of: int
    priority: str
    reason: str | None
    as_of: str


Hold = TypedDict(
    "Hold",
    {
        "id": str,
        "portfolio": str,
        "debtor_id": int | None,
        "person_ref": str | None,
        "kind": str,
        "blocks": str | list[str],
        "reason": str,
        "source": str | None,
        "from": str,
        "until": str | None,
        "recorded_at": str,
        "recorded_by": str,
        "ended_at": str | None,
        "end_reason": str | None,
        "ended_by": str | None,
        "active": bool,
    },
)


class Finding(TypedDict):
    """What the linter has to say."""

    code: str
    severity: str
    place: str
    message: str
    rule: str | None


class Policy(TypedDict, total=False):
    """A policy with its state; the document and the findings only where they were asked for."""

    name: str
    version: int
    hash: str
    state: str
    portfolios: list[str]
    uploaded_by: str | None
    uploaded_at: str | None
    document: dict[str, Any]
    findings: list[Finding]


class Influence(TypedDict):
    """What one factor can change."""

    points_span: int
    level_flip_share: str
    priority_percent: int | None


class Findings(TypedDict):
    """What the linter finds in a policy, and the influence of each factor."""

    policy: PolicyRef
    jurisdiction: str
    findings: list[Finding]
    influence: dict[str, Influence]


class Simulation(TypedDict, total=False):
    """A simulation: its state, and its report once it is completed."""

    id: str
    state: str
    portfolio: str
    capacities: Counts | None
    as_of: str
    today: PolicyRef
    proposed: PolicyRef
    debtors_total: int | None
    debtors_read: int
    debtors: int
    levels: dict[str, Counts]
    lanes: dict[str, Counts]
    actions: dict[str, Counts]
    excluded: dict[str, Counts]
    exposure: dict[str, dict[str, Exposure]]
    top_k: dict[str, Any]
    movers: list[dict[str, Any]]
    error: str | None
