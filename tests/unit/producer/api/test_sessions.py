"""Logins of browsers: a token for a cookie, what the cookie is good for, and who cannot use it."""

from typing import Any

import pytest

from producer.api.access.authentication import COOKIE
from push_queue.sessions import SESSION_SECONDS
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role, hash_of
from tests.support.api import JOBS, NEW_JOB, Answer, Api
from tests.support.redis_client import Redis
from tests.support.tokens import OWN, PATTERN, TOKENS, bearer, with_tokens

SESSION = "/api/v1/session"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_tokens(settings)


async def log_in(api: Api, role: Role = Role.ENQUEUE, **headers: str) -> Answer:
    return await api.post(SESSION, json={"token": TOKENS[role]}, headers=headers)


def secret_in(answer: Answer) -> str:
    """What stands in the cookie."""
    (cookie,) = answer.headers.getall("Set-Cookie")
    secret: str = cookie.removeprefix(f"{COOKIE}=").partition(";")[0]
    assert secret
    return secret


async def with_cookie(api: Api, role: Role = Role.ENQUEUE) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={secret_in(await log_in(api, role))}"}


async def test_a_token_is_exchanged_for_a_cookie(api: Api, redis: Redis) -> None:
    answer = await log_in(api)
    assert answer.status == 201
    assert answer.body == {"name": "team-enqueue", "role": "enqueue", "targets": [PATTERN]}
    secret = secret_in(answer)
    (cookie,) = answer.headers.getall("Set-Cookie")
    assert set(cookie.split("; ")[1:]) == {
        "HttpOnly",
        f"Max-Age={SESSION_SECONDS}",
        "Path=/",
        "SameSite=Strict",
    }
    assert TOKENS[Role.ENQUEUE] not in cookie
    (key,) = await redis.keys("push:session:*")
    assert key == f"push:session:{hash_of(secret)}".encode()
    assert await redis.get(key) == hash_of(TOKENS[Role.ENQUEUE]).encode()
    assert 0 < await redis.ttl(key) <= SESSION_SECONDS


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
async def test_the_cookie_is_for_tls_alone_where_the_browser_speaks_it(
    api: Api, scheme: str, secure: bool
) -> None:
    answer = await log_in(api, Host="push.example.com", Origin=f"{scheme}://push.example.com")
    assert ("Secure" in answer.headers["Set-Cookie"].split("; ")) is secure


async def test_a_session_may_what_its_token_may(api: Api) -> None:
    job = {**NEW_JOB, "id": "a", "targets": [OWN]}
    for role, status in ((Role.READ, 403), (Role.ENQUEUE, 202)):
        headers = await with_cookie(api, role) | SAME_ORIGIN
        assert (await api.post(JOBS, json=job, headers=headers)).status == status
        assert (await api.get(SESSION, headers=headers)).body["name"] == f"team-{role}"
    answer = await api.get(f"{JOBS}/a", headers=headers)
    assert answer.body["enqueued_by"] == "team-enqueue"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://push.example.com:8080"}, 403),
        ({"Origin": "https://evil.example.com", **SAME_ORIGIN}, 403),
        ({"Origin": "http://push.example.com", "Sec-Fetch-Site": "cross-site"}, 403),
        (SAME_ORIGIN, 200),
        ({"Origin": "http://push.example.com"}, 200),
        ({"Origin": "https://push.example.com"}, 200),
    ],
)
async def test_a_change_with_the_cookie_has_to_come_from_a_page_of_the_server(
    api: Api, headers: dict[str, str], status: int
) -> None:
    await api.post(
        JOBS, json={**NEW_JOB, "id": "a", "targets": [OWN]}, headers=bearer(TOKENS[Role.ADMIN])
    )
    sent = await with_cookie(api) | {"Host": "push.example.com"} | headers
    answers = [
        await api.post(f"{JOBS}/a/cancel", headers=sent),
        await api.ask("DELETE", SESSION, headers=sent),
    ]
    for answer in answers:
        assert answer.status in (status, 204 if status == 200 else status)
        if status == 403:
            assert answer.kind == "other-origin"


async def test_reading_with_the_cookie_needs_no_origin(api: Api) -> None:
    """Browsers send none with it."""
    assert (await api.get(JOBS, headers=await with_cookie(api))).status == 200


async def test_a_program_s_token_counts_alone(api: Api) -> None:
    headers = await with_cookie(api, Role.ADMIN) | bearer(TOKENS[Role.READ])
    assert (await api.get(SESSION, headers=headers)).body["role"] == "read"
    headers = await with_cookie(api, Role.ADMIN) | bearer("unknown")
    assert (await api.get(SESSION, headers=headers)).status == 401


async def test_who_logs_out_is_out(api: Api) -> None:
    headers = await with_cookie(api) | SAME_ORIGIN
    answer = await api.ask("DELETE", SESSION, headers=headers)
    assert (answer.status, answer.body) == (204, None)
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    answer = await api.get(JOBS, headers=headers)
    assert (answer.status, answer.kind) == (401, "session-unknown")
    assert (await api.ask("DELETE", SESSION)).status == 204


@pytest.mark.parametrize("secret", ["x", hash_of("x"), "é", "a" * 4000])
async def test_a_cookie_that_was_made_up_is_none(api: Api, secret: str) -> None:
    answer = await api.get(JOBS, headers={"Cookie": f"{COOKIE}={secret}"})
    assert (answer.status, answer.kind) == (401, "session-unknown")
    assert secret not in answer.problem or secret == "x"


async def test_what_redis_holds_is_no_cookie(api: Api, redis: Redis) -> None:
    await log_in(api)
    (key,) = await redis.keys("push:session:*")
    for secret in (key.decode().rpartition(":")[2], (await redis.get(key) or b"").decode()):
        answer = await api.get(JOBS, headers={"Cookie": f"{COOKIE}={secret}"})
        assert answer.status == 401


async def test_a_session_ends_with_its_token(api: Api, redis: Redis) -> None:
    headers = await with_cookie(api)
    (key,) = await redis.keys("push:session:*")
    await redis.set(key, hash_of("a token that was taken out of the settings"))
    assert (await api.get(JOBS, headers=headers)).status == 401


async def test_a_token_that_is_none_logs_nobody_in(api: Api, redis: Redis) -> None:
    answer = await api.post(SESSION, json={"token": "pq_guessed"})
    assert (answer.status, answer.kind) == (401, "token-unknown")
    assert "pq_guessed" not in answer.problem
    assert "Set-Cookie" not in answer.headers
    assert not await redis.keys("push:session:*")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": ""},
        {"token": 1},
        {"token": "secret-" * 200},
        {"token": "a", "secret-x": 1},
        [],
    ],
)
async def test_a_login_that_makes_no_sense_is_said_without_its_values(api: Api, body: Any) -> None:
    answer = await api.post(SESSION, json=body)
    assert (answer.status, answer.kind) == (400, "invalid-request")
    assert "secret-secret" not in answer.problem


async def test_a_form_logs_nobody_in(api: Api) -> None:
    answer = await api.post(SESSION, data={"token": TOKENS[Role.ADMIN]})
    assert answer.status == 415


async def test_a_page_of_another_origin_logs_nobody_in(api: Api) -> None:
    answer = await log_in(api, Origin="https://evil.example.com")
    assert (answer.status, answer.kind) == (403, "other-origin")
