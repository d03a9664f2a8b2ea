"""Tokens of a real issuer over real sockets: good ones, forged ones, rotated keys, and an issuer that is away."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from tests.support.guarded_api import create_app
from tests.support.issuer import AUDIENCE, Issuer, issuing, rsa_key
from tests.support.moments import Clock
from tests.support.processes import eventually, free_port
from tests.support.serving import serving

from service_kit.auth import oidc
from service_kit.auth.access import Access
from service_kit.auth.oidc import FRESH_SECONDS, LEEWAY_SECONDS, REFETCH_SECONDS, STALE_SECONDS, OidcAuthenticator

SYMMETRIC = "HS256"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def authenticator(issuer: Issuer, clock: Clock, **given: Any) -> OidcAuthenticator:
    return OidcAuthenticator(oidc.Issuer(issuer.url, AUDIENCE, **given), clock)


@pytest.fixture
def api(issuer: Issuer, clock: Clock) -> Iterator[httpx.Client]:
    with serving(create_app(Access(authenticator(issuer, clock)))) as client:
        yield client


def ask(api: httpx.Client, token: str) -> httpx.Response:
    return api.get("/demo/things", headers={"Authorization": f"Bearer {token}"})


def status(api: httpx.Client, token: str) -> int:
    return ask(api, token).status_code


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1", "ed-1"])
def test_a_token_of_the_issuer_is_taken_whatever_its_kind_of_key(api: httpx.Client, issuer: Issuer, kid: str) -> None:
    answer = ask(api, issuer.token(kid))

    assert answer.status_code == 200
    assert (answer.json()["actor"], answer.json()["role"]) == ("oidc:u-1", "viewer")


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": int(time.time()) - LEEWAY_SECONDS - 60}, id="expired"),
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        pytest.param({"iat": int(time.time()) + 3_600}, id="issued in an hour"),
        pytest.param({"nbf": int(time.time()) + 3_600}, id="valid in an hour"),
        {"aud": "somebody-else"},
        {"aud": None},
        {"aud": ["somebody", "else"]},
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
def test_a_token_that_is_not_for_us_or_not_for_now_is_refused(
    api: httpx.Client, issuer: Issuer, claims: dict[str, Any]
) -> None:
    answer = ask(api, issuer.token(**claims))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


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


def test_a_token_that_nobody_signed_is_refused(api: httpx.Client, issuer: Issuer) -> None:
    assert status(api, forged(issuer, "none", None)) == 401


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(api: httpx.Client, issuer: Issuer) -> None:
    public = issuer.keys["rsa-1"][1].public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = public.public_bytes(serialization.Encoding.PEM, form)
    # The library refuses to sign so; a forger would not.
    signer = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    unsigned = forged(issuer, "none", None).rsplit(".", 1)[0]
    header, payload = unsigned.split(".")
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"rsa-1","typ":"JWT"}').decode()
    signature = signer.sign(f"{header}.{payload}".encode(), secret)
    token = f"{header}.{payload}.{jwt.utils.base64url_encode(signature).decode()}"

    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert status(api, token) == 401


def test_an_issuer_that_publishes_a_shared_secret_makes_no_forger_welcome(api: httpx.Client, issuer: Issuer) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    encoded = jwt.utils.base64url_encode(secret).decode()
    published = issuer.published()
    published["keys"].append({"kty": "oct", "kid": "oct-1", "k": encoded, "alg": "HS256"})
    issuer.body = json.dumps(published).encode()

    assert status(api, forged(issuer, SYMMETRIC, secret, "oct-1")) == 401
    assert status(api, issuer.token()) == 200


@pytest.mark.parametrize("algorithm", ["RS512", "PS256"])
def test_other_algorithms_of_the_same_key_are_refused(api: httpx.Client, issuer: Issuer, algorithm: str) -> None:
    assert status(api, forged(issuer, algorithm, issuer.keys["rsa-1"][1])) == 401


def test_a_token_of_another_key_under_a_known_id_is_refused(api: httpx.Client, issuer: Issuer) -> None:
    assert status(api, forged(issuer, "RS256", rsa_key())) == 401


def test_a_key_of_another_kind_under_a_known_id_is_refused(api: httpx.Client, issuer: Issuer) -> None:
    assert status(api, issuer.token("ec-1", sign_as="rsa-1")) == 401


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_key_too_short_to_be_safe_is_refused(api: httpx.Client, issuer: Issuer) -> None:
    issuer.keys["short"] = ("RS256", rsa_key(1_024))

    assert status(api, issuer.token("short")) == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "e30.e30.e30", "srk_0123456789ab_" + "x" * 43])
def test_what_is_no_token_is_refused(api: httpx.Client, token: str) -> None:
    assert status(api, token) == 401


def test_a_changed_token_is_refused(api: httpx.Client, issuer: Issuer) -> None:
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
    def test_who_has_none_is_known_but_may_do_nothing(self, api: httpx.Client, issuer: Issuer, roles: object) -> None:
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


class TestKeys:
    def test_keys_are_fetched_once_for_many_requests(self, api: httpx.Client, issuer: Issuer) -> None:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: status(api, issuer.token()), range(40))) == {200}

        assert issuer.called == ["/.well-known/openid-configuration", "/keys"]

    def test_the_address_of_the_keys_can_be_given(self, issuer: Issuer, clock: Clock) -> None:
        with serving(create_app(Access(authenticator(issuer, clock, jwks_url=f"{issuer.url}/keys")))) as api:
            assert status(api, issuer.token()) == 200

        assert issuer.called == ["/keys"]

    def test_a_key_that_the_issuer_begins_to_use_is_found(
        self, api: httpx.Client, issuer: Issuer, clock: Clock
    ) -> None:
        assert status(api, issuer.token()) == 200
        issuer.keys["rsa-2"] = ("RS256", rsa_key())
        clock.forward(REFETCH_SECONDS)

        assert status(api, issuer.token("rsa-2")) == 200

    def test_a_key_that_the_issuer_withdraws_is_refused_in_time(
        self, api: httpx.Client, issuer: Issuer, clock: Clock
    ) -> None:
        old = issuer.token()
        assert status(api, old) == 200
        del issuer.keys["rsa-1"]

        clock.forward(FRESH_SECONDS)

        assert status(api, old) == 401

    def test_made_up_key_ids_do_not_make_us_pester_the_issuer(
        self, api: httpx.Client, issuer: Issuer, clock: Clock
    ) -> None:
        status(api, issuer.token())
        clock.forward(REFETCH_SECONDS)
        issuer.called.clear()

        for number in range(20):
            assert status(api, issuer.token(f"made-up-{number}", sign_as="rsa-1")) == 401

        assert issuer.called.count("/keys") == 1

    def test_a_token_without_a_key_id_is_taken_when_there_is_one_key(self, issuer: Issuer, clock: Clock) -> None:
        for spare in ("ec-1", "ed-1"):
            del issuer.keys[spare]
        with serving(create_app(Access(authenticator(issuer, clock)))) as api:
            assert status(api, issuer.token(kid=None)) == 200

    def test_with_several_keys_a_token_must_say_which(self, api: httpx.Client, issuer: Issuer) -> None:
        assert status(api, issuer.token(kid=None)) == 401


class TestAway:
    def assert_away(self, answer: httpx.Response) -> None:
        assert answer.status_code == 503, answer.text
        assert answer.json()["detail"] == "the issuer of the tokens cannot be asked for its keys"
        assert int(answer.headers["retry-after"]) > 0

    def test_an_issuer_that_nobody_runs_is_a_503(self, issuer: Issuer, clock: Clock) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        unknown = OidcAuthenticator(oidc.Issuer(nowhere, AUDIENCE), clock)
        with serving(create_app(Access(unknown))) as api:
            self.assert_away(ask(api, issuer.token(iss=nowhere)))
            assert api.get("/healthz").status_code == 200

    @pytest.mark.parametrize(
        "body", [None, b"", b"[]", b"{}", b'{"keys": []}', b"<html>", b'{"keys": [{"kty": "XX"}]}']
    )
    def test_an_issuer_that_answers_nonsense_is_a_503(
        self, api: httpx.Client, issuer: Issuer, body: bytes | None
    ) -> None:
        issuer.away, issuer.body = body is None, body

        self.assert_away(ask(api, issuer.token()))

    @pytest.mark.parametrize("name", ["https://evil.example", "http://127.0.0.1:1"])
    def test_an_issuer_that_calls_itself_otherwise_is_not_believed(
        self, api: httpx.Client, issuer: Issuer, name: str
    ) -> None:
        issuer.claims_to_be = name

        self.assert_away(ask(api, issuer.token()))

    def test_it_is_asked_again_soon_and_then_all_is_well(self, api: httpx.Client, issuer: Issuer, clock: Clock) -> None:
        issuer.away = True
        for _ in range(5):
            self.assert_away(ask(api, issuer.token()))
        assert len(issuer.called) == 1

        issuer.away = False
        clock.forward(REFETCH_SECONDS)

        assert status(api, issuer.token()) == 200

    def test_keys_that_are_known_outlast_an_absence_but_not_for_ever(
        self, api: httpx.Client, issuer: Issuer, clock: Clock
    ) -> None:
        assert status(api, issuer.token()) == 200
        issuer.away = True

        clock.forward(FRESH_SECONDS + 1)
        assert status(api, issuer.token()) == 200
        clock.forward(STALE_SECONDS)
        self.assert_away(ask(api, issuer.token()))

    def test_an_unknown_key_during_an_absence_is_no_forgery_yet(
        self, api: httpx.Client, issuer: Issuer, clock: Clock
    ) -> None:
        assert status(api, issuer.token()) == 200
        issuer.keys["rsa-2"] = ("RS256", rsa_key())
        issuer.away = True
        clock.forward(REFETCH_SECONDS)

        self.assert_away(ask(api, issuer.token("rsa-2")))

    def test_a_slow_issuer_holds_up_nobody_else(self, issuer: Issuer, clock: Clock) -> None:
        issuer.answers.clear()
        with serving(create_app(Access(authenticator(issuer, clock)))) as api, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(status, api, issuer.token())
            eventually(lambda: issuer.called, what="the issuer asked")
            with httpx.Client(base_url=api.base_url) as another:
                assert another.get("/healthz").status_code == 200
            assert not waiting.done()
            issuer.answers.set()
            assert waiting.result() == 200
