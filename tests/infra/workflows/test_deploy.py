"""deploy.yml deploys by hand, what our own workflow made, and in the time that it takes."""

import os
import re
import subprocess
import sys
from itertools import pairwise

import pytest
from tests.infra.workflows.workflows import JOBS, ROOT, position, steps, triggers, using


def test_deployment_is_by_hand_and_asks_the_reviewers_of_its_environment():
    assert set(triggers("deploy.yml")) == {"workflow_dispatch"}
    inputs = triggers("deploy.yml")["workflow_dispatch"]["inputs"]

    assert {name: (one["type"], one["required"]) for name, one in inputs.items()} == {
        "environment": ("environment", True),
        "digest": ("string", True),
        "source": ("string", True),
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


PROGRAMS = {
    "aws": "exit 0",  # infra/deploy/registry.sh: where the registry is, and its password
    "docker": "exit 0",
    "gh": 'printf "%s\\n" "$@" > "$ASKED"; exit "${REFUSED:-0}"',
}
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def find_image(tmp_path):
    """Run the step that finds the image, over stand-ins; return its exit code, what gh was asked, and the output."""
    [script] = [step["run"] for step in steps("deploy.yml:deploy") if "gh attestation" in step.get("run", "")]
    for name, body in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)

    def run(**env: str) -> tuple[int, list[str], str]:
        asked, output = tmp_path / "asked", tmp_path / "output"
        given = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "ASKED": str(asked),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_REPOSITORY": "example/smartrecover",
            "ECR_REPOSITORY": "smartrecover",
            "DIGEST": DIGEST,
            "SOURCE": "refs/heads/main",
        }
        command = ["bash", "-eo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=ROOT, env=given | env, capture_output=True, text=True, check=False)
        texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in (asked, output)]
        return done.returncode, texts[0].splitlines(), texts[1]

    return run


@pytest.mark.parametrize("source", ["refs/heads/main", "refs/tags/v1.2.3"])
def test_the_attestation_is_asked_for_the_workflow_and_what_it_was_built_from(find_image, source):
    code, asked, output = find_image(SOURCE=source)

    assert code == 0
    options = dict(pairwise(asked))
    assert options["--source-ref"] == source
    assert options["--signer-workflow"] == "example/smartrecover/.github/workflows/image.yml"
    assert options["--repo"] == "example/smartrecover"
    assert "--deny-self-hosted-runners" in asked
    assert output.rstrip().endswith(f"@{DIGEST}")


@pytest.mark.parametrize("source", ["refs/heads/feature", "refs/heads/main2", "refs/tags/v1", "refs/pull/7/merge", ""])
def test_what_another_branch_or_tag_has_built_is_not_deployed(find_image, source):
    code, asked, output = find_image(SOURCE=source)

    assert (code, asked, output) == (1, [], "")


def test_an_image_without_an_attestation_is_not_deployed(find_image):
    code, _, output = find_image(REFUSED="1")

    assert (code, output) == (1, "")


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
