"""Creates queues as they are specified: for local stacks, and for tests. Elsewhere Terraform provisions them."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from service_kit.sqs.outages import error_code
from service_kit.sqs.specs import QueueSpec

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient


async def ensure_queues(client: "SQSClient", specs: Sequence[QueueSpec]) -> dict[str, str]:
    """Create each queue as specified, dead-letter queues first; return their URLs by name.

    An existing queue is changed to its specification.
    """
    named = {spec.name for spec in specs}
    implied = [QueueSpec(spec.dead_letter) for spec in specs if spec.dead_letter and spec.dead_letter not in named]
    urls: dict[str, str] = {}
    for spec in sorted([*specs, *implied], key=lambda spec: spec.dead_letter is not None):
        urls[spec.name] = await _ensure_queue(client, spec)
    return urls


async def _ensure_queue(client: "SQSClient", spec: QueueSpec) -> str:
    attributes: Any = {
        "VisibilityTimeout": str(spec.visibility_timeout),
        "MessageRetentionPeriod": str(spec.retention),
        "SqsManagedSseEnabled": "true",  # encrypted at rest; AWS does so by default, and should not stop
    }
    if spec.dead_letter is not None:
        target = {
            "deadLetterTargetArn": await _arn(client, spec.dead_letter),
            "maxReceiveCount": str(spec.max_receive_count),
        }
        attributes["RedrivePolicy"] = json.dumps(target)
    try:
        return (await client.create_queue(QueueName=spec.name, Attributes=attributes))["QueueUrl"]
    except ClientError as error:
        if error_code(error) not in {"QueueNameExists", "QueueAlreadyExists"}:
            raise
    url = await _url(client, spec.name)
    await client.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return url


async def _arn(client: "SQSClient", queue: str) -> str:
    response = await client.get_queue_attributes(QueueUrl=await _url(client, queue), AttributeNames=["QueueArn"])
    return response["Attributes"]["QueueArn"]


async def _url(client: "SQSClient", queue: str) -> str:
    return (await client.get_queue_url(QueueName=queue))["QueueUrl"]
