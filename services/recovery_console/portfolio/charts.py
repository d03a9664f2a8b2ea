"""The charts of the first page: debt and debtors by level and status, scores, and how concentrated the debt is."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from recovery_charts.bars import Bar, bars
from recovery_charts.curves import Share, concentration
from recovery_charts.figure import Chart
from recovery_charts.histogram import histogram
from recovery_client.shapes import Concentration, Exposure, Summary
from recovery_console.formatting import Reader
from recovery_console.portfolio.filters import TOPS
from recovery_console.words import LEVELS, STATUSES, plain

Address = Callable[[Mapping[str, object]], str]
"""Where a click leads: the table with these parameters, which are those of its filters."""
STATUS_TONES = {"UNPAID": "first", "PARTIAL": "second", "PAID": "sixth"}


def charts(summary: Summary, reader: Reader, address: Address) -> list[Chart]:
    """Return the charts of a summary. Their levels, statuses and scores lead to the table with that filter."""
    tones = {level: level.lower() for level in LEVELS}
    return [
        *_exposure("level", LEVELS, summary["by_level"], tones, summary["currency"], reader, address),
        *_exposure(
            "status", STATUSES, summary["by_payment_status"], STATUS_TONES, summary["currency"], reader, address
        ),
        _scores(summary, reader, address),
    ]


def _exposure(
    by: str,
    names: Sequence[str],
    found: dict[str, Exposure],
    tones: dict[str, str],
    currency: str | None,
    reader: Reader,
    address: Address,
) -> list[Chart]:
    shown = [name for name in names if name in found]
    debt = [
        Bar(
            plain(name),
            Decimal(found[name]["debt"]),
            reader.short_money(found[name]["debt"], currency),
            tones[name],
            address({by: name}),
        )
        for name in shown
    ]
    debtors = [
        Bar(
            plain(name), found[name]["debtors"], reader.number(found[name]["debtors"]), tones[name], address({by: name})
        )
        for name in shown
    ]
    return [
        bars(f"debt-{by}", f"Debt by {by}", debt, (by.capitalize(), "Debt")),
        bars(f"debtors-{by}", f"Debtors by {by}", debtors, (by.capitalize(), "Debtors")),
    ]


def _scores(summary: Summary, reader: Reader, address: Address) -> Chart:
    columns = [
        Bar(
            f"{one['from']}–{one['to']}",
            one["debtors"],
            reader.number(one["debtors"]),
            # A column without debtors cannot be seen, so that nothing leads from it.
            href=address({"min_score": one["from"], "max_score": one["to"]}) if one["debtors"] else None,
        )
        for one in summary["score_histogram"]
    ]
    return histogram("scores", "Debtors by total score", columns, ("Total score", "Debtors"))


def concentration_chart(found: Concentration, reader: Reader, address: Address) -> Chart:
    """Return the curve of how much of the debt the first x percent by priority hold. Its marks lead to the table."""
    points = [
        Share(
            one["top_percent"],
            Decimal(one["debt_share_percent"]),
            reader.percent(one["debt_share_percent"]),
            address({"top": one["top_percent"]}) if one["top_percent"] in TOPS else None,
        )
        for one in found["points"]
    ]
    return concentration("concentration", "How much of the debt the top of the ranking holds", points, of="debtors")
