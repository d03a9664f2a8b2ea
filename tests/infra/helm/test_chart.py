"""The Helm chart: valid, locked down, free of secrets, in words that the programs understand. No cluster is needed."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import typer
import yaml

from debt_processing.settings import Settings as DebtSettings
from risk_assessment.settings import Settings as RiskSettings
from service_kit.http.middleware.request_log import HEALTH_PATHS

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "infra/kubernetes/smartrecover"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
EXAMPLES: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "infra/kubernetes/examples").glob("*.yaml"))
}

Object = dict[str, Any]
DRAIN_SECONDS = 20  # within which every process of ours is gone once asked
KUBERNETES = ("1.31", "1.37")  # the oldest that Chart.yaml takes, and the newest whose schema we have
OF_OPERATORS = {"ScaledObject", "TriggerAuthentication", "PodMonitor", "PrometheusRule"}

SETTINGS = {"risk-api": RiskSettings, "dispatcher": RiskSettings, "debt-api": DebtSettings, "consumer": DebtSettings}
APIS = {"risk-api": "risk_host", "debt-api": "debt_host"}
# Read by others than our settings: the AWS client, Python's tempfile, uvicorn.
OTHER_VARIABLES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TMPDIR", "FORWARDED_ALLOW_IPS"}
# The command line's own, and one for local stacks: queues are provisioned here.
NOT_OFFERED = {"RISK_API_URL", "DEBT_API_URL", "RECOVERY_API_KEY", "RECOVERY_CREATE_QUEUES"}

each_example = pytest.mark.parametrize("example", sorted(EXAMPLES))
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


def texts(value: object) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in texts(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in texts(part))
    elif isinstance(value, str):
        yield value


# --- What Helm and Kubernetes say ---


@each_example
def test_the_linter_finds_nothing(example):
    report = helm_python.lint(CHART, EXAMPLES[example], strict=True)

    assert report["errors"] == []
    assert {message["error"] for message in report["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("version", KUBERNETES)
@each_example
def test_kubernetes_takes_every_object(example, version):
    for found in objects(example):
        if found["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(found, version, strict=True)


@each_example
def test_every_object_is_in_the_release_and_says_so(example):
    for found in objects(example):
        assert found["metadata"]["namespace"] == "debts"
        assert found["metadata"]["labels"]["app.kubernetes.io/instance"] == "recovery"
        assert len(found["metadata"]["name"]) <= 63


def test_the_chart_is_of_the_version_of_the_code():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert f'version = "{chart().metadata["appVersion"]}"' in project


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("image.repository", ""),
        ("image.tag", "latest"),
        ("image.digest", "sha256:abc"),
        ("aws.region", ""),
        ("auth.mode", "off"),
        ("auth.mode", "oidc"),
        ("auth.oidc.issuer", "http://login.example.test"),
        ("databases.risk.url", "mysql+pymysql://risk:secret@mysql/risk"),
        ("databases.risk.existingSecret", ""),
        ("aws.secretAccessKey", "secret"),
        ("settings.shared.RECOVERY_API_KEY", "secret"),
        ("settings.risk.RISK_DATABASE_URL", "mysql+pymysql://risk:secret@mysql/risk"),
        ("settings.risk.RISK_HOST", "127.0.0.1"),
        ("settings.risk.RISK_MAX_OUTSTANDING", "40"),
        ("settings.debt.DEBT_PREFETCH", 1),
        ("settings.debt.DEBT_WORKER", 1),
        ("queues.high", "debt batches"),
        ("riskApi.replicas", 0),
        ("riskApi.resources.limits", {"cpu": "1", "memory": 512}),
        ("riskApi.roleArn", "smartrecover-risk-api"),
        ("consumer.autoscaling.enabled", True),
        ("consumer.autoscaling.minReplicas", 0),
        ("networkPolicy.database.cidrs", []),
        ("networkPolicy.aws.port", 0),
        ("networkPolicy.clients", [{"namespace": "ingress"}]),
        ("trustedProxies", ["*"]),
        ("ingress.enabled", True),
        ("monitoring.podMonitor.interval", "often"),
        ("nonsense", True),
    ],
)
def test_a_wrong_value_is_refused(path, value):
    with pytest.raises(helm_python.HelmValuesError):
        chart().validate_schema(values_with(path, value))


def closed(schema: object) -> bool:
    """Whether no object in a schema takes properties that it does not name."""
    if isinstance(schema, list):
        return all(map(closed, schema))
    if not isinstance(schema, dict):
        return True
    named = "properties" in schema and schema.get("type") == "object"
    return (not named or schema.get("additionalProperties") is False) and all(map(closed, schema.values()))


def test_nothing_that_the_schema_does_not_name_is_taken():
    assert closed(SCHEMA)
    assert set(SCHEMA["properties"]) == set(DEFAULTS)


# --- Locked down ---


@each_example
def test_a_pod_is_locked_down(example):
    assert len(workloads(example)) == len(SETTINGS) + 2
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
def test_the_image_is_one_and_has_a_version(example):
    tag = EXAMPLES[example]["image"].get("tag", chart().metadata["appVersion"])

    assert {container_of(workload)["image"] for workload in workloads(example)} == {f"example.test/smartrecover:{tag}"}


def test_a_digest_goes_before_the_tag():
    files = chart().render(values_with("image.digest", "sha256:" + "0" * 64), name="recovery", namespace="debts")

    assert f"image: example.test/smartrecover@sha256:{'0' * 64}\n" in files["smartrecover/templates/deployments.yaml"]


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
def test_nobody_has_a_token_for_the_cluster(example):
    assert all(pod_of(workload)["automountServiceAccountToken"] is False for workload in workloads(example))
    assert all(account["automountServiceAccountToken"] is False for account in objects(example, "ServiceAccount"))
    assert not objects(example, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


@each_example
def test_every_process_has_an_account_of_its_own(example):
    accounts = {found["metadata"]["name"] for found in objects(example, "ServiceAccount")}
    used = [pod_of(workload)["serviceAccountName"] for workload in objects(example, "Deployment")]

    assert len(set(used)) == len(SETTINGS)
    assert set(used) | {"recovery-smartrecover-migrate"} == accounts


def test_an_account_has_the_role_that_it_is_given():
    for process in SETTINGS:
        annotations = the("eks", "ServiceAccount", f"-{process}")["metadata"]["annotations"]
        assert annotations == {"eks.amazonaws.com/role-arn": f"arn:aws:iam::111122223333:role/smartrecover-{process}"}
    assert "annotations" not in the("minimal", "ServiceAccount", "-consumer")["metadata"]


# --- Secrets ---


@each_example
def test_no_secret_is_made_and_none_has_a_value(example):
    assert not objects(example, "Secret")
    for workload in workloads(example):
        for variable in container_of(workload)["env"]:
            secret = variable["name"].endswith(("_DATABASE_URL", "_KEY", "_KEY_ID"))
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


# --- Settings ---


@each_process
@each_example
def test_every_variable_is_one_that_the_process_reads(example, process):
    known = {field.upper() for field in SETTINGS[process].model_fields} | OTHER_VARIABLES
    variables = environment_of(the(example, "Deployment", f"-{process}"))

    assert set(variables) - known == set()


@each_process
@each_example
def test_a_process_understands_its_settings(example, process, monkeypatch):
    for field in SETTINGS[process].model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    variables = environment_of(the(example, "Deployment", f"-{process}"))
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value or "mysql+pymysql://user:password@mysql/something")

    settings = SETTINGS[process](_env_file=None)

    assert settings.aws_region == "eu-central-1"
    assert settings.recovery_create_queues is False
    if process in APIS:
        assert settings.recovery_auth in {"keys", "oidc"}
        settings.refuse_open_doors(getattr(settings, APIS[process]))


def test_a_large_number_stays_a_number():
    assert environment_of(the("eks", "Deployment", "-dispatcher"))["RISK_RANK_SPILL_AFTER"] == "1000000"
    assert environment_of(the("oidc", "Deployment", "-risk-api"))["RECOVERY_DOCS"] == "false"


def test_every_setting_is_offered_or_made_by_the_chart_or_left_out_on_purpose():
    offered = {
        name for group in SCHEMA["properties"]["settings"]["properties"].values() for name in group["properties"]
    }
    made = {
        name
        for example in EXAMPLES
        for process in SETTINGS
        for name in environment_of(the(example, "Deployment", f"-{process}"))
    } | {"AWS_ENDPOINT_URL_SQS", "RECOVERY_OIDC_JWKS_URL"}
    known = {field.upper() for kind in (RiskSettings, DebtSettings) for field in kind.model_fields}

    assert (made | offered | NOT_OFFERED) - OTHER_VARIABLES == known


def test_the_queues_are_those_of_the_settings():
    fields = DebtSettings.model_fields

    assert DEFAULTS["queues"] == {
        "high": fields["recovery_queue_high"].default,
        "standard": fields["recovery_queue_standard"].default,
        "results": fields["recovery_queue_results"].default,
        "visibilitySeconds": fields["recovery_visibility_seconds"].default,
        "maxReceives": fields["recovery_max_receives"].default,
    }


def test_kubernetes_adds_no_variables_of_its_own():
    assert all(pod_of(workload)["enableServiceLinks"] is False for workload in workloads("minimal"))


# --- Processes ---


@each_example
def test_every_workload_is_a_command_that_exists(example):
    for workload in workloads(example):
        program, command = container_of(workload)["command"]
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


@each_process
def test_a_process_is_given_longer_to_stop_than_it_needs(process):
    pod = pod_of(the("minimal", "Deployment", f"-{process}"))
    before = pod["containers"][0].get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"][
        "seconds"
    ]

    assert pod["terminationGracePeriodSeconds"] > before + DRAIN_SECONDS


@each_process
def test_a_second_one_stands_by_and_elsewhere(process):
    workload = the("minimal", "Deployment", f"-{process}")
    (budget,) = [
        found
        for found in objects("minimal", "PodDisruptionBudget")
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

    assert {tuple(container_of(job)["command"]) for job in jobs} == {
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


# --- The network ---


def policies_for(example: str, workload: Object, direction: str) -> list[Object]:
    return [
        found["spec"]
        for found in objects(example, "NetworkPolicy")
        if picks(found["spec"]["podSelector"], labels_of(workload)) and direction in found["spec"]["policyTypes"]
    ]


@each_example
def test_nothing_goes_in_or_out_unless_it_is_named(example):
    for workload in workloads(example):
        for direction, rules, peers in (("Ingress", "ingress", "from"), ("Egress", "egress", "to")):
            policies = policies_for(example, workload, direction)
            assert any(rules not in policy for policy in policies)  # the one that denies everything
            assert all(rule["ports"] and rule[peers] for policy in policies for rule in policy.get(rules, ()))


@each_process
@each_example
def test_a_process_is_reached_on_its_own_port_only(example, process):
    workload = the(example, "Deployment", f"-{process}")
    ports = {
        port["port"]
        for policy in policies_for(example, workload, "Ingress")
        for rule in policy.get("ingress", ())
        for port in rule["ports"]
    }

    assert ports == {port["name"] for port in container_of(workload)["ports"]}


@each_example
def test_a_process_reaches_what_it_needs(example):
    for workload in workloads(example):
        ports = {
            port["port"]
            for policy in policies_for(example, workload, "Egress")
            for rule in policy.get("egress", ())
            for port in rule["ports"]
        }
        assert ports == ({53, 3306} if workload["kind"] == "Job" else {53, 3306, 443})


@each_example
def test_only_the_apis_have_a_service_and_it_leads_to_them(example):
    services = objects(example, "Service")

    assert len(services) == len(APIS)
    for service in services:
        led = [
            workload
            for workload in objects(example, "Deployment")
            if picks({"matchLabels": service["spec"]["selector"]}, labels_of(workload))
        ]
        assert [workload["metadata"]["name"] for workload in led] == [service["metadata"]["name"]]
        assert service["spec"]["type"] == "ClusterIP"


@pytest.mark.parametrize("example", ["eks", "oidc"])
def test_the_ingress_leads_to_both_apis(example):
    (ingress,) = objects(example, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    led = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}

    assert rule["host"] == "recovery.example.test"
    assert led == {"/risk-service": "recovery-smartrecover-risk-api", "/debt-service": "recovery-smartrecover-debt-api"}


# --- Watching ---


def test_every_process_is_scraped_by_its_name():
    (monitor,) = objects("eks", "PodMonitor")
    ports = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}

    assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/component"
    for process in SETTINGS:
        workload = the("eks", "Deployment", f"-{process}")
        assert picks(monitor["spec"]["selector"], labels_of(workload))
        assert labels_of(workload)["app.kubernetes.io/component"] == process
        assert len(ports & {port["name"] for port in container_of(workload)["ports"]}) == 1


def test_the_operator_gets_the_alarms_as_they_are():
    (rule,) = objects("eks", "PrometheusRule")

    assert rule["spec"] == yaml.safe_load((ROOT / "infra/monitoring/rules.yaml").read_text(encoding="utf-8"))
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_operators_are_asked_for_only_where_they_are_wanted():
    assert not objects("minimal", *OF_OPERATORS)


# --- What is written about it ---


def test_the_readme_names_files_and_commands_that_exist():
    text = (CHART.parent / "README.md").read_text(encoding="utf-8")

    assert all(f"{example}.yaml" in text for example in EXAMPLES)
    for program in ("risk-assessment", "debt-processing"):
        for rest in text.split(f"-- {program} ")[1:]:
            assert rest.split()[0] in commands_of(program)
