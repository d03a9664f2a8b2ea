"""The queues of a system, seen past all services."""

from typing import Any

import boto3
from tests.support.system.system import System


class Queues:
    """The queues of a system, seen past all services: what is in them, and putting things there."""

    def __init__(self, system: System) -> None:
        self._names = system.queues
        self._client = boto3.client(
            "sqs",
            region_name="eu-west-1",
            endpoint_url=system.sqs_url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def address(self, role: str) -> str:
        """The address of a queue by its role: high, standard, results, or one of these with -dlq."""
        base, dead, _ = role.partition("-dlq")
        address: str = self._client.get_queue_url(QueueName=self._names[base] + dead)["QueueUrl"]
        return address

    def send(self, role: str, *bodies: str) -> None:
        """Send messages, in this order."""
        address = self.address(role)
        for body in bodies:
            self._client.send_message(QueueUrl=address, MessageBody=body)

    def depth(self, role: str) -> tuple[int, int]:
        """How many messages wait, and how many are hidden because they were received."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._client.get_queue_attributes(QueueUrl=self.address(role), AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def is_empty(self, *roles: str) -> bool:
        """Return whether nothing waits and nothing is hidden."""
        return all(self.depth(role) == (0, 0) for role in roles)

    def take(self, role: str, *, hide: int = 30, most: int = 1_000) -> list[dict[str, Any]]:
        """Receive what waits: body, receive count and attributes of each message."""
        address, taken = self.address(role), []
        while len(taken) < most:
            response = self._client.receive_message(
                QueueUrl=address,
                MaxNumberOfMessages=min(10, most - len(taken)),
                VisibilityTimeout=hide,
                AttributeNames=["ApproximateReceiveCount"],
                MessageAttributeNames=["All"],
            )
            if not response.get("Messages"):
                break
            taken += response["Messages"]
        return taken

    def drain(self, role: str) -> list[dict[str, Any]]:
        """Take everything that waits out of a queue for good."""
        taken = self.take(role)
        for message in taken:
            self._client.delete_message(QueueUrl=self.address(role), ReceiptHandle=message["ReceiptHandle"])
        return taken
