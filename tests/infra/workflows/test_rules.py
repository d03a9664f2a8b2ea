"""The workflows: valid, without a finding, pinned, with few rights and a time limit, and of commands that exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
FILES = sorted((GITHUB / "workflows").iterdir())
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES}
# YAML takes the bare word `on` for a truth value.
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS: dict[str, dict[str, Any]] = {
    f"{name}:{job}": content for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()
}
CALLS = {name for name, job in JOBS.items() if "uses" in job}
STEPS: list[dict[str, Any]] = [step for job in JOBS.values() for step in job.get("steps", [])]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]

OURS = "$/.github/workflows/"
PINNED = re.compile(r"uses: (?P<action>[\w.-]+/[\w./-]+)@(?P<hash>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")

each_file = pytest.mark.parametrize("name", sorted(WORKFLOWS))
each_job = pytest.mark.parametrize("name", sorted(JOBS))


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def triggers(name: str) -> dict[str, Any]:
    on: dict[str, Any] = WORKFLOWS[name][True]
    return on


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = JOBS[job]["steps"]
    return found


def using(job: str, action: str) -> list[dict[str, Any]]:
    return [step for step in steps(job) if step.get("uses", "").startswith(f"{action}@")]


def position(job: str, words: str) -> int:
    """Where in a job the step stands that says this."""
    [found] = [index for index, step in enumerate(steps(job)) if words in step.get("uses", "") + step.get("run", "")]
    return found


# --- Rules for all of them ---


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", FILES),
        ("custom.github-workflows-require-timeout", FILES),
        ("vendor.dependabot", [GITHUB / "dependabot.yml"]),
        ("vendor.github-issue-config", [GITHUB / "ISSUE_TEMPLATE/config.yml"]),
        ("vendor.github-issue-forms", [GITHUB / "ISSUE_TEMPLATE/bug.yml"]),
    ],
)
def test_they_follow_their_schema(schema, files):
    done = run("check-jsonschema", "--builtin-schema", schema, *files)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_pedant_finds_nothing_in_them():
    done = run("zizmor", "--offline", "--strict-collection", "--persona", "pedantic", "--no-ignores", "--quiet", GITHUB)

    assert done.returncode == 0, done.stdout + done.stderr


@each_file
def test_every_action_is_pinned_by_its_hash_and_tells_its_version(name):
    used = [line.strip().removeprefix("- ") for line in TEXTS[name].splitlines() if re.search(r"\buses:", line)]
    theirs = [line for line in used if not line.startswith(f"uses: {OURS}")]

    assert used
    assert [line for line in theirs if not PINNED.fullmatch(line)] == []


def test_an_action_has_one_version_everywhere():
    found = {match.groups() for text in TEXTS.values() for match in PINNED.finditer(text)}

    assert len({action for action, _, _ in found}) == len(found)


def test_workflows_of_ours_that_are_called_are_there():
    for name in CALLS:
        called = JOBS[name]["uses"].removeprefix(OURS)
        assert "workflow_call" in triggers(called)


@each_file
def test_a_workflow_itself_may_do_nothing(name):
    assert WORKFLOWS[name]["permissions"] == {}


@each_job
def test_a_job_says_what_it_may_do_and_only_reads_the_code(name):
    assert JOBS[name]["permissions"]["contents"] == "read"


def test_only_who_publishes_or_deploys_is_known_to_aws():
    assert {name for name, job in JOBS.items() if "id-token" in job["permissions"]} == {
        "image.yml:publish",
        "deploy.yml:deploy",
    }
    assert {name for name, job in JOBS.items() if "environment" in job} == {"image.yml:publish", "deploy.yml:deploy"}


@each_job
def test_a_job_has_a_time_limit(name):
    # A call has that of the jobs it calls.
    assert name in CALLS or 0 < JOBS[name]["timeout-minutes"] <= 75


@each_file
def test_two_runs_of_the_same_do_not_meet(name):
    concurrency = WORKFLOWS[name]["concurrency"]

    assert concurrency["group"].startswith(f"{name.removesuffix('.yml')}-${{{{")
    # What changes something outside is not broken off in the middle.
    assert concurrency["cancel-in-progress"] is (name in {"ci.yml", "audit.yml"})


def test_no_checkout_leaves_a_token_behind():
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]

    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@each_file
def test_there_is_no_secret_but_by_oidc(name):
    assert not re.search(r"\bsecrets\b|access.key|password\s*[:=]", TEXTS[name], re.IGNORECASE)
    assert not re.search(r"AKIA[0-9A-Z]{16}|arn:aws|\b\d{12}\b", TEXTS[name])


@each_file
def test_nothing_that_others_wrote_gets_into_a_script_as_code(name):
    scripts = [
        step["run"] for job in WORKFLOWS[name]["jobs"].values() for step in job.get("steps", []) if "run" in step
    ]

    assert [script for script in scripts if "${{" in script] == []


@each_file
def test_a_pull_request_of_a_stranger_gets_no_rights(name):
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers(name))


def test_every_script_is_good_bash():
    assert SCRIPTS
    for script in SCRIPTS:
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, script + done.stderr


def test_scripts_stop_at_the_first_failure_in_a_pipe_too():
    # `bash` written out means -eo pipefail; the default does not.
    assert {workflow["defaults"]["run"]["shell"] for workflow in WORKFLOWS.values()} == {"bash"}


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    told = {word for script in SCRIPTS for word in re.findall(r"\bmake ([a-z-]+)", script)}

    assert {"setup", "demo-compose"} <= told <= targets


def test_every_file_of_ours_that_is_named_is_there():
    words = {word for script in SCRIPTS for line in script.splitlines() for word in re.findall(r"[\w./-]+", line)}
    named = {word for word in words if word.startswith(("infra/", ".ci/"))} - {"infra/aws/image/global-bundle.pem"}

    assert {".ci/run", "infra/deploy/ecs.py", "infra/deploy/registry.sh"} <= named
    assert [word for word in named if not (ROOT / word).is_file()] == []


# --- Each of them ---


def test_ci_runs_what_everybody_runs_on_the_oldest_and_the_newest_python():
    job = JOBS["ci.yml:run"]
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    in_the_image = re.search(r"FROM python:([\d.]+)", (ROOT / "infra/docker/Dockerfile").read_text(encoding="utf-8"))

    assert oldest is not None
    assert in_the_image is not None
    assert job["strategy"]["matrix"]["python"] == [oldest[1], in_the_image[1]]
    assert job["steps"][-1]["run"] == ".ci/run"


def test_ci_has_the_database_server_that_the_tests_want_before_it_runs_them():
    installed = (ROOT / ".ci/run").read_text(encoding="utf-8")

    assert "mariadb-server" in installed
    assert position("ci.yml:run", "mariadb-server-core") < position("ci.yml:run", ".ci/run")


def test_nothing_is_published_before_ci_has_passed():
    assert JOBS["image.yml:ci"]["uses"] == f"{OURS}ci.yml"
    assert JOBS["image.yml:publish"]["needs"] == "ci"
    assert triggers("image.yml") == {"push": {"branches": ["main"], "tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}


def test_each_image_says_what_is_in_it_and_where_it_came_from():
    builds = using("image.yml:publish", "docker/build-push-action")

    assert [(ROOT / step["with"].get("file", "infra/aws/image/Dockerfile")).is_file() for step in builds] == [
        True,
        True,
    ]
    for step in builds:
        assert step["with"]["sbom"] is True
        assert step["with"]["provenance"] == "mode=max"
        assert "push-by-digest=true" in step["with"]["outputs"]
    signed = [step["with"]["subject-digest"] for step in using("image.yml:publish", "actions/attest-build-provenance")]
    assert signed == [f"${{{{ steps.{step['id']}.outputs.digest }}}}" for step in builds]


def test_an_image_gets_its_name_last():
    assert position("image.yml:publish", "imagetools create") == len(steps("image.yml:publish")) - 1


def test_the_build_arguments_are_those_of_the_dockerfiles():
    for step in using("image.yml:publish", "docker/build-push-action"):
        dockerfile = ROOT / step["with"].get("file", "infra/aws/image/Dockerfile")
        declared = re.findall(r"^ARG (\w+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
        told = [line.partition("=")[0] for line in step["with"]["build-args"].split("\n") if line]
        assert told == declared


def test_the_lock_is_audited_every_week_and_when_it_changes():
    on = triggers("audit.yml")

    assert len(on["schedule"]) == 1
    assert "uv.lock" in on["push"]["paths"]
    assert "uv.lock" in on["pull_request"]["paths"]


def test_the_audit_exports_the_lock_as_this_uv_can():
    [script] = [step["run"] for step in steps("audit.yml:locked") if "uv export" in step.get("run", "")]
    program, *options = shlex.split(script.replace("\\\n", " "))
    told = options[: options.index("--output-file")]
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *told, "--offline"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert re.search(r"^fastapi==", done.stdout, re.MULTILINE)
    assert re.search(r"^pytest==", done.stdout, re.MULTILINE)
    # The audit takes nothing without a hash.
    names = re.findall(r"^[\w.-]+(?:\[.*\])?==", done.stdout, re.MULTILINE)
    assert len(re.findall(r"^[\w.\[\],-]+==.* \\\n +--hash=", done.stdout, re.MULTILINE)) == len(names)


def test_a_pull_request_is_reviewed_for_what_it_adds():
    assert JOBS["audit.yml:review"]["if"] == "github.event_name == 'pull_request'"
    assert using("audit.yml:review", "actions/dependency-review-action")


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


def test_every_kind_of_thing_that_can_grow_old_is_looked_at_and_a_release_ripens_first():
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))["updates"]

    assert {update["package-ecosystem"] for update in updates} == {
        *("uv", "github-actions", "docker", "docker-compose", "terraform")
    }
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)


def test_who_reports_something_is_asked_to_leave_debtors_out():
    assert "debtor's data" in (GITHUB / "ISSUE_TEMPLATE/bug.yml").read_text(encoding="utf-8")
