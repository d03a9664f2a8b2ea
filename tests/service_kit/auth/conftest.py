"""An issuer, and the guarded API that accepts its tokens."""

from collections.abc import Iterator

import httpx
import pytest
from tests.service_kit.auth.tokens import authenticator
from tests.support.guarded_api import create_app
from tests.support.issuer import Issuer, issuing
from tests.support.moments import Clock
from tests.support.serving import serving

from service_kit.auth.access import Access


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(issuer: Issuer, clock: Clock) -> Iterator[httpx.Client]:
    with serving(create_app(Access(authenticator(issuer, clock)))) as client:
        yield client
