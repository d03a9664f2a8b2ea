"""Terraform on this machine, with an AWS provider that is here already.

No AWS account is needed. Without Terraform and its AWS provider on the machine, what needs them is skipped, loudly.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

slow = pytest.mark.timeout(600)


def plugins() -> Path | None:
    """The folder of providers with the AWS provider, found by name: nothing can be fetched everywhere."""
    given = os.environ.get("TEST_TERRAFORM_PLUGINS")
    roots = [Path(given)] if given else [Path.home() / ".terraform.d", *map(Path, ("/opt", "/usr/local", "/usr/share"))]
    for root in roots:
        for depth in ("", "*/", "*/*/", "*/*/*/"):
            for found in root.glob(f"{depth}*/hashicorp/aws/5.*/*/terraform-provider-aws_v5*"):
                return found.parents[5]
    return None


class Terraform:
    """Terraform on a copy of infra/aws, so that nothing of its own gets into the checkout."""

    def __init__(self, folder: Path, program: str, providers: Path) -> None:
        self.folder, self._program, self._providers = folder, program, providers

    def run(self, *arguments: str, within: float = 300, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Run it; return its exit code and what it said."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        environment |= {
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_DATA_DIR": str(self.folder.parent / "data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **(env or {}),
        }
        done = subprocess.run(
            [self._program, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=within,
        )
        return done.returncode, done.stdout + done.stderr

    def init(self) -> None:
        code, said = self.run("init", "-backend=false", "-input=false", "-no-color", f"-plugin-dir={self._providers}")
        assert code == 0, said


def found_terraform(folder: Path) -> Terraform:
    program, providers = shutil.which("terraform"), plugins()
    if program is None:
        pytest.skip("no terraform on this machine: nothing but this file's own reading has judged infra/aws")
    if providers is None:
        pytest.skip("no AWS provider of version 5 on this machine: Terraform cannot judge infra/aws")
    return Terraform(folder, program, providers)
