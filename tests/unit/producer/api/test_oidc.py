"""Tokens of CI systems: which are taken, what their claims allow, and how keys are read."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from producer import PushQueue
from producer.api.access import issuer_keys, oidc
from producer.api.application import make_application
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role
from push_queue.settings.oidc_issuers import OidcIssuer as IssuerSettings
from push_queue.settings.oidc_issuers import OidcRule
from tests.support.api import JOBS, NEW_JOB, Answer, Api
from tests.support.oidc_issuer import AUDIENCE, OidcIssuer, rsa_key
from tests.support.tokens import FOREIGN, OWN, PATTERN, TOKENS, bearer, with_tokens

SESSION = "/api/v1/session"
DISCOVERY = "/.well-known/openid-configuration"
NAME = "ci:repo:acme/app:ref:refs/heads/main"


class Clock:
    """The time of the cached keys."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(issuer_keys, "monotonic", clock)
    return clock


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    async with OidcIssuer() as issuer:
        yield issuer


@pytest.fixture
def settings(settings: Settings, issuer: OidcIssuer) -> Settings:
    rules = (
        OidcRule(role=Role.ENQUEUE, targets=(PATTERN,), claims={"repository": "acme/app"}),
        OidcRule(role=Role.READ, targets=("*/*",), claims={"repository": "acme/*", "n": "7"}),
        OidcRule(role=Role.ADMIN, claims={"protected": "true"}),
    )
    ci = IssuerSettings(issuer=issuer.url, audience=AUDIENCE, rules=rules)
    return with_tokens(settings).model_copy(update={"api_oidc": {"ci": ci}})


@pytest.fixture
async def api(queue: PushQueue, settings: Settings, clock: Clock) -> AsyncIterator[Api]:
    async with TestClient(TestServer(make_application(queue, settings))) as client:
        yield Api(client)


async def who(api: Api, token: str) -> Answer:
    return await api.get(SESSION, headers=bearer(token))


async def refused(api: Api, token: str) -> str:
    """What is said of a token that nobody is taken for, without a word of it."""
    answer = await who(api, token)
    assert (answer.status, answer.kind) == (401, "token-invalid"), answer.body
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    for part in token.split("."):
        assert not part or part not in json.dumps(answer.body)
    return answer.problem


def part(value: object) -> str:
    text = json.dumps(value).encode() if not isinstance(value, bytes) else value
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


async def test_a_token_is_its_subject_and_may_what_its_rule_says(
    api: Api, issuer: OidcIssuer
) -> None:
    answer = await who(api, issuer.token())
    assert answer.body == {"name": NAME, "role": "enqueue", "targets": [PATTERN]}
    headers = bearer(issuer.token())
    job = {**NEW_JOB, "id": "a", "targets": [OWN]}
    assert (await api.post(JOBS, json=job, headers=headers)).body["enqueued_by"] == NAME
    answer = await api.post(JOBS, json={**NEW_JOB, "targets": [FOREIGN]}, headers=headers)
    assert (answer.status, answer.kind) == (403, "target-not-allowed")


async def test_tokens_of_the_settings_are_good_beside_them(api: Api, issuer: OidcIssuer) -> None:
    assert (await who(api, TOKENS[Role.READ])).body["name"] == "team-read"
    assert issuer.asked == []


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"repository": "acme/other", "n": 7}, "read"),
        ({"repository": "acme/other", "n": "7"}, "read"),
        ({"repository": "acme/other", "protected": True}, "admin"),
        ({"repository": "acme/app", "protected": True}, "enqueue"),
        ({"repository": "acme/other", "n": 8}, None),
        ({"repository": "acme/other"}, None),
        ({"repository": "evil/acme/app"}, None),
        ({"repository": "acme/app2"}, None),
        ({"repository": "ACME/app"}, None),
        ({"repository": ["acme/app"]}, None),
        ({"repository": {"acme/app": 1}}, None),
        ({"repository": None}, None),
        ({"repository": ""}, None),
        ({"repository": "other", "protected": "True"}, None),
    ],
)
async def test_the_first_rule_that_fits_counts(
    api: Api, issuer: OidcIssuer, claims: dict[str, Any], role: str | None
) -> None:
    answer = await who(api, issuer.token(**claims))
    if role:
        assert answer.body["role"] == role
    else:
        assert (answer.status, answer.kind) == (403, "claims-not-allowed")


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": "https://other.example.com"}, AUDIENCE),
        ({"aud": [AUDIENCE + "/"]}, AUDIENCE),
        ({"aud": None}, "lacks"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "lacks"),
        ({"exp": "never"}, ""),
        ({"iat": None}, "lacks"),
        ({"nbf": 2**40}, "not valid yet"),
        ({"iat": 2**40}, "not valid yet"),
        ({"sub": None}, "lacks"),
        ({"sub": 7}, ""),
        ({"sub": "a\nb"}, "subject"),
        ({"sub": "a" * 300}, "subject"),
        ({"iss": "https://other.example.com"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": ["a"]}, "issuer"),
    ],
)
async def test_claims_that_are_not_right(
    api: Api, issuer: OidcIssuer, claims: dict[str, Any], said: str
) -> None:
    # PyJWT makes no token with such an issuer or subject, so the parts are put together here.
    signed = jwt.PyJWS().encode(
        json.dumps(issuer.claims(**claims)).encode(),
        issuer.keys["k1"],
        "RS256",
        headers={"kid": "k1"},
    )
    assert said in await refused(api, signed)


@pytest.mark.parametrize(
    ("seconds", "good"), [(3000, True), (9000, False)], ids=["within the leeway", "beyond it"]
)
async def test_clocks_may_be_off(
    api: Api, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch, seconds: int, good: bool
) -> None:
    monkeypatch.setattr(oidc, "LEEWAY_SECONDS", 6000)
    now = issuer.claims()["iat"]
    for claims in ({"exp": now - seconds}, {"nbf": now + seconds}):
        assert ((await who(api, issuer.token(**claims))).status == 200) is good


async def test_no_signature_is_none(api: Api, issuer: OidcIssuer) -> None:
    claims = part(issuer.claims())
    for algorithm in ("none", "None", "NONE", ""):
        header = part({"alg": algorithm, "kid": "k1", "typ": "JWT"})
        await refused(api, f"{header}.{claims}.")
        await refused(api, f"{header}.{claims}.{part(b'x')}")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_the_public_key_is_no_secret_to_sign_with(
    api: Api, issuer: OidcIssuer, algorithm: str
) -> None:
    public = rsa_key().public_key()
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    signed = f"{part({'alg': algorithm, 'kid': 'k1'})}.{part(issuer.claims())}"
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        issuer.key_set()["keys"][0]["n"].encode(),
        b"",
    ):
        signature = hmac.new(secret, signed.encode(), digest).digest()
        await refused(api, f"{signed}.{part(signature)}")


async def test_a_key_is_good_for_its_algorithm_alone(api: Api, issuer: OidcIssuer) -> None:
    for algorithm in ("RS512", "PS256"):
        await refused(api, jwt.encode(issuer.claims(), rsa_key(), algorithm, headers={"kid": "k1"}))


async def test_a_shared_secret_among_the_keys_is_none(api: Api, issuer: OidcIssuer) -> None:
    secret = b"s" * 64
    shared = {"kty": "oct", "k": part(secret), "kid": "shared", "use": "sig", "alg": "HS256"}
    issuer.says["/keys"] = web.json_response({"keys": [shared, *issuer.key_set()["keys"]]})
    assert (await who(api, issuer.token())).status == 200
    await refused(api, jwt.encode(issuer.claims(), secret, "HS256", headers={"kid": "shared"}))


async def test_the_token_s_own_key_is_not_taken(api: Api, issuer: OidcIssuer) -> None:
    other = rsa_key("other")
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key()))
    for headers in (
        {"kid": "k1"},
        {"kid": "k1", "jwk": public},
        {"kid": "k1", "jku": f"{issuer.url}/other"},
        {"kid": "k1", "x5u": f"{issuer.url}/other"},
    ):
        await refused(api, jwt.encode(issuer.claims(), other, "RS256", headers=headers))
    assert "/other" not in issuer.asked


async def test_claims_cannot_be_changed(api: Api, issuer: OidcIssuer) -> None:
    header, _, signature = issuer.token(repository="evil/app").split(".")
    await refused(api, f"{header}.{part(issuer.claims())}.{signature}")


@pytest.mark.parametrize(
    "token",
    [
        "..",
        "a.b.c",
        f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part(b'[' * 4000)}.x",
        f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part([1])}.x",
        f"{part({'alg': 'RS256', 'kid': 1})}.{part({})}.x",
        f"{part({'alg': 'RS256'})}.{part({})}.x",
        f"{part([])}.{part({})}.x",
        f"{part({'alg': 'RS256', 'kid': 'k1', 'crit': ['b64'], 'b64': False})}..x",
        "é.é.é",
    ],
)
async def test_what_is_no_token_is_refused_without_asking_anybody(
    api: Api, issuer: OidcIssuer, token: str
) -> None:
    answer = await who(api, token)
    assert (answer.status, answer.kind) == (401, "token-invalid")
    assert issuer.asked == []


async def test_elliptic_curves_are_good_too(api: Api, issuer: OidcIssuer) -> None:
    issuer.keys["ec"] = ec.generate_private_key(ec.SECP256R1())
    assert (await who(api, issuer.token("ec"))).status == 200


# Keys


async def test_keys_are_read_once_for_many_tokens(api: Api, issuer: OidcIssuer) -> None:
    for _ in range(3):
        assert (await who(api, issuer.token())).status == 200
    assert issuer.asked == [DISCOVERY, "/keys"]


async def test_keys_are_read_once_for_tokens_that_come_together(
    api: Api, issuer: OidcIssuer
) -> None:
    answers = await asyncio.gather(*(who(api, issuer.token()) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert issuer.asked == [DISCOVERY, "/keys"]


async def test_a_new_key_is_read_when_it_is_first_used(
    api: Api, issuer: OidcIssuer, clock: Clock
) -> None:
    await who(api, issuer.token())
    clock.now += issuer_keys.PAUSE_SECONDS
    issuer.keys["k2"] = rsa_key("k2")
    assert (await who(api, issuer.token("k2"))).status == 200
    assert issuer.asked.count("/keys") == 2


async def test_made_up_keys_have_the_issuer_asked_seldom(
    api: Api, issuer: OidcIssuer, clock: Clock
) -> None:
    def made_up(number: int) -> str:
        return jwt.encode(
            issuer.claims(), rsa_key("other"), "RS256", headers={"kid": f"made-up-{number}"}
        )

    for number in range(20):
        assert "key" in await refused(api, made_up(number))
    assert issuer.asked.count("/keys") == 1
    clock.now += issuer_keys.PAUSE_SECONDS
    for number in range(20):
        await refused(api, made_up(number))
    assert issuer.asked.count("/keys") == 2
    assert (await who(api, issuer.token())).status == 200


async def test_a_key_that_was_withdrawn_does_not_stay(
    api: Api, issuer: OidcIssuer, clock: Clock
) -> None:
    token = issuer.token()
    assert (await who(api, token)).status == 200
    issuer.keys = {"k2": rsa_key("k2")}
    clock.now += issuer_keys.FRESH_SECONDS + 1
    await refused(api, token)


WRONG_ANSWERS = [
    (DISCOVERY, lambda: web.Response(status=500)),
    (DISCOVERY, lambda: web.Response(text="<html>")),
    (DISCOVERY, lambda: web.json_response({"issuer": "https://other", "jwks_uri": "https://x/k"})),
    (DISCOVERY, lambda: web.json_response({"issuer": "", "jwks_uri": "file:///etc/passwd"})),
    ("/keys", lambda: web.Response(status=404)),
    ("/keys", lambda: web.Response(text="[]")),
    ("/keys", lambda: web.Response(body=b" " * (issuer_keys._MOST_BYTES + 1))),
]


@pytest.mark.parametrize(("path", "answer"), WRONG_ANSWERS)
async def test_an_issuer_that_cannot_be_asked_is_tried_again(
    api: Api, issuer: OidcIssuer, clock: Clock, path: str, answer: Any
) -> None:
    issuer.says[path] = answer()
    for _ in range(3):
        found = await who(api, issuer.token())
        assert (found.status, found.kind) == (503, "issuer-unavailable")
        assert "Retry-After" in found.headers
    assert issuer.asked.count(path) == 1
    clock.now += issuer_keys._PAUSE_AFTER_FAILURE_SECONDS
    assert (await who(api, issuer.token())).status == 200


async def test_an_issuer_cannot_send_the_server_elsewhere(api: Api, issuer: OidcIssuer) -> None:
    issuer.says[DISCOVERY] = web.Response(status=302, headers={"Location": "/moved"})
    right = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
    issuer.says["/moved"] = web.json_response(right)
    assert (await who(api, issuer.token())).status == 503
    assert issuer.asked == [DISCOVERY]


async def test_known_keys_are_good_for_a_day_while_the_issuer_is_away(
    api: Api, issuer: OidcIssuer, clock: Clock
) -> None:
    await who(api, issuer.token())
    token = issuer.token()
    await issuer.__aexit__(None, None, None)
    clock.now += issuer_keys.STALE_SECONDS
    assert (await who(api, token)).status == 200
    clock.now += 1
    assert (await who(api, token)).status == 503
    await issuer.__aenter__()


async def test_an_issuer_that_does_not_answer_keeps_one_request_waiting(
    api: Api, issuer: OidcIssuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token()
    assert (await who(api, token)).status == 200
    asked, gave_up = asyncio.Event(), asyncio.Event()

    async def silent(_: str) -> Any:
        asked.set()
        await gave_up.wait()
        raise issuer_keys.IssuerUnavailableError("no answer")

    monkeypatch.setattr(issuer_keys, "_read_keys", silent)
    clock.now += issuer_keys.FRESH_SECONDS + 1
    first = asyncio.create_task(who(api, token))
    async with asyncio.timeout(60):
        await asked.wait()
        assert (await who(api, token)).status == 200
        gave_up.set()
        assert (await first).status == 200


async def test_keys_that_make_no_sense_cost_the_others_nothing(
    api: Api, issuer: OidcIssuer
) -> None:
    broken: list[dict[str, Any]] = [
        {},
        {"kid": "a"},
        {"kid": "a", "kty": "RSA"},
        {"kid": "a", "kty": "RSA", "n": "!", "e": "!"},
        {"kid": 7, "kty": "RSA"},
        {"kid": "a", "kty": "EC", "crv": "P-999"},
        {"kid": "a", "kty": ["RSA"]},
        {**issuer.key_set()["keys"][0], "use": "enc", "kid": "encrypts"},
    ]
    issuer.says["/keys"] = web.json_response({"keys": [*broken, *issuer.key_set()["keys"]]})
    assert (await who(api, issuer.token())).status == 200
    encrypts = jwt.encode(issuer.claims(), rsa_key(), "RS256", headers={"kid": "encrypts"})
    await refused(api, encrypts)


async def test_without_tokens_of_its_own_a_server_is_not_open(
    queue: PushQueue, settings: Settings, issuer: OidcIssuer
) -> None:
    alone = settings.model_copy(update={"api_tokens": {}})
    async with TestClient(TestServer(make_application(queue, alone))) as client:
        api = Api(client)
        assert (await api.get(JOBS)).status == 401
        assert (await who(api, "pq_any")).status == 401
        assert (await who(api, issuer.token())).status == 200
