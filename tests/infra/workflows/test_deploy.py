"""deploy.yml deploys by hand, what our own workflow made, and in the time that it takes."""

import re
import subprocess
import sys

from tests.infra.workflows.workflows import JOBS, ROOT, position, steps, triggers, using


def test_deployment_is_by_hand_and_asks_the_reviewers_of_its_environment():
    assert set(triggers("deploy.yml")) == {"workflow_dispatch"}
    inputs = triggers("deploy.yml")["workflow_dispatch"]["inputs"]

    assert {name: (one["type"], one["required"]) for name, one in inputs.items()} == {
        "environment": ("environment", True),
        "digest": ("string", True),
    }
    assert JOBS["deploy.yml:deploy"]["environment"] == "${{ inputs.environment }}"


def test_only_an_image_that_our_workflow_made_is_deployed():
    checked = position("deploy.yml:deploy", "gh attestation verify")
    script = steps("deploy.yml:deploy")[checked]["run"]

    assert checked < position("deploy.yml:deploy", "ecs.py")
    signer = re.search(r'--signer-workflow "\$GITHUB_REPOSITORY/(.*?)"', script)
    assert signer is not None
    assert (ROOT / signer[1]).is_file()
    assert script.index("gh attestation verify") < script.index("GITHUB_OUTPUT")


def test_the_deployment_has_the_time_that_its_steps_may_take():
    helped = subprocess.run(
        [sys.executable, ROOT / "infra/deploy/ecs.py", "--help"], capture_output=True, text=True, check=True
    ).stdout
    source = (ROOT / "infra/deploy/ecs.py").read_text(encoding="utf-8")
    minutes = {name: int(value) for name, value in re.findall(r'"--(\w+)-minutes", type=float, default=(\d+)', source)}

    assert set(minutes) == {"migrate", "settle"}
    assert all(f"--{name}-minutes" in helped for name in minutes)
    # Two migrations; two groups forward; two groups back.
    limit = JOBS["deploy.yml:deploy"]["timeout-minutes"]
    assert 2 * minutes["migrate"] + 4 * minutes["settle"] < limit

    [login] = using("deploy.yml:deploy", "aws-actions/configure-aws-credentials")
    assert limit * 60 < login["with"]["role-duration-seconds"]
