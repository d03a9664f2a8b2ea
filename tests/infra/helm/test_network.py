"""Nothing goes in or out of a pod unless it is named; services and the ingress lead to the APIs."""

import shutil

import helm_python
import yaml
from tests.infra.helm.chart import (
    APIS,
    CHART,
    DEFAULTS,
    WITH_CONSOLE,
    component_of,
    container_of,
    each_example,
    each_process,
    each_with_console,
    labels_of,
    objects,
    picks,
    policies_for,
    the,
    values_with,
    workloads,
)


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
        if component_of(workload) == "console":
            assert ports == {53, "http", 443} if example == "oidc" else {53, "http"}
        else:
            assert ports == ({53, 3306} if workload["kind"] == "Job" else {53, 3306, 443})


@each_example
def test_no_process_reaches_every_address(example):
    for workload in workloads(example):
        cidrs = {
            peer["ipBlock"]["cidr"]
            for policy in policies_for(example, workload, "Egress")
            for rule in policy.get("egress", ())
            for peer in rule["to"]
            if "ipBlock" in peer
        }
        assert cidrs or component_of(workload) == "console"
        assert not {cidr for cidr in cidrs if cidr.endswith("/0")}


def test_where_pods_may_go_to_has_no_default():
    assert {name: DEFAULTS["networkPolicy"][name]["cidrs"] for name in ("database", "aws", "issuer")} == {
        "database": [],
        "aws": [],
        "issuer": [],
    }


def test_a_policy_without_addresses_opens_nothing(tmp_path):
    """Should the schema be skipped: an empty list of peers would mean all of them."""
    unchecked = shutil.copytree(CHART, tmp_path / "smartrecover", ignore=shutil.ignore_patterns("values.schema.json"))
    values = values_with("networkPolicy.aws.cidrs", [])
    files = helm_python.Chart.load(unchecked).render(values, name="recovery", namespace="debts")
    policies = yaml.safe_load_all(files["smartrecover/templates/networkpolicies.yaml"])
    (aws,) = [found for found in policies if found and found["metadata"]["name"].endswith("-aws")]

    assert not aws["spec"]["egress"]


@each_example
def test_only_what_is_served_has_a_service_and_it_leads_there(example):
    services = objects(example, "Service")

    assert len(services) == len(APIS) + (example in WITH_CONSOLE)
    for service in services:
        led = [
            workload
            for workload in objects(example, "Deployment")
            if picks({"matchLabels": service["spec"]["selector"]}, labels_of(workload))
        ]
        assert [workload["metadata"]["name"] for workload in led] == [service["metadata"]["name"]]
        assert service["spec"]["type"] == "ClusterIP"


@each_with_console
def test_the_console_reaches_both_apis_and_they_let_it_in(example):
    console = the(example, "Deployment", "-console")
    (led,) = [
        peer["podSelector"]
        for policy in policies_for(example, console, "Egress")
        for rule in policy.get("egress", ())
        for peer in rule["to"]
        if {"protocol": "TCP", "port": "http"} in rule["ports"]
    ]
    reached = {component_of(found) for found in workloads(example) if picks(led, labels_of(found))}

    assert reached == set(APIS)
    for api in APIS:
        rules = [
            peer["podSelector"]
            for policy in policies_for(example, the(example, "Deployment", f"-{api}"), "Ingress")
            for rule in policy.get("ingress", ())
            for peer in rule["from"]
            if set(peer) == {"podSelector"}
        ]
        assert any(picks(selector, labels_of(console)) for selector in rules)


@each_with_console
def test_the_ingress_leads_to_both_apis_and_the_console(example):
    (ingress,) = objects(example, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    led = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}

    assert rule["host"] == "recovery.example.test"
    assert led == {
        "/risk-service": "recovery-smartrecover-risk-api",
        "/debt-service": "recovery-smartrecover-debt-api",
        "/": "recovery-smartrecover-console",
    }
