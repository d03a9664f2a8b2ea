"""Distinguishes an SQS outage, which waiting or an operator can cure, from a mistake of this system.

Everything that goes wrong at the boundary to SQS is an outage, except what is known to be a mistake of ours: no list of
outages is ever complete, and the loop that takes one for a mistake dies of it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    MissingParametersError,
    NoCredentialsError,
    OperationNotPageableError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    RefreshWithMFAUnsupportedError,
    SSLError,
    SSOError,
    TokenRetrievalError,
    UnknownClientMethodError,
    UnknownParameterError,
    UnknownServiceError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html and the errors of each action:
# what SQS says of a request that no waiting makes right, because it is wrong in itself.
MISTAKES = frozenset(
    {
        "BatchEntryIdsNotDistinct",
        "BatchRequestTooLong",
        "EmptyBatchRequest",
        "InvalidAction",
        "InvalidAttributeName",
        "InvalidAttributeValue",
        "InvalidBatchEntryId",
        "InvalidIdFormat",
        "InvalidMessageContents",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InvalidQueryParameter",
        "MalformedQueryString",
        "MessageNotInflight",
        "MessageTooLong",
        "MissingAction",
        "MissingParameter",
        "QueueNameExists",
        "ReadCountOutOfRange",
        "ReceiptHandleIsInvalid",
        "SerializationException",
        "TooManyEntriesInBatchRequest",
        "UnknownOperationException",
        "UnsupportedOperation",
        "ValidationError",
        "ValidationException",
    }
)
_OUR_CALLS = (
    MissingParametersError,
    OperationNotPageableError,
    ParamValidationError,
    UnknownClientMethodError,
    UnknownParameterError,
    UnknownServiceError,
)
_BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError)
_PREFIX = "AWS.SimpleQueueService."  # of codes in the older protocol, which many servers still speak
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,79}")

_MEANINGS = {
    "ExpiredToken": "the AWS credentials have expired",
    "ExpiredTokenException": "the AWS credentials have expired",
    "RequestExpired": "the AWS credentials or the request have expired, or the clock of this machine is wrong",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
}
_KINDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (NoCredentialsError, PartialCredentialsError),
        "no usable AWS credentials were found; for a local SQS set AWS_ENDPOINT_URL_SQS",
    ),
    ((SSOError, TokenRetrievalError), "the AWS SSO session has expired or was never begun: run `aws sso login`"),
    (
        (CredentialRetrievalError, MetadataRetrievalError, RefreshWithMFAUnsupportedError),
        "the AWS credentials cannot be retrieved from where the AWS configuration says",
    ),
    ((SSLError,), "the queue service did not prove that it is itself (TLS)"),
    ((HTTPClientError, NoConnectionError), "the queue service cannot be reached"),
    ((ConfigNotFound, ConfigParseError), "the AWS configuration file cannot be read"),
)


class QueuesUnavailable(Exception):  # noqa: N818 - named by its consequence
    """SQS cannot be used now. The text says why in one clause, without addresses or keys."""


class QueueMissing(QueuesUnavailable):
    """The queue does not exist on the server that the client talks to; `where` says which server that is."""

    def __init__(self, queue: str, where: str = "") -> None:
        super().__init__(f"queue {queue} does not exist{where and ' '}{where}")
        self.queue = queue


def is_sqs_unavailable(error: BaseException) -> bool:
    """Return whether SQS failed for a reason that waiting or an operator can cure."""
    if isinstance(error, ClientError):
        return error_code(error) not in MISTAKES
    return isinstance(error, (QueuesUnavailable, BotoCoreError)) and not isinstance(error, _OUR_CALLS)


def describe_sqs_outage(error: BaseException) -> str:
    """Return in one clause, without addresses or keys, why SQS is unavailable."""
    if isinstance(error, QueuesUnavailable):
        return str(error)
    if isinstance(error, ClientError):
        return _describe_answer(error)
    if isinstance(error, ProfileNotFound):
        return f"AWS_PROFILE: the AWS configuration has no profile {_shown(error.kwargs.get('profile'))}"
    for kinds, meaning in _KINDS:
        if isinstance(error, kinds):
            return meaning
    return f"the queue service cannot be used: {type(error).__name__}"


def error_code(error: ClientError) -> str:
    """Return the code that SQS gives an error, such as `RequestThrottled`; empty where there is none."""
    return str(error.response.get("Error", {}).get("Code", "")).removeprefix(_PREFIX)


@contextmanager
def at_the_boundary(where: str) -> Iterator[None]:
    """Raise whatever fails in the block as an outage, but for mistakes and for answers of SQS, which the caller reads.

    `where` says which server is asked, as in "in region eu-west-1". Raises QueuesUnavailable.
    """
    try:
        yield
    except (ClientError, QueuesUnavailable, *_OUR_CALLS, *_BUGS):
        raise
    except Exception as error:
        # Also what botocore lets through: a credential process that is no program, or prints no JSON.
        reason = describe_sqs_outage(error)
        unreached = isinstance(error, (HTTPClientError, NoConnectionError))
        raise QueuesUnavailable(f"{reason} {where}" if unreached else reason) from error


def _describe_answer(error: ClientError) -> str:
    code, metadata = error_code(error), error.response.get("ResponseMetadata", {})
    if _CODE.fullmatch(code) is None:  # a page of something before SQS, of which botocore makes its status
        return f"the queue service, or a proxy before it, answered with status {metadata.get('HTTPStatusCode', 'none')}"
    meaning = _MEANINGS.get(code)
    return f"{meaning} ({code})" if meaning else f"the queue service answered {code}"


def _shown(value: object) -> str:
    return "".join(char if char.isprintable() else "?" for char in str(value)[:80])
