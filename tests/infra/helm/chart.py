"""The chart, its examples as a cluster would get them, and how to find things in them."""

import copy
import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import helm_python
import pytest
import typer
import yaml

from debt_processing.settings import Settings as DebtSettings
from risk_assessment.settings import Settings as RiskSettings

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "infra/kubernetes/smartrecover"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
EXAMPLES: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "infra/kubernetes/examples").glob("*.yaml"))
}

SETTINGS = {"risk-api": RiskSettings, "dispatcher": RiskSettings, "debt-api": DebtSettings, "consumer": DebtSettings}
APIS = {"risk-api": "risk_host", "debt-api": "debt_host"}
WITH_CONSOLE = sorted(name for name, values in EXAMPLES.items() if values.get("console", {}).get("enabled"))
OF_OPERATORS = {"ScaledObject", "TriggerAuthentication", "PodMonitor", "PrometheusRule"}

Object = dict[str, Any]
each_example = pytest.mark.parametrize("example", sorted(EXAMPLES))
each_with_console = pytest.mark.parametrize("example", WITH_CONSOLE)
each_process = pytest.mark.parametrize("process", sorted(SETTINGS))


@cache
def chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


@cache
def rendered(example: str) -> tuple[Object, ...]:
    """What the cluster would get."""
    chart().validate_schema(EXAMPLES[example])
    files = chart().render(EXAMPLES[example], name="recovery", namespace="debts")
    manifests = (text for path, text in sorted(files.items()) if path.endswith(".yaml"))
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(found for text in manifests for found in yaml.load_all(text, loader) if found)


def objects(example: str, *kinds: str) -> list[Object]:
    return [found for found in rendered(example) if not kinds or found["kind"] in kinds]


def the(example: str, kind: str, name: str) -> Object:
    (found,) = [
        found for found in objects(example, kind) if found["metadata"]["name"] == f"recovery-smartrecover{name}"
    ]
    return found


def workloads(example: str) -> list[Object]:
    return objects(example, "Deployment", "Job")


def processes(example: str) -> set[str]:
    """The processes of an example, with the console where it is enabled."""
    return {*SETTINGS, "console"} if example in WITH_CONSOLE else set(SETTINGS)


def component_of(workload: Object) -> str:
    return labels_of(workload)["app.kubernetes.io/component"]


def pod_of(workload: Object) -> Object:
    pod: Object = workload["spec"]["template"]["spec"]
    return pod


def container_of(workload: Object) -> Object:
    (container,) = pod_of(workload)["containers"]
    assert "initContainers" not in pod_of(workload)
    return dict(container)


def environment_of(workload: Object) -> dict[str, Any]:
    variables = container_of(workload)["env"]
    assert len({variable["name"] for variable in variables}) == len(variables)
    return {variable["name"]: variable.get("value") for variable in variables}


def values_with(path: str, value: object, example: str = "minimal") -> Object:
    """An example in which one value is another; dots lead into it."""
    values = copy.deepcopy(EXAMPLES[example])
    *way, last = path.split(".")
    at = values
    for key in way:
        at = at.setdefault(key, {})
    at[last] = value
    return values


def policies_for(example: str, workload: Object, direction: str) -> list[Object]:
    return [
        found["spec"]
        for found in objects(example, "NetworkPolicy")
        if picks(found["spec"]["podSelector"], labels_of(workload)) and direction in found["spec"]["policyTypes"]
    ]


def picks(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector takes a pod with these labels."""
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def labels_of(workload: Object) -> dict[str, str]:
    return dict(workload["spec"]["template"]["metadata"]["labels"])


def commands_of(program: str) -> set[str]:
    app = import_module(f"{program.replace('-', '_')}.__main__").app
    return set(typer.main.get_command(app).commands)
