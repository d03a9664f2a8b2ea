"""What an example's values lead to on a mocked AWS, and how to find things in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.infra.terraform.program import Terraform

from debt_processing.settings import Settings as DebtSettings
from risk_assessment.settings import Settings as RiskSettings

SETTINGS = {"risk-api": RiskSettings, "dispatcher": RiskSettings, "debt-api": DebtSettings, "consumer": DebtSettings}

Json = dict[str, Any]
WITH_CONSOLE = "production"
"""The example that has the console; the other one has none."""
each_example = pytest.mark.parametrize("example", ["production", "trial"])
each_process = pytest.mark.parametrize("process", sorted(SETTINGS))


def applied(terraform: Terraform, example: str) -> Json:
    only = "-filter=tests/system.tftest.hcl"
    code, said = terraform.run("test", only, f"-var-file={example}.tfvars", "-json", "-verbose")
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    if code != 0:
        return {"failure": "\n".join(str(line.get("diagnostic", line["@message"])) for line in events)}
    (state,) = [line["test_state"] for line in events if line["type"] == "test_state"]
    return {"outputs": {k: v["value"] for k, v in state["outputs"].items()}, "resources": list(resources(state))}


def resources(state: Json) -> Iterator[Json]:
    modules = [state["root_module"]]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        yield from (
            {"type": each["type"], "address": each["address"], "values": each["values"]}
            for each in module.get("resources", [])
        )


def of_type(system: Json, kind: str) -> list[Json]:
    return [each["values"] for each in system["resources"] if each["type"] == kind]


def environment_of(container: Json) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["environment"]}


def secrets_of(container: Json) -> dict[str, str]:
    return {secret["name"]: secret["valueFrom"] for secret in container["secrets"]}
