"""`python -m benchmarks.plot MEASURED.json … > plot.svg`: rate and memory against the size of a run, as one SVG.

Takes the files that `--json` wrote; draws what it finds of end-to-end runs in batches of 500.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from math import log10
from pathlib import Path

import orjson

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 260, 60, 40, 30
CASE = re.compile(r"(?P<database>\S+), (?P<debtors>[\d,]+) debtors, batches of 500")
COLOURS = {"sqlite": "#1f77b4", "mariadb": "#d62728", "dispatcher": "#1f77b4", "consumer": "#d62728"}

Point = tuple[float, float]


def main(paths: Sequence[str]) -> None:
    """Draw what the files contain."""
    rates: dict[str, list[Point]] = {}
    memory: dict[str, list[Point]] = {}
    for path in paths:
        for figure in orjson.loads(Path(path).read_bytes())["figures"]:
            found = CASE.fullmatch(figure["case"])
            if found is None or figure["benchmark"] != "end to end":
                continue
            debtors = float(found["debtors"].replace(",", ""))
            rates.setdefault(found["database"], []).append((debtors, figure["median"] / 1_000))
            if found["database"] == "sqlite":
                for process, mebibytes in re.findall(r"(dispatcher|consumer) (\d+)", figure["notes"]["peak MiB"]):
                    memory.setdefault(process, []).append((debtors, float(mebibytes)))
    if not rates:
        sys.exit("no end-to-end figure in these files: nothing to draw")
    panels = (_panel("thousand debtors a second", rates, 0), _panel("MiB at the peak, SQLite", memory, WIDTH))
    size = f'viewBox="0 0 {2 * WIDTH} {HEIGHT}" width="{2 * WIDTH}" height="{HEIGHT}"'
    style = 'font-family="sans-serif" font-size="12"'
    ground = '<rect width="100%" height="100%" fill="white"/>'
    print(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{ground}{"".join(panels)}</svg>')


def _panel(title: str, lines: dict[str, list[Point]], at: float) -> str:
    points = [point for line in lines.values() for point in line]
    lowest, highest = (choose(log10(debtors) for debtors, _ in points) for choose in (min, max))
    most = 1.15 * max(value for _, value in points)

    def place(point: Point) -> Point:
        across = (log10(point[0]) - lowest) / ((highest - lowest) or 1)
        return LEFT + across * (WIDTH - LEFT - 30), HEIGHT - BOTTOM - point[1] / most * (HEIGHT - BOTTOM - TOP)

    parts = [_text(LEFT, 18, title), *_axes(most, sorted({debtors for debtors, _ in points}), place)]
    for number, (name, line) in enumerate(sorted(lines.items())):
        colour = COLOURS.get(name, "black")
        places = [place(point) for point in sorted(line)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(_text(WIDTH - 110, HEIGHT - BOTTOM - 12 - 16 * number, name, fill=colour))
    return f'<g transform="translate({at},0)">{"".join(parts)}</g>'


def _axes(most: float, sizes: Iterable[float], place: Callable[[Point], Point]) -> list[str]:
    parts = [f'<path d="M{LEFT},{TOP} V{HEIGHT - BOTTOM} H{WIDTH - 20}" fill="none" stroke="black"/>']
    for value in (most / 1.15, most / 2.3):
        _, y = place((1.0, value))
        parts.append(_text(LEFT - 6, y + 4, f"{value:,.0f}", anchor="end"))
    for debtors in sizes:
        x, _ = place((debtors, 0.0))
        parts.append(_text(x, HEIGHT - BOTTOM + 18, f"{debtors:,.0f}", anchor="middle"))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{text}</text>'


if __name__ == "__main__":
    main(sys.argv[1:])
