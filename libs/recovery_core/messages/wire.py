"""What is the same for every message: its largest size, its digest, and the errors of a bad one."""

from hashlib import sha256

from pydantic import ValidationError

MAX_BATCH_SIZE = 1_000  # ordinary debtors, whose message is under MAX_MESSAGE_BYTES
MAX_MESSAGE_BYTES = 262_144
"""The largest message: what every SQS emulator still takes, though AWS has taken 1 MiB since August 2025."""
MAX_BODY_BYTES = MAX_MESSAGE_BYTES - 1_024
"""The largest body that is planned: a queue counts the attributes too, which carry the MAC and the trace."""
MAX_REASON_CHARS = 500


class UnreadableMessage(Exception):  # noqa: N818 - named by its consequence
    """The message can never be processed; ``reason`` says why, in printable characters only."""

    def __init__(self, reason: str) -> None:
        self.reason = "".join(char if char.isprintable() else "?" for char in reason[:MAX_REASON_CHARS])
        super().__init__(self.reason)


class MessageTooLarge(ValueError):  # noqa: N818 - named by its consequence
    """The message exceeds what a queue accepts; fewer items would fit."""


def sized(data: bytes) -> bytes:
    """Return the message. Raises MessageTooLarge."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(f"{len(data)} bytes are more than the {MAX_MESSAGE_BYTES} of a message")
    return data


def digest_of(body: str | bytes) -> str:
    """Return the SHA-256 of a message's body in hex: it names the very message, whatever the message says of itself."""
    return sha256(body.encode(errors="surrogatepass") if isinstance(body, str) else body).hexdigest()


def as_bytes(body: str | bytes) -> bytes:
    """Return the body as bytes. Raises UnreadableMessage when it is no text or too large."""
    try:
        data = body.encode() if isinstance(body, str) else body
    except UnicodeEncodeError as error:
        raise UnreadableMessage(f"not text: {error.reason}") from None
    if len(data) > MAX_MESSAGE_BYTES:
        raise UnreadableMessage(f"{len(data)} bytes are more than the {MAX_MESSAGE_BYTES} of a message")
    return data


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Return the place of the first mistake and what it is, never the value itself."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ".".join(map(str, problem["loc"])) or "message", problem["msg"]
