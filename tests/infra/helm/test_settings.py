"""The settings are in words that the programs understand, and none is forgotten."""

from typing import Any

import yaml
from tests.infra.helm.chart import (
    APIS,
    DEFAULTS,
    EXAMPLES,
    SCHEMA,
    SETTINGS,
    WITH_CONSOLE,
    chart,
    container_of,
    each_example,
    each_process,
    each_with_console,
    environment_of,
    pod_of,
    the,
    values_with,
    workloads,
)

from debt_processing.settings import Settings as DebtSettings
from recovery_console.settings import Settings as ConsoleSettings
from risk_assessment.settings import Settings as RiskSettings

# Read by others than our settings: the AWS client, Python's tempfile, uvicorn.
OTHER_VARIABLES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TMPDIR", "FORWARDED_ALLOW_IPS"}
SECRETS = {"RECOVERY_MESSAGE_KEYS": f"20260101000000:{'0' * 64}"}
# The command line's own, and one for local stacks: queues are provisioned here.
NOT_OFFERED = {"RISK_API_URL", "DEBT_API_URL", "RECOVERY_API_KEY", "RECOVERY_API_KEY_FILE", "RECOVERY_CREATE_QUEUES"}
# The chart has the same from a secret.
NOT_OFFERED |= {"RECOVERY_MESSAGE_KEYS_FILE"}
NOT_OFFERED |= {"RISK_API_WORKERS", "DEBT_API_WORKERS"}  # a cluster has replicas


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
        monkeypatch.setenv(variable, value or SECRETS.get(variable, "mysql+pymysql://user:password@mysql/something"))

    settings = SETTINGS[process](_env_file=None)

    assert settings.aws_region == "eu-central-1"
    assert settings.recovery_create_queues is False
    if process in APIS:
        assert settings.recovery_auth in {"keys", "oidc"}
        settings.refuse_open_doors(getattr(settings, APIS[process]))


@each_with_console
def test_the_console_understands_its_settings(example, monkeypatch):
    for field in ConsoleSettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    variables = environment_of(the(example, "Deployment", "-console"))
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value or "a secret of the cluster, 32 characters or more")

    settings = ConsoleSettings(_env_file=None)

    known = {field.upper() for field in ConsoleSettings.model_fields} | OTHER_VARIABLES
    assert set(variables) - known == set()
    assert (settings.risk_api_url, settings.debt_api_url) == (
        "http://recovery-smartrecover-risk-api:8001",
        "http://recovery-smartrecover-debt-api:8002",
    )
    assert settings.console_public_url == "https://recovery.example.test"
    assert settings.recovery_auth == ("oidc" if example == "oidc" else "keys")
    settings.refuse_open_doors(settings.console_host)


def test_every_setting_of_the_console_is_offered_or_made_by_the_chart_or_left_out_on_purpose():
    made = {name for example in WITH_CONSOLE for name in environment_of(the(example, "Deployment", "-console"))}
    offered = set(SCHEMA["properties"]["settings"]["properties"]["console"]["properties"])
    offered |= {"RECOVERY_LOG_LEVEL", "RECOVERY_EMF_SECONDS", "RECOVERY_TRACES"}
    from_files = {"CONSOLE_SESSION_SECRET_FILE", "CONSOLE_OIDC_CLIENT_SECRET_FILE"}

    known = {field.upper() for field in ConsoleSettings.model_fields}
    assert (made | offered | from_files) - OTHER_VARIABLES == known


def test_an_upgrade_may_accept_unsigned_messages_for_some_time():
    values = values_with("messageKeys.unsignedUntil", "2027-01-31T18:00:00Z")
    files = chart().render(values, name="recovery", namespace="debts")

    deployments = files["smartrecover/templates/deployments.yaml"]
    assert deployments.count('{name: RECOVERY_UNSIGNED_UNTIL, value: "2027-01-31T18:00:00Z"}') == len(SETTINGS)


def rendered_deployments(path: str, value: object) -> list[dict[str, Any]]:
    values = values_with(path, value)
    chart().validate_schema(values)
    files = chart().render(values, name="recovery", namespace="debts")
    return [found for found in yaml.safe_load_all(files["smartrecover/templates/deployments.yaml"]) if found]


def test_a_cluster_of_ipv6_addresses_is_listened_to():
    found = [environment_of(deployment) for deployment in rendered_deployments("listenAddress", "::")]

    listens = [value for variables in found for name, value in variables.items() if name.endswith("_HOST")]
    assert listens == ["::"] * len(SETTINGS)


def test_a_rotated_password_is_mounted_where_its_service_reads_it():
    secret = {"existingSecret": "rotated", "key": "word"}
    deployments = rendered_deployments("databases.risk.password", secret)

    files = {
        found["metadata"]["name"]: environment_of(found).get("RISK_DATABASE_PASSWORD_FILE") for found in deployments
    }
    assert set(files.values()) == {"/etc/smartrecover/database-password/word", None}
    for found in deployments:
        name, mounted = found["metadata"]["name"], pod_of(found)["volumes"]
        secrets = [volume["secret"]["secretName"] for volume in mounted if "secret" in volume]
        paths = [mount["mountPath"] for mount in container_of(found)["volumeMounts"]]
        assert secrets == (["rotated"] if files[name] else [])
        assert ("/etc/smartrecover/database-password" in paths) is bool(files[name])


def test_a_large_number_stays_a_number():
    assert environment_of(the("eks", "Deployment", "-dispatcher"))["RISK_RANK_SPILL_AFTER"] == "1000000"
    assert environment_of(the("oidc", "Deployment", "-risk-api"))["RECOVERY_DOCS"] == "false"


def test_every_setting_is_offered_or_made_by_the_chart_or_left_out_on_purpose():
    groups = SCHEMA["properties"]["settings"]["properties"]
    offered = {name for group in ("shared", "risk", "debt") for name in groups[group]["properties"]}
    made = {
        name
        for example in EXAMPLES
        for process in SETTINGS
        for name in environment_of(the(example, "Deployment", f"-{process}"))
    } | {"AWS_ENDPOINT_URL_SQS", "RECOVERY_OIDC_JWKS_URL", "RECOVERY_UNSIGNED_UNTIL"}
    made |= {"RISK_DATABASE_PASSWORD_FILE", "DEBT_DATABASE_PASSWORD_FILE"}
    known = {field.upper() for kind in (RiskSettings, DebtSettings) for field in kind.model_fields}

    assert (made | offered | NOT_OFFERED) - OTHER_VARIABLES == known


def test_the_queues_are_those_of_the_settings():
    fields = DebtSettings.model_fields

    assert DEFAULTS["queues"] == {
        "high": fields["recovery_queue_high"].default,
        "standard": fields["recovery_queue_standard"].default,
        "results": fields["recovery_queue_results"].default,
        "stops": fields["recovery_queue_stops"].default,
        "visibilitySeconds": fields["recovery_visibility_seconds"].default,
        "maxReceives": fields["recovery_max_receives"].default,
    }


def test_kubernetes_adds_no_variables_of_its_own():
    assert all(pod_of(workload)["enableServiceLinks"] is False for workload in workloads("minimal"))
