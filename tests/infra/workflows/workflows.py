"""The workflows as YAML has them, and how to find jobs and steps in them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
GITHUB = ROOT / ".github"
FILES = sorted((GITHUB / "workflows").iterdir())
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES}
# YAML takes the bare word `on` for a truth value.
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS: dict[str, dict[str, Any]] = {
    f"{name}:{job}": content for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()
}
CALLS = {name for name, job in JOBS.items() if "uses" in job}
STEPS: list[dict[str, Any]] = [step for job in JOBS.values() for step in job.get("steps", [])]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]

OURS = "$/.github/workflows/"

each_file = pytest.mark.parametrize("name", sorted(WORKFLOWS))
each_job = pytest.mark.parametrize("name", sorted(JOBS))


def triggers(name: str) -> dict[str, Any]:
    on: dict[str, Any] = WORKFLOWS[name][True]
    return on


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = JOBS[job]["steps"]
    return found


def using(job: str, action: str) -> list[dict[str, Any]]:
    return [step for step in steps(job) if step.get("uses", "").startswith(f"{action}@")]


def position(job: str, words: str) -> int:
    """Where in a job the step stands that says this."""
    [found] = [index for index, step in enumerate(steps(job)) if words in step.get("uses", "") + step.get("run", "")]
    return found
