"""Distinguishes an SQS outage, which waiting or an operator can cure, from a mistake of this system."""

from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

_THROTTLED = {"RequestThrottled", "ThrottlingException", "Throttling", "TooManyRequestsException", "OverLimit"}
_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)


class QueueMissing(Exception):  # noqa: N818 - named by its consequence
    """The queue does not exist on the server that the client talks to."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue} does not exist")
        self.queue = queue


def is_sqs_unavailable(error: BaseException) -> bool:
    """Return whether SQS failed for a reason that waiting or an operator can cure."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 403 or error_code(error) in _THROTTLED
    return isinstance(error, (QueueMissing, HTTPClientError, ConnectionError, *_CREDENTIALS))


def describe_sqs_outage(error: BaseException) -> str:
    """Return in one clause, without addresses or keys, why SQS is unavailable."""
    if isinstance(error, QueueMissing):
        return str(error)
    if isinstance(error, ClientError):
        return f"the queue service answered {error_code(error)}"
    if isinstance(error, _CREDENTIALS):
        return "no usable AWS credentials were found; for a local SQS set AWS_ENDPOINT_URL_SQS"
    return "the queue service cannot be reached"


def error_code(error: ClientError) -> str:
    """Return the code that SQS gives an error, such as `RequestThrottled`; empty where there is none."""
    return error.response.get("Error", {}).get("Code", "")
