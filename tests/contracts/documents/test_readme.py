"""The README is true: its commands are typed into a running system, and what it shows is what comes out."""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.contracts.documents.readme_session import Step, blocks, differences, steps
from tests.support.processes import eventually, free_port, repository, start, stop

from debt_processing.__main__ import app as debt_app
from debt_processing.settings import Settings as DebtSettings
from recovery_console.__main__ import app as console_app
from recovery_console.settings import Settings as ConsoleSettings
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.parts import RiskLevel
from recovery_core.policies.treatment import Treatment
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.__main__ import app as risk_app
from risk_assessment.debtors.generating import Distribution, generate
from risk_assessment.runs.schemas import DEFAULT_THRESHOLD
from risk_assessment.settings import Settings as RiskSettings
from smartrecover.__main__ import app as local_app
from smartrecover.console import console_obstacle

README = (repository() / "README.md").read_text(encoding="utf-8")
PROGRAMS = {
    "risk-assessment": risk_app,
    "debt-processing": debt_app,
    "recovery-console": console_app,
    "smartrecover": local_app,
}
NOT_OURS = ("RISK_", "DEBT_", "CONSOLE_", "RECOVERY_", "AWS_")
MARK = "@@ end of step @@"


def session() -> list[Step]:
    """What is typed into the second terminal."""
    every = [step for block in blocks(README, "console") for step in steps(block)]
    first = next(number for number, step in enumerate(every) if step.command == "make up")
    return every[first + 1 :]


class Terminal:
    """A folder like a clone in which `make up` runs, on ports that are free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "up.log"
        self._ports = {port: free_port() for port in ("8001", "8002", "8003", "9324")}
        (folder / ".venv").mkdir()
        (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
        (folder / "docs").symlink_to(repository() / "docs")

    def to_here(self, text: str) -> str:
        """Replace the README's ports by ours."""
        for port, ours in self._ports.items():
            text = re.sub(rf"\b{port}\b", str(ours), text)
        return text

    def environment(self) -> dict[str, str]:
        given = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        return given | {name: self.to_here(f"http://127.0.0.1:{port}") for name, port in API_PORTS.items()}

    def up(self) -> "subprocess.Popen[bytes]":
        command = ".venv/bin/smartrecover up --risk-port 8001 --debt-port 8002 --sqs-port 9324 --console-port 8003"
        with self.log.open("wb") as output:
            return start(
                self.to_here(command).split(), cwd=self.folder, env=self.environment(), stdout=output, stderr=output
            )

    def type(self, commands: list[str]) -> list[str]:
        """Type commands into one shell; return what each shows. Errors and progress go elsewhere, as on a terminal."""
        script = "".join(f"{self.to_here(command)}\nprintf '\\n%s\\n' '{MARK}'\n" for command in commands)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=600,  # only against a command that never ends
        )
        return done.stdout.replace("\r\n", "\n").split(f"\n{MARK}\n")[: len(commands)]


API_PORTS = {"RISK_API_URL": "8001", "DEBT_API_URL": "8002"}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    here = Terminal(tmp_path)
    process = here.up()

    def is_ready() -> bool:
        said = here.log.read_text()
        assert process.poll() is None, said
        return "\nready " in said

    try:
        eventually(is_ready, 60, "ready")
        yield here
    finally:
        code = stop(process)
    said = here.log.read_text()
    assert (code, said.splitlines()[-1]) == (0, "stopped")
    # What the loops still need while they stop is stopped after them.
    assert "outage" not in said[said.index("process.stopping") :]


@pytest.mark.timeout(700)
def test_up_and_every_command_print_what_is_shown(terminal: Terminal) -> None:
    typed = session()
    [ready] = re.findall(r"^ready .*$", README, re.MULTILINE)
    if console_obstacle({}):  # the set-up could not fetch its scripts
        ready = ready.partition(" console=")[0]

    outputs = terminal.type([step.command for step in typed])

    wrong = {
        step.command: found
        for step, output in zip(typed, outputs, strict=True)
        if (found := differences(terminal.to_here(step.shown), output))
    }
    assert wrong == {}
    assert terminal.to_here(ready) in terminal.log.read_text().splitlines()


def test_the_report_of_the_demo_is_what_comes_out() -> None:
    """Counted here without databases and queues: the invented debtors and their scores are always the same."""
    policy = built_in_policy("standard")
    score, action = scorer_for(policy).score, Treatment(policy).action
    counted: Counter[str] = Counter()
    for row in generate(50_000, Distribution.BALANCED, seed=42):
        if row.payment_status == "PAID":
            counted["PAID"] += 1
            continue
        found = score(row.facts)
        lane = "high" if found.total_score * row.total_debt_amount > DEFAULT_THRESHOLD else "standard"
        decided = action(found.risk_level, lane, row.payment_status, row.total_debt_amount)
        counted.update(("ranked", lane, found.risk_level, decided))

    [report] = re.findall(r"^run \S+ completed: .*?^done in", README, re.MULTILINE | re.DOTALL)
    shown = {
        name: int(count.replace(",", "")) for name, count in re.findall(r"([A-Z_]{3,}) ([\d,]+)(?:,|$|\n)", report)
    }
    shown["ranked"] = int(re.findall(r"([\d,]+) ranked in 91 batches", report)[0].replace(",", ""))
    shown["high"] = int(re.findall(r"high priority ([\d,]+)", report)[0].replace(",", ""))
    assert {name: counted[name] for name in shown} == shown
    assert sum(shown.get(level, 0) for level in RiskLevel) == shown["ranked"] == 50_000 - shown["PAID"]


def every_command() -> list[str]:
    """Commands in code blocks, and those named in the text."""
    typed = [step.command for block in blocks(README, "console") for step in steps(block)]
    typed += [line for block in blocks(README, "sh") for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    return typed + re.findall(r"`([^`\n]+)`", prose)


def calls_of_ours() -> list[list[str]]:
    """The calls of our own programs, split into words."""
    names = "|".join(PROGRAMS)
    found = [re.search(rf"(?:^|\s|/)((?:{names}) [^|<>]*)", command) for command in every_command()]
    return [shlex.split(call[1]) for call in found if call]


def commands_of(program: str) -> dict[str, set[str]]:
    """The program's commands and their options; a command of a group has two words."""
    return dict(_commands_in(typer.main.get_command(PROGRAMS[program])))


def _commands_in(group: Any, before: str = "") -> Iterator[tuple[str, set[str]]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands_in(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("call", calls_of_ours(), ids=" ".join)
def test_a_command_and_its_options_exist(call: list[str]) -> None:
    program, *words = call
    known = commands_of(program)
    command = next(name for name in (" ".join(words[:2]), words[0]) if name in known)
    options = {word.partition("=")[0] for word in words if word.startswith("--")}

    assert options <= known[command]


def test_the_table_of_commands_is_complete() -> None:
    [table] = re.findall(r"^\| command \|.*?\n(?=\n)", README, re.MULTILINE | re.DOTALL)
    named = set()
    for row in table.splitlines()[2:]:
        words = re.findall(r"`([^`]+)`", row.split("|")[1])
        program = ""
        for word in words:
            before, _, command = word.partition(" ")
            program = before if before in PROGRAMS else program
            named.add((program, command if before in PROGRAMS else word))

    assert named == {(program, command) for program in PROGRAMS for command in commands_of(program)}


def settings_table() -> dict[str, str]:
    """Name and default of each setting, as the README has them."""
    [table] = re.findall(r"^\| name \| default \|.*?\n(?=\n)", README, re.MULTILINE | re.DOTALL)
    found = {}
    for row in table.splitlines()[2:]:
        names, default, _ = (cell.strip() for cell in row.strip().strip("|").split("|", 2))
        found |= {name: default.strip("`") for name in re.findall(r"`(\w+)`", names)}
    return found


def test_the_table_of_settings_is_complete_and_has_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(NOT_OURS):
            monkeypatch.delenv(name)
    known = {}
    for settings in (ConsoleSettings(_env_file=None), RiskSettings(_env_file=None), DebtSettings(_env_file=None)):
        known |= {name.upper(): value for name, value in settings.model_dump().items()}

    as_text = {name: "" if value is None else str(value) for name, value in known.items()}
    as_text |= {name: str(value).lower() for name, value in known.items() if isinstance(value, bool)}
    as_text |= {name: f"{value:g}" for name, value in known.items() if type(value) is float}
    assert settings_table() == as_text
