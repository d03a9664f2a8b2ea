"""ci.yml runs what everyone runs, on the oldest and the newest Python."""

import re

from tests.infra.workflows.workflows import JOBS, ROOT, position


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
