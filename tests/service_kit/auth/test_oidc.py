"""Tokens of a real issuer over real sockets: good ones, forged ones, and the roles that they name."""

import json
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from tests.service_kit.auth.tokens import ask, authenticator, status
from tests.support.guarded_api import create_app
from tests.support.issuer import AUDIENCE, Issuer, rsa_key
from tests.support.moments import Clock
from tests.support.serving import serving

from service_kit.auth.access import Access
from service_kit.auth.oidc import LEEWAY_SECONDS

SYMMETRIC = "HS256"


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1", "ed-1"])
def test_a_token_of_the_issuer_is_accepted_with_every_kind_of_key(api: httpx.Client, issuer: Issuer, kid: str) -> None:
    response = ask(api, issuer.token(kid))

    assert response.status_code == 200
    assert (response.json()["actor"], response.json()["role"]) == ("oidc:u-1", "viewer")


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": int(time.time()) - LEEWAY_SECONDS - 60}, id="expired"),
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        pytest.param({"iat": int(time.time()) + 3_600}, id="issued in an hour"),
        pytest.param({"nbf": int(time.time()) + 3_600}, id="valid in an hour"),
        {"aud": "another-service"},
        {"aud": None},
        {"aud": ["another", "service"]},
        {"iss": "https://id.example"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a b"},
        {"sub": "größer"},
        {"sub": "x" * 256},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_or_not_for_now_is_rejected(
    api: httpx.Client, issuer: Issuer, claims: dict[str, Any]
) -> None:
    response = ask(api, issuer.token(**claims))

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_clocks_may_differ_a_little(api: httpx.Client, issuer: Issuer) -> None:
    now = int(time.time())

    assert status(api, issuer.token(exp=now - 10)) == 200
    assert status(api, issuer.token(iat=now + 10, nbf=now + 10)) == 200


def test_one_audience_among_several_is_enough(api: httpx.Client, issuer: Issuer) -> None:
    assert status(api, issuer.token(aud=["other", AUDIENCE])) == 200


def forged(issuer: Issuer, algorithm: str, key: Any, kid: str = "rsa-1") -> str:
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "u-1", "iat": now, "exp": now + 300, "roles": ["admin"]}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid})


def test_an_unsigned_token_is_rejected(api: httpx.Client, issuer: Issuer) -> None:
    assert status(api, forged(issuer, "none", None)) == 401


def test_a_token_signed_with_the_public_key_as_a_secret_is_rejected(api: httpx.Client, issuer: Issuer) -> None:
    public = issuer.keys["rsa-1"][1].public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = public.public_bytes(serialization.Encoding.PEM, form)
    # The library refuses to sign like this; an attacker would not.
    signer = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    unsigned = forged(issuer, "none", None).rsplit(".", 1)[0]
    header, payload = unsigned.split(".")
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"rsa-1","typ":"JWT"}').decode()
    signature = signer.sign(f"{header}.{payload}".encode(), secret)
    token = f"{header}.{payload}.{jwt.utils.base64url_encode(signature).decode()}"

    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert status(api, token) == 401


def test_a_shared_secret_among_the_published_keys_signs_nothing(api: httpx.Client, issuer: Issuer) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    encoded = jwt.utils.base64url_encode(secret).decode()
    published = issuer.published()
    published["keys"].append({"kty": "oct", "kid": "oct-1", "k": encoded, "alg": "HS256"})
    issuer.body = json.dumps(published).encode()

    assert status(api, forged(issuer, SYMMETRIC, secret, "oct-1")) == 401
    assert status(api, issuer.token()) == 200


@pytest.mark.parametrize("algorithm", ["RS512", "PS256"])
def test_other_algorithms_of_the_same_key_are_rejected(api: httpx.Client, issuer: Issuer, algorithm: str) -> None:
    assert status(api, forged(issuer, algorithm, issuer.keys["rsa-1"][1])) == 401


def test_a_token_of_another_key_under_a_known_id_is_rejected(api: httpx.Client, issuer: Issuer) -> None:
    assert status(api, forged(issuer, "RS256", rsa_key())) == 401


def test_a_key_of_another_kind_under_a_known_id_is_rejected(api: httpx.Client, issuer: Issuer) -> None:
    assert status(api, issuer.token("ec-1", sign_as="rsa-1")) == 401


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_key_too_short_to_be_safe_is_rejected(api: httpx.Client, issuer: Issuer) -> None:
    issuer.keys["short"] = ("RS256", rsa_key(1_024))

    assert status(api, issuer.token("short")) == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "e30.e30.e30", "srk_0123456789ab_" + "x" * 43])
def test_what_is_not_a_token_is_rejected(api: httpx.Client, token: str) -> None:
    assert status(api, token) == 401


def test_a_changed_token_is_rejected(api: httpx.Client, issuer: Issuer) -> None:
    header, _, signature = issuer.token().split(".")
    _, payload, _ = issuer.token(roles=["admin"]).split(".")

    assert status(api, f"{header}.{payload}.{signature}") == 401


class TestRoles:
    @pytest.mark.parametrize(
        ("roles", "role"),
        [
            (["viewer"], "viewer"),
            (["viewer", "admin", "operator"], "admin"),
            (["something", "approver"], "approver"),
            ("operator", "operator"),
            ("openid operator viewer", "operator"),
        ],
    )
    def test_the_highest_role_counts(self, api: httpx.Client, issuer: Issuer, roles: object, role: str) -> None:
        assert ask(api, issuer.token(roles=roles)).json()["role"] == role

    @pytest.mark.parametrize("roles", [None, [], "", "Admin", ["ADMIN"], {"admin": True}, 7, [7, None], [["admin"]]])
    def test_without_a_role_a_caller_may_do_nothing(self, api: httpx.Client, issuer: Issuer, roles: object) -> None:
        assert status(api, issuer.token(roles=roles)) == 403

    @pytest.mark.parametrize(
        ("claim", "claims"),
        [
            ("groups", {"groups": ["viewer"]}),
            ("realm_access.roles", {"realm_access": {"roles": ["viewer"]}}),
            ("https://example.com/roles", {"https://example.com/roles": ["viewer"]}),
        ],
    )
    def test_the_claim_can_be_named(self, issuer: Issuer, clock: Clock, claim: str, claims: dict[str, Any]) -> None:
        with serving(create_app(Access(authenticator(issuer, clock, role_claim=claim)))) as api:
            assert status(api, issuer.token(roles=None, **claims)) == 200
            assert status(api, issuer.token(roles=["admin"])) == 403
            assert status(api, issuer.token(roles=None, realm_access="viewer")) == 403
