"""The workflows: valid, without a finding, pinned, with few rights and a time limit, and of commands that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.infra.workflows.workflows import (
    CALLS,
    FILES,
    GITHUB,
    JOBS,
    OURS,
    ROOT,
    SCRIPTS,
    STEPS,
    TEXTS,
    WORKFLOWS,
    each_file,
    each_job,
    triggers,
)

PINNED = re.compile(r"uses: (?P<action>[\w.-]+/[\w./-]+)@(?P<hash>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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
def test_every_action_is_pinned_by_its_hash_and_shows_its_version(name):
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
    called = {word for script in SCRIPTS for word in re.findall(r"\bmake ([a-z-]+)", script)}

    assert {"setup", "demo-compose"} <= called <= targets


def test_every_file_of_ours_that_is_named_is_there():
    words = {word for script in SCRIPTS for line in script.splitlines() for word in re.findall(r"[\w./-]+", line)}
    named = {word for word in words if word.startswith(("infra/", ".ci/"))} - {"infra/aws/image/global-bundle.pem"}

    assert {".ci/run", "infra/deploy/ecs.py", "infra/deploy/registry.sh"} <= named
    assert [word for word in named if not (ROOT / word).is_file()] == []


def test_every_kind_of_thing_that_can_grow_old_is_looked_at_and_a_release_ripens_first():
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))["updates"]

    assert {update["package-ecosystem"] for update in updates} == {
        *("uv", "npm", "github-actions", "docker", "docker-compose", "terraform")
    }
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)


def test_who_reports_something_is_asked_to_leave_debtors_out():
    assert "debtor's data" in (GITHUB / "ISSUE_TEMPLATE/bug.yml").read_text(encoding="utf-8")
