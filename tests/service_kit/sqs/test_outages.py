"""Everything that goes wrong at the boundary to SQS is an outage with its reason, except a mistake of ours."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError, SSOTokenLoadError
from tests.support.faults.faulty_sqs import Fault, FaultySqs, faulty_sqs
from tests.support.processes import free_port

from service_kit.sqs import connection
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.outages import (
    QueueMissing,
    QueuesUnavailable,
    at_the_boundary,
    describe_sqs_outage,
    is_sqs_unavailable,
)
from service_kit.sqs.specs import QueueSpec

Names = Callable[[str], str]


@pytest.fixture
def faulty(sqs_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySqs]:
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    with faulty_sqs(sqs_url) as proxy:
        yield proxy


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, aws_environment: None) -> Callable[[str], None]:
    """Write the AWS configuration with a profile that the shell has chosen, and no other credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return lambda text: (tmp_path / "config").write_text(text) and None


async def reason_of(sqs: Sqs, queue: str = "work") -> str:
    """Send a message, and return why that failed, if it did by an outage."""
    with pytest.raises((ClientError, QueuesUnavailable)) as caught:
        await sqs.send(queue, [Outgoing("a", "body")])
    assert is_sqs_unavailable(caught.value)
    return describe_sqs_outage(caught.value)


def test_missing_credentials_are_an_outage_and_other_errors_are_not() -> None:
    assert is_sqs_unavailable(NoCredentialsError())
    assert (
        describe_sqs_outage(NoCredentialsError())
        == "no usable AWS credentials were found; for a local SQS set AWS_ENDPOINT_URL_SQS"
    )
    assert describe_sqs_outage(QueueMissing("work")) == "queue work does not exist"
    assert not is_sqs_unavailable(ValueError("x"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("ExpiredTokenException"), "the AWS credentials have expired (ExpiredTokenException)"),
        (Fault("ExpiredToken", 403), "the AWS credentials have expired (ExpiredToken)"),
        (Fault("AccessDeniedException"), "the queue service answered AccessDeniedException"),
        (
            Fault("RequestExpired"),
            "the AWS credentials or the request have expired, or the clock of this machine is wrong (RequestExpired)",
        ),
        (Fault("KMS.AccessDeniedException"), "the queue service answered KMS.AccessDeniedException"),
        (Fault("KMS.DisabledException"), "the queue service answered KMS.DisabledException"),
        (Fault("AWS.SimpleQueueService.QueueDeletedRecently"), "the queue service answered QueueDeletedRecently"),
        (Fault("SomethingThatAwsAddsTomorrow"), "the queue service answered SomethingThatAwsAddsTomorrow"),
        *(
            (Fault(status=status, page=True), f"the queue service, or a proxy before it, answered with status {status}")
            for status in (301, 403, 404, 407, 429, 502)
        ),
        (
            Fault(status=200, page=True),
            "a web page came instead of an answer of the queue service: a proxy's, it seems",
        ),
    ],
    ids=lambda value: f"{value.status}-{value.code or 'page'}" if isinstance(value, Fault) else "",
)
async def test_an_answer_that_no_list_of_ours_knows_is_an_outage_with_its_reason(
    faulty: FaultySqs, queue_names: Names, fault: Fault, reason: str
) -> None:
    async with Sqs("eu-west-1", faulty.url) as sqs:
        queue = queue_names("work")
        await sqs.ensure_queues([QueueSpec(queue)])
        faulty.faults["*"] = fault

        assert await reason_of(sqs, queue) == reason

        faulty.faults.clear()
        assert await sqs.send(queue, [Outgoing("a", "body")]) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    "code", ["InvalidParameterValue", "AWS.SimpleQueueService.EmptyBatchRequest", "MissingParameter"]
)
async def test_what_is_wrong_in_itself_is_a_mistake(faulty: FaultySqs, queue_names: Names, code: str) -> None:
    async with Sqs("eu-west-1", faulty.url) as sqs:
        queue = queue_names("work")
        await sqs.ensure_queues([QueueSpec(queue)])
        faulty.faults["SendMessageBatch"] = Fault(code)

        with pytest.raises(ClientError) as caught:
            await sqs.send(queue, [Outgoing("a", "body")])

    assert not is_sqs_unavailable(caught.value)


@pytest.mark.parametrize(
    "bug",
    [TypeError("x"), KeyError("x"), ZeroDivisionError("x"), ParamValidationError(report="x"), AssertionError("x")],
)
def test_a_bug_of_ours_passes_the_boundary_as_it_is(bug: Exception) -> None:
    with pytest.raises(type(bug)) as caught, at_the_boundary("in region eu-west-1"):
        raise bug

    assert not is_sqs_unavailable(caught.value)


@pytest.mark.parametrize("error", [FileNotFoundError("sso-helper"), ValueError("no JSON"), TimeoutError()])
def test_anything_else_that_fails_there_is_an_outage(error: Exception) -> None:
    expected = f"the queue service cannot be used: {type(error).__name__}"
    with pytest.raises(QueuesUnavailable, match=expected), at_the_boundary("in region eu-west-1"):
        raise error


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("[profile other]\n", "AWS_PROFILE: the AWS configuration has no profile work"),
        (
            "[profile work]\ncredential_process = /bin/false\n",
            "the AWS credentials cannot be retrieved from where the AWS configuration says",
        ),
        (
            "[profile work]\ncredential_process = /nowhere/helper\n",
            "the queue service cannot be used: FileNotFoundError",
        ),
        ("[profile work]\ncredential_process = /bin/echo hello\n", "the queue service cannot be used: JSONDecodeError"),
        (
            "[profile work]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n"
            "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://example.com/start\n",
            "the AWS SSO session has expired or was never begun: run `aws sso login`",
        ),
        (
            "[profile work]\nregion = eu-west-1\n",
            "no usable AWS credentials were found; for a local SQS set AWS_ENDPOINT_URL_SQS",
        ),
        ("[profile work\n", "the AWS configuration file cannot be read"),
    ],
    ids=["no profile", "process fails", "no process", "no JSON", "no login", "no credentials", "no configuration"],
)
async def test_credentials_that_cannot_be_had_are_waited_for_and_come_back(
    sqs_url: str, queue_names: Names, profile: Callable[[str], None], config: str, reason: str
) -> None:
    profile(config)
    async with Sqs("eu-west-1", sqs_url) as sqs:
        assert await reason_of(sqs) == reason

        profile("[profile work]\naws_access_key_id = a\naws_secret_access_key = b\n")
        if "sso" not in reason and "no usable" not in reason:
            await sqs.ensure_queues([QueueSpec(queue_names("work"))])


def test_an_sso_error_of_any_kind_says_what_to_do() -> None:
    assert "aws sso login" in describe_sqs_outage(SSOTokenLoadError(error_msg="secret"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("region", "variables", "config", "expected"),
    [
        ("eu-north-1", {"AWS_DEFAULT_REGION": "eu-south-1"}, "region = eu-west-3", "eu-north-1"),
        (None, {"AWS_DEFAULT_REGION": "eu-south-1"}, "region = eu-west-3", "eu-south-1"),
        (None, {}, "region = eu-west-3", "eu-west-3"),
        (None, {}, "", "us-east-1"),
    ],
)
async def test_the_region_comes_by_the_usual_chain_and_is_named(
    monkeypatch: pytest.MonkeyPatch,
    profile: Callable[[str], None],
    region: str | None,
    variables: dict[str, str],
    config: str,
    expected: str,
) -> None:
    profile(f"[profile work]\naws_access_key_id = a\naws_secret_access_key = b\n{config}\n")
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    monkeypatch.setenv("HTTPS_PROXY", f"http://secret@127.0.0.1:{free_port()}")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    async with Sqs(region) as sqs:
        assert await reason_of(sqs) == (
            f"the queue service cannot be reached in region {expected}, through the proxy of HTTPS_PROXY"
        )


@pytest.mark.anyio
async def test_a_server_on_this_machine_is_asked_past_any_proxy(
    sqs_url: str, queue_names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    async with Sqs("eu-west-1", sqs_url) as sqs:
        await sqs.ensure_queues([QueueSpec(queue_names("work"))])
        assert await sqs.send(queue_names("work"), [Outgoing("a", "body")]) == []


@pytest.mark.anyio
async def test_a_missing_queue_is_named_with_the_region(sqs_url: str, queue_names: Names) -> None:
    queue = queue_names("nowhere")
    async with Sqs("eu-west-1", sqs_url) as sqs:
        assert await reason_of(sqs, queue) == f"queue {queue} does not exist at AWS_ENDPOINT_URL_SQS"
