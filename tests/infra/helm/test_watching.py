"""Every process is scraped, and the alarms are handed to the operator as they are."""

import yaml
from tests.infra.helm.chart import OF_OPERATORS, ROOT, SETTINGS, container_of, labels_of, objects, picks, the


def test_every_process_is_scraped_by_its_name():
    (monitor,) = objects("eks", "PodMonitor")
    ports = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}

    assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/component"
    for process in (*SETTINGS, "console"):
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
