"""The URLs of queues by name, looked up once. A missing queue is created again where that is allowed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog
from botocore.exceptions import ClientError

from service_kit.sqs.connection import Connection
from service_kit.sqs.outages import QueueMissing, QueuesUnavailable, at_the_boundary, error_code
from service_kit.sqs.provision import ensure_queues
from service_kit.sqs.specs import QueueSpec

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

T = TypeVar("T")
log = structlog.get_logger(__name__)

_MISSING = {"QueueDoesNotExist", "NonExistentQueue"}


class QueueUrls:
    """The URLs that one client has learned."""

    def __init__(self, connection: Connection, create_missing: Sequence[QueueSpec]) -> None:
        self._connection, self._create_missing = connection, tuple(create_missing)
        self._urls: dict[str, str] = {}
        self._used: set[str] = set()
        self._creating = asyncio.Lock()

    async def call(self, queue: str, call: Callable[["SQSClient", str], Awaitable[T]]) -> T:
        """Make a call with the queue's URL, once more when the queue was missing and may be created.

        Raises QueueMissing, QueuesUnavailable, ClientError.
        """
        try:
            return await self._call(queue, call)
        except QueueMissing:
            if not await self._create_again(queue):
                raise
        return await self._call(queue, call)

    async def look_up(self, queue: str) -> None:
        """Ask for the queue's URL now, known or not: every process may do so, unlike reading attributes."""

        async def ask(client: "SQSClient", _: str) -> None:
            await client.get_queue_url(QueueName=queue)

        await self.call(queue, ask)

    async def look_around(self) -> None:
        """Ask for the name of some queue."""
        client = await self._connection.client()
        with at_the_boundary(self._connection.where):
            await client.list_queues(MaxResults=1)

    async def ensure(self, specs: Sequence[QueueSpec]) -> None:
        """Create each queue as specified; an existing queue is changed to its specification."""
        client = await self._connection.client()
        with at_the_boundary(self._connection.where):
            self._urls |= await ensure_queues(client, specs)
        self._used |= self._urls.keys()

    async def _call(self, queue: str, call: Callable[["SQSClient", str], Awaitable[T]]) -> T:
        client = await self._connection.client()
        try:
            with at_the_boundary(self._connection.where):
                return await call(client, await self._url(client, queue))
        except ClientError as error:
            if error_code(error) not in _MISSING:
                raise
            self._urls.pop(queue, None)
            raise QueueMissing(queue, self._connection.where) from error

    async def _url(self, client: "SQSClient", queue: str) -> str:
        if queue not in self._urls:
            url = (await client.get_queue_url(QueueName=queue)).get("QueueUrl")
            if not url:
                raise QueuesUnavailable(f"the queue service names no URL of queue {queue}")
            self._urls[queue] = url
            self._used.add(queue)
        return self._urls[queue]

    async def _create_again(self, queue: str) -> bool:
        known = {spec.name for spec in self._create_missing} | {spec.dead_letter for spec in self._create_missing}
        if queue not in known:
            return False
        async with self._creating:
            if queue in self._urls:
                return True  # another call, which found it missing too, has created it meanwhile
            if queue in self._used:
                log.warning("sqs.queue.created", queue=queue)
            else:
                log.info("sqs.queue.created", queue=queue)  # as at each start of a local SQS, which begins empty
            self._urls.clear()
            await self.ensure(self._create_missing)
        return True
