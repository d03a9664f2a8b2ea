"""Sending tokens of an issuer to the guarded API."""

from typing import Any

import httpx
from tests.support.issuer import AUDIENCE, Issuer
from tests.support.moments import Clock

from service_kit.auth import oidc
from service_kit.auth.oidc import OidcAuthenticator


def authenticator(issuer: Issuer, clock: Clock, **given: Any) -> OidcAuthenticator:
    return OidcAuthenticator(oidc.Issuer(issuer.url, AUDIENCE, **given), clock)


def ask(api: httpx.Client, token: str) -> httpx.Response:
    return api.get("/demo/things", headers={"Authorization": f"Bearer {token}"})


def status(api: httpx.Client, token: str) -> int:
    return ask(api, token).status_code
