"""Every workload is a command of ours, is asked for its health, stops in time and has a second one beside it."""

import pytest
from tests.infra.helm.chart import (
    APIS,
    DEFAULTS,
    SETTINGS,
    commands_of,
    container_of,
    each_example,
    each_process,
    each_with_console,
    environment_of,
    labels_of,
    objects,
    picks,
    pod_of,
    the,
    workloads,
)

from debt_processing.settings import Settings as DebtSettings
from service_kit.http.middleware.request_log import HEALTH_PATHS

DRAIN_SECONDS = 20  # within which every process of ours is gone once asked


@each_example
def test_every_workload_is_a_command_that_exists(example):
    for workload in workloads(example):
        program, command, *_ = container_of(workload)["command"]
        assert command in commands_of(program)


@each_process
def test_a_process_is_asked_for_its_health_where_it_answers(process):
    workload = the("minimal", "Deployment", f"-{process}")
    container, variables = container_of(workload), environment_of(workload)
    (port,) = container["ports"]
    given = {name: value for name, value in variables.items() if name in {"RISK_PORT", "DEBT_PORT"}} or {
        name: value for name, value in variables.items() if name.endswith("_METRICS_PORT")
    }

    assert list(given.values()) == [str(port["containerPort"])]
    paths = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert {probe["port"] for probe in paths.values()} == {port["name"]}
    assert {probe["path"] for probe in paths.values()} == (set(HEALTH_PATHS) if process in APIS else {"/metrics"})
    assert paths["liveness"]["path"] != "/readyz"


@each_with_console
def test_the_console_is_asked_for_its_health_where_it_answers(example):
    container = container_of(the(example, "Deployment", "-console"))
    (port,) = container["ports"]
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}

    assert environment_of(the(example, "Deployment", "-console"))["CONSOLE_PORT"] == str(port["containerPort"])
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert (probes["readiness"]["path"], probes["liveness"]["path"]) == ("/readyz", "/healthz")


@pytest.mark.parametrize("process", ["console", *SETTINGS])
def test_a_process_is_given_longer_to_stop_than_it_needs(process):
    pod = pod_of(the("eks", "Deployment", f"-{process}"))
    before = pod["containers"][0].get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"][
        "seconds"
    ]

    assert pod["terminationGracePeriodSeconds"] > before + DRAIN_SECONDS


@pytest.mark.parametrize("process", ["console", *SETTINGS])
def test_a_second_one_stands_by_and_elsewhere(process):
    workload = the("oidc", "Deployment", f"-{process}")
    (budget,) = [
        found
        for found in objects("oidc", "PodDisruptionBudget")
        if picks(found["spec"]["selector"], labels_of(workload))
    ]

    assert workload["spec"]["replicas"] == 2
    assert budget["spec"]["maxUnavailable"] == 1
    spread = {found["topologyKey"]: found for found in pod_of(workload)["topologySpreadConstraints"]}
    assert set(spread) == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    assert all(picks(found["labelSelector"], labels_of(workload)) for found in spread.values())


@each_example
def test_the_databases_are_migrated_before_anything_else(example):
    jobs = objects(example, "Job")
    account = the(example, "ServiceAccount", "-migrate")

    assert {tuple(container_of(job)["command"][:2]) for job in jobs} == {
        ("risk-assessment", "migrate"),
        ("debt-processing", "migrate"),
    }
    for found in [*jobs, account]:
        annotations = found["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    weights = {int(found["metadata"]["annotations"]["helm.sh/hook-weight"]) for found in jobs}
    assert int(account["metadata"]["annotations"]["helm.sh/hook-weight"]) < min(weights)


def test_only_the_consumers_number_is_left_to_keda():
    (scaled,), (login,) = objects("eks", "ScaledObject"), objects("eks", "TriggerAuthentication")
    lanes = {trigger["name"]: trigger for trigger in scaled["spec"]["triggers"]}
    consumer = the("eks", "Deployment", "-consumer")

    assert "replicas" not in consumer["spec"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == consumer["metadata"]["name"]
    assert scaled["spec"]["advanced"]["scalingModifiers"]["formula"].split(" + ") == sorted(lanes)
    assert scaled["spec"]["minReplicaCount"] >= 1
    assert {trigger["metadata"]["queueURL"] for trigger in lanes.values()} == {
        f"https://sqs.eu-central-1.amazonaws.com/111122223333/debt-batches-{lane}" for lane in ("high", "standard")
    }
    assert {trigger["authenticationRef"]["name"] for trigger in lanes.values()} == {login["metadata"]["name"]}
    assert (
        DEFAULTS["consumer"]["autoscaling"]["messagesPerConsumer"] == DebtSettings.model_fields["debt_prefetch"].default
    )
