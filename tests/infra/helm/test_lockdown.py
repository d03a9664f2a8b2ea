"""Pods are locked down, and the chart contains no secret."""

from collections.abc import Iterator

import helm_python
import pytest
from tests.infra.helm.chart import (
    DEFAULTS,
    EXAMPLES,
    SETTINGS,
    chart,
    container_of,
    each_example,
    each_process,
    environment_of,
    objects,
    pod_of,
    processes,
    the,
    values_with,
    workloads,
)

from risk_assessment.settings import Settings as RiskSettings


@each_example
def test_a_pod_is_locked_down(example):
    assert len(workloads(example)) == len(processes(example)) + 2
    for workload in workloads(example):
        pod, container = pod_of(workload), container_of(workload)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["runAsGroup"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
        assert all(set(volume) - {"name"} <= {"emptyDir", "configMap"} for volume in pod["volumes"])


@each_example
def test_a_container_has_requests_and_limits(example):
    for workload in workloads(example):
        resources = container_of(workload)["resources"]
        assert {"cpu", "memory", "ephemeral-storage"} == set(resources["requests"]) == set(resources["limits"])


@each_example
def test_the_image_is_one_and_named_by_its_digest(example):
    digest = EXAMPLES[example]["image"]["digest"]

    assert {container_of(workload)["image"] for workload in workloads(example)} == {
        f"example.test/smartrecover@{digest}"
    }


@each_example
def test_a_label_says_the_version(example):
    tag = EXAMPLES[example]["image"].get("tag", chart().metadata["appVersion"])

    assert {found["metadata"]["labels"]["app.kubernetes.io/version"] for found in objects(example)} == {tag}


@each_example
def test_what_may_be_written_is_there_and_limited(example):
    for workload in workloads(example):
        volumes = {volume["name"]: volume for volume in pod_of(workload)["volumes"]}
        mounts = {mount["name"]: mount for mount in container_of(workload)["volumeMounts"]}
        assert set(mounts) == set(volumes)
        assert mounts["tmp"]["mountPath"] == "/tmp"
        for name, volume in volumes.items():
            assert mounts[name].get("readOnly", False) or "sizeLimit" in volume["emptyDir"]


@each_example
def test_rankings_spill_to_a_disk(example):
    dispatcher = the(example, "Deployment", "-dispatcher")
    mounts = {mount["mountPath"]: mount["name"] for mount in container_of(dispatcher)["volumeMounts"]}

    assert mounts[environment_of(dispatcher)["TMPDIR"]] == "spill"


@each_example
def test_no_pod_has_a_token_for_the_cluster(example):
    assert all(pod_of(workload)["automountServiceAccountToken"] is False for workload in workloads(example))
    assert all(account["automountServiceAccountToken"] is False for account in objects(example, "ServiceAccount"))
    assert not objects(example, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


@each_example
def test_every_process_has_an_account_of_its_own(example):
    accounts = {found["metadata"]["name"] for found in objects(example, "ServiceAccount")}
    used = [pod_of(workload)["serviceAccountName"] for workload in objects(example, "Deployment")]

    assert len(set(used)) == len(processes(example))
    assert set(used) | {"recovery-smartrecover-migrate"} == accounts


def test_an_account_has_the_role_that_it_is_given():
    for process in SETTINGS:
        annotations = the("eks", "ServiceAccount", f"-{process}")["metadata"]["annotations"]
        assert annotations == {"eks.amazonaws.com/role-arn": f"arn:aws:iam::111122223333:role/smartrecover-{process}"}
    assert "annotations" not in the("minimal", "ServiceAccount", "-consumer")["metadata"]


def texts(value: object) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in texts(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in texts(part))
    elif isinstance(value, str):
        yield value


@each_example
def test_no_secret_is_made_and_none_has_a_value(example):
    assert not objects(example, "Secret")
    for workload in workloads(example):
        for variable in container_of(workload)["env"]:
            secret = variable["name"].endswith(("_DATABASE_URL", "_KEY", "_KEYS", "_KEY_ID", "_SECRET"))
            assert ("value" in variable) != secret
            assert set(variable.get("valueFrom", {"secretKeyRef": {}})) == {"secretKeyRef"}


@pytest.mark.parametrize("values", [DEFAULTS, *EXAMPLES.values()])
def test_no_value_looks_like_a_secret(values):
    for text in texts(values):
        assert "://" not in text or "@" not in text
        assert not text.startswith(("srk_", "AKIA", "ASIA"))


@each_process
def test_a_process_knows_its_own_database_only(process):
    own, other = ("RISK", "DEBT") if SETTINGS[process] is RiskSettings else ("DEBT", "RISK")
    variables = {
        variable["name"]: variable for variable in container_of(the("minimal", "Deployment", f"-{process}"))["env"]
    }

    assert variables[f"{own}_DATABASE_URL"]["valueFrom"] == {
        "secretKeyRef": {"name": f"smartrecover-{own.lower()}-database", "key": "url"}
    }
    assert f"{other}_DATABASE_URL" not in variables


@each_process
@each_example
def test_a_process_has_the_keys_of_the_messages(example, process):
    variables = {
        variable["name"]: variable for variable in container_of(the(example, "Deployment", f"-{process}"))["env"]
    }

    assert variables["RECOVERY_MESSAGE_KEYS"]["valueFrom"] == {
        "secretKeyRef": {"name": "smartrecover-message-keys", "key": "keys"}
    }
    assert "RECOVERY_UNSIGNED_UNTIL" not in variables


@each_example
def test_only_the_migration_acts_as_the_owner_of_the_tables(example):
    owners = {"smartrecover-risk-owner", "smartrecover-debt-owner"}
    for workload in workloads(example):
        secrets = {
            variable["valueFrom"]["secretKeyRef"]["name"]
            for variable in container_of(workload)["env"]
            if "valueFrom" in variable
        }
        if workload["kind"] == "Job":
            service = workload["metadata"]["name"].rpartition("-")[2]
            assert secrets == {f"smartrecover-{service}-owner"}
            assert container_of(workload)["command"][1:] == ["migrate", "--grant-to", service]
        else:
            assert not secrets & owners


def test_the_processes_and_the_owner_need_accounts_of_their_own():
    values = values_with("databases.risk.owner.existingSecret", "smartrecover-risk-database")

    with pytest.raises(helm_python.HelmError, match="may not own the tables"):
        chart().render(values, name="recovery", namespace="debts")
