"""`process-debtors`: a client of both APIs that starts a run and follows it to its report, or previews it.

It knows no database: whoever may call the APIs may use it.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

POLL_SECONDS = 0.25
PLAIN_LINE_SECONDS = 2.0
PATIENCE_SECONDS = 60.0

_COLUMNS = {
    "rank": "rank",
    "debtor": "debtor_id",
    "name": "name",
    "lane": "lane",
    "priority": "priority",
    "score": "total_score",
    "level": "risk_level",
    "debt": "total_debt_amount",
}
_TEXTS = ("name", "lane", "risk_level")


class ClientError(Exception):
    """The command cannot go on; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Apis:
    """Where both APIs are and with which key to call them."""

    risk_url: str
    debt_url: str
    api_key: str | None = None

    def get(self, url: str, **params: Any) -> Any:
        """GET and return the JSON. Raises ClientError with what the problem says."""
        return self._call("GET", url, params={k: v for k, v in params.items() if v is not None})

    def post(self, url: str, body: dict[str, Any]) -> Any:
        """POST JSON and return the JSON. Raises ClientError with what the problem says."""
        return self._call("POST", url, json=body)

    def _call(self, method: str, url: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        try:
            answer = httpx.request(method, url, headers=headers, timeout=60, **options)
        except httpx.HTTPError as error:
            raise ClientError(f"cannot reach {url}: {error or type(error).__name__}") from error
        if answer.is_error:
            raise RefusedError(answer)
        return answer.json()


class RefusedError(ClientError):
    """An API answered with a problem."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        try:
            problem = answer.json()
            text = "; ".join(f"{e['field']}: {e['message']}" for e in problem.get("errors", ())) or problem["detail"]
        except (ValueError, KeyError, TypeError):
            text = answer.reason_phrase
        if self.status == httpx.codes.UNAUTHORIZED:
            text += " (RECOVERY_API_KEY holds the key of the command line)"
        super().__init__(f"{answer.request.url.path} answered {self.status}: {text}")


def preview(apis: Apis, options: dict[str, Any], top_k: int) -> dict[str, Any]:
    """Fetch a dry run; nothing is written anywhere."""
    url = f"{apis.risk_url}/risk-service/runs/preview"
    options = {name: value for name, value in options.items() if name != "batch_size"}
    found: dict[str, Any] = apis.get(url, **options, top_k=top_k)
    return found


def show_preview(console: Console, found: dict[str, Any]) -> None:
    """Print a dry run for people."""
    _say(console, f"dry run: the best {len(found['top'])} of {found['ranked']:,} debtors")
    for row in _table(found["top"]):
        _say(console, row)
    _say(console, f"lanes: high {found['lanes']['high']:,}, standard {found['lanes']['standard']:,}")
    _say(console, f"left out: {_counts(found['excluded']) or 'nobody'}; nothing was written")


def _table(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Lines under headings; laid out here because a terminal's table would cut numbers where it is narrow."""
    rows = [tuple(_COLUMNS), *(tuple(str(line[field]) for field in _COLUMNS.values()) for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, _COLUMNS.values(), strict=True)
        yield "  ".join(f"{cell:{'<' if field in _TEXTS else '>'}{width}}" for cell, width, field in cells)


def start(apis: Apis, options: dict[str, Any]) -> dict[str, Any]:
    """Start a run."""
    body = {name: value for name, value in options.items() if value is not None}
    run: dict[str, Any] = apis.post(f"{apis.risk_url}/risk-service/runs", body)
    return run


def follow(apis: Apis, run_id: str, console: Console) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Follow a run to its end; return it with the debt service's report, None when nobody had to be worked."""
    bar = _Bar(console)
    with bar:
        for run in _states(apis, run_id):
            report = _report(apis, run_id) if run["batches_sent"] else None
            bar.show(run, report)
    if run["state"] == "failed":
        raise ClientError(f"run {run_id} failed: {run['error']}")
    return run, _final_report(apis, run) if run["batches_done"] else None


def show_report(console: Console, run: dict[str, Any], report: dict[str, Any] | None) -> None:
    """Print the report for people."""
    _say(
        console,
        f"run {run['id']} {run['state']}: "
        f"{run['debtors_ranked'] or 0:,} ranked in {run['batches_total'] or 0:,} batches",
    )
    for name, text in _report_lines(run, report):
        _say(console, f"  {name:<13} {text}")


def _report_lines(run: dict[str, Any], report: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if report is None and not run["debtors_ranked"] and not run["excluded"]:
        yield "nobody", f"there are no debtors in portfolio {run['portfolio']}"
        return
    yield "left out", _counts(run["excluded"]) or "nobody"
    if run["error"]:
        yield "problem", run["error"]
    if report is None:
        yield "nobody", "to work"
        return
    yield "processed", f"{report['debtors_processed']:,} of {report['debtors_total']:,}"
    yield "succeeded", f"{report['succeeded']:,}"
    yield "failed", f"{report['failed']:,}"
    yield "high priority", f"{report['high_priority']:,}"
    yield "seconds", f"{report['processing_seconds']} ({report['debtors_per_second']:,} debtors a second)"
    yield "levels", _counts(report["levels"])
    yield "actions", _counts(report["actions"])
    for error in report["first_errors"]:
        yield "error", f"debtor {error['debtor_id']}: {error['stage']}: {error['detail']}"


def _say(console: Console, line: str) -> None:
    """Print a line as it is: neither broken at the terminal's width nor read as markup."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def _states(apis: Apis, run_id: str) -> Iterator[dict[str, Any]]:
    """The run again and again until it is over, bearing with an API that is away for a while."""
    url = f"{apis.risk_url}/risk-service/runs/{run_id}"
    answered_at = time.monotonic()
    while True:
        try:
            run = apis.get(url)
        except ClientError:
            if time.monotonic() - answered_at > PATIENCE_SECONDS:
                raise
        else:
            answered_at = time.monotonic()
            yield run
            if run["state"] in ("completed", "cancelled", "failed"):
                return
        time.sleep(POLL_SECONDS)


def _report(apis: Apis, run_id: str) -> dict[str, Any] | None:
    try:
        report: dict[str, Any] = apis.get(f"{apis.debt_url}/debt-service/runs/{run_id}")
    except ClientError:
        return None
    return report


def _final_report(apis: Apis, run: dict[str, Any]) -> dict[str, Any]:
    report: dict[str, Any] = apis.get(f"{apis.debt_url}/debt-service/runs/{run['id']}")
    return report


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


class _Bar:
    """Progress as a bar on a terminal, as a line every other second elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said_at = 0.0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._task = self._progress.add_task("accepted", total=None) if self._progress else None

    def __enter__(self) -> "_Bar":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def show(self, run: dict[str, Any], report: dict[str, Any] | None) -> None:
        """Show where the run is."""
        done, total = (report or {}).get("debtors_processed", 0), run["debtors_ranked"]
        if self._progress and self._task is not None:
            self._progress.update(self._task, description=run["state"], completed=done, total=total)
        elif time.monotonic() - self._said_at >= PLAIN_LINE_SECONDS:
            self._said_at = time.monotonic()
            progress = "not ranked yet" if total is None else f"{done:,} of {total:,} debtors processed"
            print(f"{run['state']}: {progress}", file=sys.stderr, flush=True)
