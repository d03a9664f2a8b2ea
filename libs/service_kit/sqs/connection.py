"""One client of SQS, made at its first use: credentials and profiles may be missing when a process starts."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from service_kit.addresses import is_loopback
from service_kit.sqs.outages import QueuesUnavailable, at_the_boundary

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

CALLS_IN_FLIGHT = 4  # more gain nothing: a call costs a millisecond or two of our own processor
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30  # longer than the longest poll
ATTEMPTS = 3
DEFAULT_REGION = "us-east-1"


class Connection:
    """The client of one region or one server."""

    def __init__(self, region: str | None, endpoint_url: str | None) -> None:
        """Connect to nothing yet. Without a region, AWS_DEFAULT_REGION counts, then the profile's, then us-east-1."""
        self._region, self._endpoint_url = region, endpoint_url
        self._client: SQSClient | None = None
        self._stack = AsyncExitStack()
        self._making = asyncio.Lock()
        self.where = "at AWS_ENDPOINT_URL_SQS"
        """Which server is asked, and through which proxy, in words that follow a reason."""

    async def client(self) -> "SQSClient":
        """Return the client; make it when there is none yet. Raises QueuesUnavailable."""
        if self._client is None:
            async with self._making:
                if self._client is None:
                    with at_the_boundary(self.where):
                        self._client = await self._make()
        return self._client

    async def close(self) -> None:
        """Close the client."""
        await self._stack.aclose()

    async def _make(self) -> "SQSClient":
        # Imported here, because it takes most of a second that commands without a queue need not wait for.
        import aioboto3  # noqa: PLC0415
        from aiobotocore.config import AioConfig  # noqa: PLC0415

        config = AioConfig(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=4 * CALLS_IN_FLIGHT,
            # Building botocore's long user agent, twice, and validating our own requests against its model together
            # take a sixth of what a call costs.
            user_agent="smartrecover",
            parameter_validation=False,
            # A server on this machine is behind no proxy, whatever the shell says of the world outside.
            proxies={} if _is_local(self._endpoint_url) else None,
        )
        # A new session each time: it would remember a configuration that an operator has mended since.
        session = aioboto3.Session(region_name=self._region)
        region = session.region_name or DEFAULT_REGION
        making = session.client("sqs", region_name=region, endpoint_url=self._endpoint_url, config=config)
        client: SQSClient = await self._stack.enter_async_context(making)
        client.meta.events.register("after-call.sqs", refuse_a_page)
        self.where = _where(region, self._endpoint_url)
        return client


def refuse_a_page(http_response: Any, **_: Any) -> None:
    """Raise QueuesUnavailable for a web page where an answer of SQS should be: a proxy's, which asks to sign in.

    With status 200 it would pass for the answer that nothing was received, or nothing refused.
    """
    if http_response.status_code < 300 and "html" in http_response.headers.get("content-type", ""):
        raise QueuesUnavailable("a web page came instead of an answer of the queue service: a proxy's, it seems")


def _where(region: str, endpoint_url: str | None) -> str:
    place = "at AWS_ENDPOINT_URL_SQS" if endpoint_url else f"in region {region}"
    proxy = _proxy_variable(endpoint_url or f"https://sqs.{region}.amazonaws.com")
    return f"{place}, through the proxy of {proxy}" if proxy else place


def _proxy_variable(url: str) -> str | None:
    parts = urlsplit(url)
    if _is_local(url) or parts.scheme not in getproxies() or proxy_bypass(parts.hostname or ""):
        return None
    return f"{parts.scheme.upper()}_PROXY"


def _is_local(url: str | None) -> bool:
    return url is not None and is_loopback(urlsplit(url).hostname or "")
