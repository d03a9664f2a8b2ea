"""image.yml publishes images after CI has passed, and says what is in them."""

import re

from tests.infra.workflows.workflows import JOBS, OURS, ROOT, position, steps, triggers, using


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
        given = [line.partition("=")[0] for line in step["with"]["build-args"].split("\n") if line]
        assert given == declared
