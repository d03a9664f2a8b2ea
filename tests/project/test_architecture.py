"""The architecture page draws the house that there is, and the contract of the floors covers every noun."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
DRAWING = PAGE.split("```\n")[1]
SERVICES = ("risk_assessment", "debt_processing")
NO_NOUNS = {"migrations"}


def folders(service: str) -> set[str]:
    return {path.parent.name for path in (ROOT / "services" / service).glob("*/__init__.py")}


def nouns() -> set[str]:
    return {f"{service}.{folder}" for service in SERVICES for folder in folders(service) - NO_NOUNS}


def test_the_contract_of_the_floors_names_every_noun() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    [floors] = [contract for contract in tools["importlinter"]["contracts"] if contract["id"] == "noun-floors"]

    assert set(floors["containers"]) == nouns()


def steps_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Step" and isinstance(node.args[0], ast.Constant):
            yield node.args[0].value


def test_it_lists_every_step_of_the_loops() -> None:
    section = PAGE.split("| steps | in |", 1)[1].split("\n\n", 1)[0]
    listed = {
        path: set(re.findall(r"`([^`]+)`", names))
        for names, path in re.findall(r"^\| (.+) \| `(.+)` \|$", section, re.M)
    }
    files = [path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): steps for path in files if (steps := set(steps_in(path)))}

    assert listed == found


def drawn() -> Iterator[tuple[str, str]]:
    """Yield what the drawing names in each library: the library's folder, and a path in it."""
    library = ""
    for line in DRAWING.splitlines():
        if line.startswith("libs/"):
            library = line.split()[0]
        elif line.startswith("services/"):
            return
        elif line.strip():
            yield from ((library, path) for path in paths_in(line))


def paths_in(line: str) -> Iterator[str]:
    """Yield the paths in a line of a library: a file, a folder with its modules, or modules alone."""
    first, *_ = line.split()
    if first.endswith("/"):
        yield first
        names = re.sub(r"\(.*?\)", "", line.split("/", 1)[1]).split(":")[0]
        for name in re.split(r"[,;]| and ", names):
            word = name.replace("…", "").split()
            if word and (len(word) == 1 or word[0].endswith("/")):
                yield f"{first}{word[0]}" if word[0].endswith("/") else f"{first}{word[0]}.py"
    elif ".py" in line:
        yield from re.findall(r"[a-z_]+\.py", line)
    else:
        yield from (f"{name}.py" for name in line.split())


@pytest.mark.parametrize(("library", "path"), list(drawn()))
def test_the_drawing_names_what_is_there(library: str, path: str) -> None:
    assert (ROOT / library / path).exists()


def test_a_line_of_the_drawing_is_read() -> None:
    assert list(paths_in("  http/    app, pages (by keyset), problems …; middleware/")) == [
        "http/",
        "http/app.py",
        "http/pages.py",
        "http/problems.py",
        "http/middleware/",
    ]
    assert list(paths_in("  decisions/  decide: one batch in, one decision out")) == [
        "decisions/",
        "decisions/decide.py",
    ]
    assert list(paths_in("  money.py  amounts   (whole_number.py: integers)")) == ["money.py", "whole_number.py"]
    assert list(paths_in("  audit clock")) == ["audit.py", "clock.py"]


def test_the_drawing_has_every_folder_and_the_shell_of_both_services() -> None:
    [house] = re.findall(r"^services/risk_assessment/ .*?\n(.*?)\n\n", DRAWING, re.MULTILINE | re.DOTALL)
    shell, rest = house.split("  migrations/", 1)
    names = set(re.findall(r"\b[a-z_]+\b", shell))

    assert set(re.findall(r"([a-z_]+)/ ", f"migrations/ {rest}\n")) == folders(SERVICES[0]) | folders(SERVICES[1])
    assert names == {path.stem for service in SERVICES for path in (ROOT / "services" / service).glob("*.py")} - {
        "__init__"
    }
