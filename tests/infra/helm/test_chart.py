"""The Helm chart is valid, closed to wrong values, and as its README describes it. No cluster is needed."""

import helm_python
import kubernetes_validate
import pytest
from tests.infra.helm.chart import (
    CHART,
    DEFAULTS,
    EXAMPLES,
    OF_OPERATORS,
    ROOT,
    SCHEMA,
    chart,
    commands_of,
    each_example,
    objects,
    values_with,
)

KUBERNETES = ("1.31", "1.37")  # the oldest that Chart.yaml takes, and the newest whose schema we have


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
        ("image.digest", ""),
        ("messageKeys.existingSecret", ""),
        ("messageKeys.keys", "local:secret"),
        ("messageKeys.unsignedUntil", "tomorrow"),
        ("databases.risk.user", "risk'@'%"),
        ("databases.debt.owner.existingSecret", ""),
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
        ("networkPolicy.aws.cidrs", []),
        ("networkPolicy.aws.cidrs", ["0.0.0.0/0"]),
        ("networkPolicy.database.cidrs", ["::/0"]),
        ("networkPolicy.aws.port", 0),
        ("networkPolicy.clients", [{"namespace": "ingress"}]),
        ("trustedProxies", ["*"]),
        ("ingress.enabled", True),
        ("ingress", {"enabled": True, "host": "recovery.example.test"}),
        ("ingress", {"enabled": True, "host": "recovery.example.test", "tlsEndsElsewhere": False}),
        ("console.enabled", True),
        ("console", {"enabled": True, "sessionSecret": {"existingSecret": "smartrecover-console"}}),
        ("console.sessionSecret.value", "secret"),
        ("monitoring.podMonitor.interval", "often"),
        ("nonsense", True),
    ],
)
def test_a_wrong_value_is_refused(path, value):
    with pytest.raises(helm_python.HelmValuesError):
        chart().validate_schema(values_with(path, value))


def test_people_are_signed_in_as_a_client_that_the_issuer_knows():
    with pytest.raises(helm_python.HelmValuesError):
        chart().validate_schema(values_with("console.oidc.clientId", "", "oidc"))


def test_an_issuer_needs_addresses():
    with pytest.raises(helm_python.HelmValuesError):
        chart().validate_schema(values_with("networkPolicy.issuer.cidrs", [], "oidc"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ingress", {"enabled": True, "host": "recovery.example.test", "tlsSecret": "recovery-tls"}),
        ("ingress", {"enabled": True, "host": "recovery.example.test", "tlsEndsElsewhere": True}),
        ("networkPolicy", {"enabled": False}),
        (
            "console",
            {
                "enabled": True,
                "sessionSecret": {"existingSecret": "smartrecover-console"},
                "publicUrl": "https://console.example.test",
            },
        ),
    ],
)
def test_a_right_value_is_taken(path, value):
    chart().validate_schema(values_with(path, value))


@pytest.mark.parametrize(
    ("url", "taken"),
    [("http://127.0.0.1:9324", True), ("http://localhost:9324", True), ("http://sqs:9324", False), ("", False)],
)
def test_only_queues_on_the_loopback_go_without_keys(url, taken):
    values = values_with("messageKeys.existingSecret", "")
    values["aws"]["endpointUrl"] = url
    if taken:
        chart().validate_schema(values)
    else:
        with pytest.raises(helm_python.HelmValuesError):
            chart().validate_schema(values)


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


def test_the_readme_names_files_and_commands_that_exist():
    text = (CHART.parent / "README.md").read_text(encoding="utf-8")

    assert all(f"{example}.yaml" in text for example in EXAMPLES)
    for program in ("risk-assessment", "debt-processing"):
        for rest in text.split(f"-- {program} ")[1:]:
            assert rest.split()[0] in commands_of(program)
