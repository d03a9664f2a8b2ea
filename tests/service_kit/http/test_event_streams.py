"""Streams of events: one poller for all who watch a subject, an end with the credentials, a bound on their number."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from tests.service_kit.http.guarded import CountingTokens, bearer
from tests.service_kit.http.responses import assert_problem
from tests.support.processes import eventually
from tests.support.serving import serving

from service_kit.auth.access import Access
from service_kit.auth.identity import Identity, Role
from service_kit.http import problems
from service_kit.http.app import base_app
from service_kit.http.event_streams import EventStream, EventStreams, Snapshot, TooManyStreamsError
from service_kit.http.middleware.guard import requires
from service_kit.observability import metrics

PER_ACTOR = 4
IN_ALL = 6


class TopicGone(Exception):  # noqa: N818
    """There is no such topic."""


@dataclass
class Topic:
    """What is watched: a test changes it and counts the looks at it."""

    state: str = "begun"
    looks: int = 0
    looking: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> Snapshot:
        with self.looking:
            self.looks += 1
            if self.state == "gone":
                raise TopicGone("there is no such topic")
            return Snapshot(f"data: {self.state}\n\n".encode(), last=self.state == "over")


def create_app(topic: Topic, tokens: CountingTokens, **seconds: float) -> FastAPI:
    app = base_app("Topics", "1", "/topics", access=Access(tokens))
    app.state.event_streams = EventStreams(
        tokens, **({"poll_seconds": 0.05} | seconds), max_per_actor=PER_ACTOR, max_streams=IN_ALL
    )
    headers = {"Retry-After": "5"}
    problems.install(
        app, {TooManyStreamsError: problems.ProblemSpec(429, headers=headers), TopicGone: problems.ProblemSpec(404)}
    )
    router = APIRouter()

    @router.get("/topics/events", dependencies=[requires(Role.VIEWER)])
    async def events(request: Request) -> EventStream:
        return EventStream(request, "topic", topic.look)

    app.include_router(router)
    return app


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def tokens() -> CountingTokens:
    return CountingTokens()


@pytest.fixture
def api(topic: Topic, tokens: CountingTokens) -> Iterator[httpx.Client]:
    with serving(create_app(topic, tokens)) as client:
        yield client


@contextmanager
def streaming(api: httpx.Client, token: str = "viewer") -> Iterator[httpx.Response]:
    with api.stream("GET", "/topics/events", headers=bearer(token)) as response:
        yield response


def opened() -> float:
    return metrics.REGISTRY.get_sample_value("http_event_streams") or 0.0


def test_every_stream_shows_the_topic_at_once_and_at_each_change_until_its_end(api: httpx.Client, topic: Topic) -> None:
    with streaming(api) as one, streaming(api) as other:
        both = [one.iter_lines(), other.iter_lines()]
        assert [next(lines) for lines in both] == ["data: begun"] * 2
        topic.state = "changed"
        assert [[next(lines), next(lines)] for lines in both] == [["", "data: changed"]] * 2
        topic.state = "over"
        assert [list(lines) for lines in both] == [["", "data: over", ""]] * 2


def test_one_poller_serves_all_streams_and_ends_with_them(api: httpx.Client, topic: Topic) -> None:
    with ExitStack() as streams:
        watching = [streams.enter_context(streaming(api)).iter_lines() for _ in range(PER_ACTOR)]
        assert {next(lines) for lines in watching} == {"data: begun"}
        before, began = topic.looks, time.monotonic()
        eventually(lambda: topic.looks >= before + 10, 20, "looks")
        assert topic.looks - before <= 1 + (time.monotonic() - began) / 0.05
        assert opened() == PER_ACTOR

    eventually(lambda: opened() == 0, 20, "the end of the streams")
    looks = topic.looks
    time.sleep(0.2)
    assert topic.looks <= looks + 1


def test_a_topic_that_is_not_there_is_a_problem_and_leaves_nothing_open(api: httpx.Client, topic: Topic) -> None:
    topic.state = "gone"
    for _ in range(2 * PER_ACTOR):
        assert_problem(api.get("/topics/events", headers=bearer("viewer")), 404)
    topic.state = "over"

    assert api.get("/topics/events", headers=bearer("viewer")).text == "data: over\n\n"


def test_a_topic_that_cannot_be_read_any_more_cuts_its_streams(api: httpx.Client, topic: Topic) -> None:
    with streaming(api) as response:
        lines = response.iter_lines()
        next(lines)
        topic.state = "gone"
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)


def test_a_caller_may_have_only_so_many_streams_and_all_callers_only_so_many(api: httpx.Client) -> None:
    with ExitStack() as streams:
        for token in ["viewer"] * PER_ACTOR + ["operator"] * (IN_ALL - PER_ACTOR):
            streams.enter_context(streaming(api, token))
        for token, detail in (("viewer", f"you have {PER_ACTOR} streams"), ("admin", "too many streams")):
            refused = api.get("/topics/events", headers=bearer(token))
            assert assert_problem(refused, 429)["detail"].startswith(detail)
            assert int(refused.headers["retry-after"]) > 0

    def admitted() -> bool:
        with streaming(api) as response:
            return response.status_code == 200

    eventually(admitted, 20, "room for a stream")


def test_a_stream_ends_soon_after_its_credentials_are_revoked(topic: Topic, tokens: CountingTokens) -> None:
    with serving(create_app(topic, tokens, identify_seconds=0.1)) as api, streaming(api) as response:
        lines = response.iter_lines()
        assert next(lines) == "data: begun"
        tokens.revoked.add("viewer")

        assert list(lines)[-2:] == [": your credentials are no longer valid", ""]


def test_a_stream_ends_when_its_caller_has_another_role(
    topic: Topic, tokens: CountingTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def demoted(token: str) -> Identity:
        return Identity(f"test:{token}", None)

    with serving(create_app(topic, tokens, identify_seconds=0.1)) as api, streaming(api) as response:
        lines = response.iter_lines()
        next(lines)
        monkeypatch.setattr(tokens, "identify", demoted)

        assert list(lines)[-2:] == [": your credentials are no longer valid", ""]


def test_a_stream_whose_caller_is_still_known_goes_on_with_signs_of_life(topic: Topic, tokens: CountingTokens) -> None:
    with serving(create_app(topic, tokens, identify_seconds=0.1)) as api, streaming(api) as response:
        lines = response.iter_lines()
        next(lines)
        eventually(lambda: tokens.asked >= 4, 20, "identification")
        topic.state = "over"
        rest = list(lines)

    assert ": still here" in rest
    assert rest[-2:] == ["data: over", ""]


def test_a_change_is_not_shown_to_one_who_is_no_longer_known(topic: Topic, tokens: CountingTokens) -> None:
    with serving(create_app(topic, tokens, identify_seconds=0.2)) as api, streaming(api) as response:
        lines = response.iter_lines()
        next(lines)
        tokens.revoked.add("viewer")
        with suppress(StopIteration):
            while next(lines) != ": your credentials are no longer valid":
                pass
        topic.state = "secret"

        assert "data: secret" not in list(lines)
