"""The queues are made for real, on a local SQS."""

import json
import os
import shutil

import pytest
from tests.infra.terraform.program import found_terraform, slow
from tests.infra.terraform.source import AWS
from tests.infra.terraform.state import Json
from tests.support.servers import moto_server


@slow
def test_queues_are_made_for_real_and_a_second_plan_changes_nothing(tmp_path):
    """Takes two minutes, because the provider waits for AWS to agree with itself."""
    if not os.environ.get("TEST_TERRAFORM_APPLY"):
        pytest.skip("takes two minutes: set TEST_TERRAFORM_APPLY=1 to make the queues on a local SQS")
    queues = found_terraform(tmp_path / "queues")
    shutil.copytree(AWS / "modules/queues", queues.folder)
    with moto_server(tmp_path) as url:
        (queues.folder / "provider.tf").write_text(PROVIDER % url, encoding="utf-8")
        queues.init()
        # moto does not know who may redrive to a queue.
        values = ("-input=false", "-no-color", "-var=name=tried", "-var=restrict_redrive=false")
        code, said = queues.run("apply", "-auto-approve", *values, within=300)
        assert code == 0, said
        code, said = queues.run("plan", "-out=second", *values, within=120)
        assert code == 0, said
        code, said = queues.run("show", "-json", "second")
        assert code == 0, said
    assert [change["address"] for change in json.loads(said)["resource_changes"] if changes(change["change"])] == []


def changes(change: Json) -> bool:
    """Whether more is changed than the blanks in a policy, where moto sets others than AWS."""
    before, after = ({**side, "redrive_policy": None} for side in (change["before"], change["after"]))
    policies = [json.loads(change[side].get("redrive_policy") or "null") for side in ("before", "after")]
    return before != after or policies[0] != policies[1]


PROVIDER = """
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "local"
  secret_key                  = "local"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true

  endpoints {
    sqs = "%s"
  }
}
"""
