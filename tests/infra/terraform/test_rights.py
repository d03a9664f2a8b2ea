"""A process may do in AWS what its code does, and nothing else."""

import json
import re

import pytest
from tests.infra.terraform.program import slow
from tests.infra.terraform.source import ROOT
from tests.infra.terraform.state import each_example, of_type

# What each method of the SQS client asks of SQS, as IAM calls it. Every call first looks up the queue's URL.
ASKS = {
    "send": {"sqs:SendMessage"},
    "offer": {"sqs:SendMessage"},
    "receive": {"sqs:ReceiveMessage"},
    "delete": {"sqs:DeleteMessage"},
    "change_visibility": {"sqs:ChangeMessageVisibility"},
    "depth": {"sqs:GetQueueAttributes"},
    "ping": {"sqs:GetQueueAttributes"},
}


def asked_by(package: str) -> set[str]:
    """What a service's code asks of SQS."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "services" / package).rglob("*.py"))
    methods = set(re.findall(r"\b_?sqs\.(\w+)\(", sources)) & set(ASKS)
    return {"sqs:GetQueueUrl"}.union(*(ASKS[method] for method in methods))


@slow
@each_example
@pytest.mark.parametrize(
    ("package", "processes"),
    [("risk_assessment", {"risk-api", "dispatcher"}), ("debt_processing", {"debt-api", "consumer"})],
)
def test_a_service_may_do_in_sqs_what_its_code_does_and_nothing_else(system, package, processes):
    allowed = {
        action
        for process in processes
        for statement in system["outputs"]["policies"][process]
        for action in statement["Action"]
        if action.startswith("sqs:")
    }

    assert allowed == asked_by(package)


@slow
@each_example
def test_a_refused_report_can_be_put_beside_and_nothing_else_goes_there(system):
    [beside] = [queue["arn"] for queue in of_type(system, "aws_sqs_queue") if queue["name"].endswith("-results-dlq")]
    allowed = {
        process: set(statement["Action"])
        for process, statements in system["outputs"]["policies"].items()
        for statement in statements
        if beside in statement["Resource"]
    }

    assert allowed == {"dispatcher": {"sqs:GetQueueUrl", "sqs:SendMessage"}}


def test_no_method_of_our_client_was_forgotten_above():
    public = re.findall(
        r"^    async def ([a-z]\w*)\(", (ROOT / "libs/service_kit/sqs/client.py").read_text(), re.MULTILINE
    )

    assert set(public) - {"ensure_queues"} == set(ASKS)


@slow
@each_example
def test_a_task_is_started_by_a_role_that_reads_no_more_than_its_secrets(system):
    starts = {policy["role"]: policy for policy in of_type(system, "aws_iam_role_policy") if policy["name"] == "start"}
    statements = [json.loads(policy["policy"])["Statement"] for policy in starts.values()]
    reads = [s["Resource"] for some in statements for s in some if "secretsmanager:GetSecretValue" in s["Action"]]

    assert reads
    assert all("*" not in resource for resource_list in reads for resource in resource_list)
