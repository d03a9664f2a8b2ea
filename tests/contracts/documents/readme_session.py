"""The README as a session at a terminal: its commands, what it shows for them, and whether an output is like that."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = "$ "
MORE = "…"
# What no two runs share. Everything else that the README shows must come out to the digit.
CHANGING = (
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"[\d.]+ \([\d,.]+ debtors a second\)"), "<speed>"),
    (re.compile(r"\bsrk_\w+"), "<key>"),
)
CHANGING_FIELDS = frozenset({"processing_seconds", "debtors_per_second"})


@dataclass(frozen=True, slots=True)
class Step:
    """One command and what the document shows for it."""

    command: str
    shown: str


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return [body for kind, body in FENCE.findall(document) if kind == language]


def steps(block: str) -> Iterator[Step]:
    """The commands of a console block; one goes on while a line ends in a backslash or a quote is open."""
    command, shown = "", ""
    for line in block.splitlines():
        if command and _is_open(command):
            command += f"\n{line}"
        elif line.startswith(PROMPT):
            if command:
                yield Step(command, shown.strip())
            command, shown = line.removeprefix(PROMPT), ""
        else:
            shown += f"{line}\n"
    if command:
        yield Step(command, shown.strip())


def differences(shown: str, output: str) -> list[str]:
    """What the document shows and the output does not contain; more in the output is fine where a … says so."""
    head, found, body = _parts(shown)
    real_head, real_found, real_body = _parts(output)
    wrong = _missing_lines(head, real_head)
    if found:
        wrong += _json_differences(_parsed(body), json.loads(real_body) if real_found else None, "output")
    return wrong


def _is_open(command: str) -> bool:
    return command.endswith("\\") or command.count("'") % 2 == 1


def _parts(text: str) -> tuple[str, bool, str]:
    """The lines before a JSON text, whether there is one, and the JSON."""
    start = re.search(r"^(?:data: )?(?=\{)", text, re.MULTILINE)
    return (text[: start.start()], True, text[start.end() :]) if start else (text, False, "")


def _missing_lines(shown: str, output: str) -> list[str]:
    """Lines shown that do not come in the output, in order and without others between them unless a … stands there."""
    wanted = [_steady(line) for line in shown.splitlines() if line.strip()]
    real = [_steady(line) for line in output.splitlines() if line.strip()]
    wrong, at, skipping = [], 0, False
    for line in wanted:
        if line.strip() == MORE:
            skipping = True
            continue
        try:
            place = real.index(line, at)
        except ValueError:
            wrong.append(f"not there: {line}")
            continue
        if place > at and not skipping:
            wrong.append(f"left out before {line!r}: {real[at:place]}")
        at, skipping = place + 1, False
    if at < len(real) and not skipping and wanted:
        wrong.append(f"left out at the end: {real[at:]}")
    return wrong


def _steady(text: str) -> str:
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return " ".join(text.split())


def _parsed(text: str) -> Any:
    """JSON in which … stands for anything: as a value, or at the end of a list or an object for more of its kind."""
    text = re.sub(rf",\s*{MORE}\s*([\]}}])", rf', "{MORE}"\1', text)
    text = re.sub(rf"([\[{{:]\s*){MORE}", rf'\1"{MORE}"', text)
    text = re.sub(rf'(,|\{{)(\s*)"{MORE}"(\s*)\}}', rf'\1\2"{MORE}": "{MORE}"\3}}', text)
    return json.loads(text)


def _json_differences(shown: Any, real: Any, place: str) -> list[str]:
    if shown == MORE:
        return []
    if isinstance(shown, dict) and isinstance(real, dict):
        return _object_differences(shown, real, place)
    if isinstance(shown, list) and isinstance(real, list):
        return _list_differences(shown, real, place)
    if isinstance(shown, str) and isinstance(real, str):
        same = bool(re.fullmatch(".*".join(map(re.escape, _steady(shown).split(MORE))), _steady(real)))
    else:
        same = type(shown) is type(real) and shown == real
    return [] if same else [f"{place}: shown {shown!r}, is {real!r}"]


def _object_differences(shown: dict[str, Any], real: dict[str, Any], place: str) -> list[str]:
    wrong = []
    if MORE not in shown and shown.keys() != real.keys():
        wrong.append(f"{place}: also has {sorted(real.keys() - shown.keys())}")
    for name, value in shown.items():
        if name == MORE:
            continue
        if name not in real:
            wrong.append(f"{place}.{name}: is not there")
        elif name in CHANGING_FIELDS:
            wrong += [] if isinstance(real[name], int | float) else [f"{place}.{name}: is no number"]
        else:
            wrong += _json_differences(value, real[name], f"{place}.{name}")
    return wrong


def _list_differences(shown: list[Any], real: list[Any], place: str) -> list[str]:
    wanted = [item for item in shown if item != MORE]
    wrong = []
    if len(wanted) > len(real) or (len(wanted) < len(real) and MORE not in shown):
        wrong.append(f"{place}: {len(wanted)} shown, there are {len(real)}")
    for index, (item, real_item) in enumerate(zip(wanted, real, strict=False)):
        wrong += _json_differences(item, real_item, f"{place}[{index}]")
    return wrong
