"""What is in infra/aws is formed, valid and tried, by Terraform's own judgement; checkov finds nothing unsafe in it."""

import re
import shutil
import subprocess

import pytest
from tests.infra.terraform.program import slow
from tests.infra.terraform.source import AWS, text_of


def test_it_is_in_terraforms_own_form(terraform):
    code, said = terraform.run("fmt", "-check", "-recursive", "-diff", "-no-color")

    assert code == 0, said


@slow
def test_it_is_valid(terraform):
    code, said = terraform.run("validate", "-no-color")

    assert code == 0, said


@slow
def test_its_own_tests_pass(terraform):
    names = sorted(path.name for path in (AWS / "tests").glob("*.tftest.hcl"))
    others = [
        f"-filter=tests/{name}" for name in names if name != "system.tftest.hcl"
    ]  # that one is run for each example

    code, said = terraform.run("test", "-no-color", *others, "-var-file=production.tfvars")

    assert code == 0, said
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", said), said


@slow
def test_checkov_finds_nothing():
    program = shutil.which("checkov")
    if program is None:
        pytest.skip("no checkov on the PATH: infra/aws was not searched for what is unsafe")
    command = [program, "--directory", str(AWS), "--framework", "terraform", "--skip-download", "--quiet", "--compact"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)

    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]


def test_a_check_of_checkov_that_is_skipped_has_a_reason():
    skips = re.findall(r"checkov:skip=(\S+?)(?::(.*))?$", text_of(".", *map(str, AWS.glob("modules/*"))), re.MULTILINE)

    assert skips
    assert [check for check, reason in skips if not re.fullmatch(r"[A-Z].{15,}\.", reason)] == []
