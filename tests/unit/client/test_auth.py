"""When an authorization is fetched, kept, renewed and dropped; with scripted token servers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from registry_api_v2_client.auth import authenticator as authenticator_module
from registry_api_v2_client.auth.authenticator import Authenticator
from registry_api_v2_client.auth.challenge import Challenge
from registry_api_v2_client.auth.credential_store import CredentialStore
from registry_api_v2_client.auth.credentials import Credentials, SecretKind
from registry_api_v2_client.auth.tokens import Token, TokenServer, merge_scopes
from registry_api_v2_client.exceptions import CredentialsError

REGISTRY = URL("https://registry.example.com")
OTHER = URL("https://other.example.com")
PULL, PUSH = "repository:app:pull", "repository:app:pull,push"
BEARER = 'Bearer realm="https://auth.example.com/token"'
BASIC = 'Basic realm="x"'
ALICE = Credentials("alice", "wonderland")


@dataclass
class Tokens:
    """Replaces all token servers: issues `t1`, `t2`, … to all but the `refused`."""

    lifetime: float = 100
    refused: Credentials | None = None
    asked: list[list[str]] = field(default_factory=list)

    async def fetch(
        self,
        registry: URL,
        challenge: Challenge,
        scopes: Sequence[str],
        credentials: Credentials | None,
    ) -> Token:
        self.asked.append(list(scopes))
        await asyncio.sleep(0)
        if self.refused and credentials == self.refused:
            raise CredentialsError("refused")
        return Token(f"t{len(self.asked)}", self.lifetime)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


def authenticator(tokens: Tokens, who: Credentials | None = ALICE) -> Authenticator:
    given = {REGISTRY.host or "": who} if who else {}
    return Authenticator(CredentialStore(given), cast(TokenServer, tokens))


async def header(auth: Authenticator, scope: str = PULL, registry: URL = REGISTRY) -> str | None:
    found = await auth.authorization(registry, scope)
    return found.header if found else None


async def challenged(
    auth: Authenticator, challenge: str = BEARER, scope: str = PULL, *, again: bool = False
) -> bool:
    """A request that is refused."""
    sent = await auth.authorization(REGISTRY, scope)
    return await auth.renew(REGISTRY, scope, challenge, sent, again=again)


async def test_nothing_is_sent_before_a_registry_asks() -> None:
    assert await header(authenticator(Tokens())) is None


async def test_a_token_serves_its_scope_and_others_get_theirs_unasked() -> None:
    tokens = Tokens()
    auth = authenticator(tokens)
    assert await challenged(auth)
    assert [await header(auth) for _ in range(3)] == ["Bearer t1"] * 3
    assert await header(auth, PUSH) == "Bearer t2"
    assert tokens.asked == [[PULL], [PUSH]]
    assert await header(auth, registry=OTHER) is None


async def test_a_token_is_renewed_when_a_fifth_of_its_life_is_left(clock: Clock) -> None:
    auth = authenticator(Tokens(lifetime=100))
    await challenged(auth)
    clock.now += 79
    assert await header(auth) == "Bearer t1"
    clock.now += 2
    assert await header(auth) == "Bearer t2"


async def test_what_a_challenge_wants_is_asked_for_as_well_and_again(clock: Clock) -> None:
    tokens = Tokens()
    auth = authenticator(tokens)
    await challenged(auth, f'{BEARER},scope="repository:app:pull,push repository:base:pull"')
    clock.now += 1000
    await header(auth)
    assert tokens.asked == [[PUSH, "repository:base:pull"]] * 2
    await header(auth, "repository:third:pull")
    assert tokens.asked[-1] == ["repository:third:pull"]


async def test_many_requests_share_one_renewal(clock: Clock) -> None:
    tokens = Tokens()
    auth = authenticator(tokens)
    await challenged(auth)
    clock.now += 1000
    assert set(await asyncio.gather(*(header(auth) for _ in range(8)))) == {"Bearer t2"}
    sent = await auth.authorization(REGISTRY, PULL)
    renewals = (auth.renew(REGISTRY, PULL, BEARER, sent, again=False) for _ in range(8))
    assert all(await asyncio.gather(*renewals))
    assert await header(auth) == "Bearer t3"
    assert len(tokens.asked) == 3


async def test_a_token_that_allows_too_little_is_not_got_twice() -> None:
    tokens = Tokens()
    auth = authenticator(tokens)
    too_little = f'{BEARER},error="insufficient_scope"'
    assert await challenged(auth, too_little)
    assert not await challenged(auth, too_little, again=True)
    assert await challenged(auth, f'{BEARER},error="invalid_token"', again=True)


async def test_a_password_is_sent_until_it_is_refused() -> None:
    auth = authenticator(Tokens())
    assert await challenged(auth, BASIC)
    sent = await header(auth)
    assert sent == "Basic YWxpY2U6d29uZGVybGFuZA=="
    assert await header(auth, PUSH) == sent
    assert not await challenged(auth, BASIC)


async def test_nobody_answers_a_registry_that_wants_a_password() -> None:
    auth = authenticator(Tokens(), None)
    assert not await challenged(auth, BASIC)
    assert await header(auth) is None


async def test_everybody_may_ask_for_a_token() -> None:
    auth = authenticator(Tokens(), None)
    assert await challenged(auth)
    found = await auth.authorization(REGISTRY, PULL)
    assert found
    assert (found.header, found.anonymous) == ("Bearer t1", True)


@pytest.mark.parametrize("challenge", [BEARER, BASIC])
async def test_a_registry_token_goes_as_it_is(challenge: str) -> None:
    tokens = Tokens()
    auth = authenticator(tokens, Credentials("", "let-me-in", SecretKind.REGISTRY_TOKEN))
    assert await challenged(auth, challenge)
    assert await header(auth) == "Bearer let-me-in"
    assert tokens.asked == []
    assert not await challenged(auth, challenge)


@pytest.mark.parametrize("challenge", ["", "Negotiate", "Digest realm=x", '"', ","])
async def test_what_we_do_not_speak_is_not_answered(challenge: str) -> None:
    assert not await challenged(authenticator(Tokens()), challenge)


async def test_a_token_is_better_than_a_password() -> None:
    auth = authenticator(Tokens())
    assert await challenged(auth, f"{BASIC}, {BEARER}")
    assert await header(auth) == "Bearer t1"


async def test_credentials_that_are_refused_twice_are_an_error() -> None:
    tokens = Tokens(refused=ALICE)
    with pytest.raises(CredentialsError):
        await challenged(authenticator(tokens))
    assert len(tokens.asked) == 1


async def test_authorizations_are_bounded_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator_module, "_MOST_PLACES", 2)
    tokens = Tokens()
    authenticated = authenticator(tokens)
    await challenged(authenticated)
    for name in "abc":
        await header(authenticated, f"repository:{name}:pull")
    assert await header(authenticated) == "Bearer t5"
    assert "t5" not in repr(await authenticated.authorization(REGISTRY, PULL))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([""], []),
        ([PULL], [PULL]),
        ([PULL, PUSH], [PUSH]),
        ([PUSH, PULL], [PUSH]),
        ([f"{PUSH} repository:b:pull", "repository:b:push"], [PUSH, "repository:b:pull,push"]),
        (["registry:catalog:*", "registry:catalog:*"], ["registry:catalog:*"]),
        (["repository:host:5000/a:pull"], ["repository:host:5000/a:pull"]),
        (["odd even", "odd"], ["odd", "even"]),
    ],
)
def test_scopes_are_merged(texts: list[str], expected: list[str]) -> None:
    assert merge_scopes(texts) == expected


@given(st.lists(st.text(alphabet="ab:, *", max_size=12), max_size=5))
def test_merging_scopes_is_idempotent(texts: list[str]) -> None:
    merged = merge_scopes(texts)
    assert merge_scopes(merged) == merged
