"""Proves that a process may send to a queue and receive from it, without sending or receiving anything.

SQS checks who calls before it checks what is asked. So each probe asks for something that no SQS takes, and the refusal
is the proof. A receive of one message would count: at the queue's maxReceiveCount a message is a dead letter.
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from service_kit.sqs.messages import MAX_BATCH_ENTRIES
from service_kit.sqs.outages import MISTAKES, error_code

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient


async def prove_sending(client: "SQSClient", url: str) -> None:
    """Raise unless this process may send to the queue: a batch without messages is refused, and could send none."""
    try:
        await client.send_message_batch(QueueUrl=url, Entries=[])
    except ClientError as error:
        _accept_refusal(error)


async def prove_receiving(client: "SQSClient", url: str) -> bool:
    """Raise unless this process may receive from the queue: more messages than ten are refused.

    Return False where a server does not refuse that: it must not be asked again, because it may count as a receive.
    """
    try:
        await client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=MAX_BATCH_ENTRIES + 1, VisibilityTimeout=0, WaitTimeSeconds=0
        )
    except ClientError as error:
        _accept_refusal(error)
        return True
    return False


def _accept_refusal(error: ClientError) -> None:
    if error_code(error) not in MISTAKES:
        raise error
