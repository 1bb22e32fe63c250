"""Whose credentials go where, and what credential helpers are asked."""

import asyncio
import base64
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from registry_api_v2_client.auth.credential_helpers import CredentialHelpers
from registry_api_v2_client.auth.credential_store import CredentialStore
from registry_api_v2_client.auth.credentials import Credentials, SecretKind
from registry_api_v2_client.auth.login_files import LoginFile
from registry_api_v2_client.exceptions import CredentialsError
from tests.support.credential_helper import CredentialHelper, in_path
from tests.support.processes import HANG_SECONDS
from tests.support.waiting import becomes

ALICE = Credentials("alice", "wonderland")
BOB = Credentials("bob", "builder")
CAROL = Credentials("carol", "singer")


def auths(**logins: Credentials) -> dict[str, dict[str, str]]:
    return {
        key.replace("_", "/"): {
            "auth": base64.b64encode(f"{who.username}:{who.password}".encode()).decode()
        }
        for key, who in logins.items()
    }


def login_file(path: Path, document: object) -> LoginFile:
    path.write_text(json.dumps(document))
    return LoginFile(path)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CredentialHelper:
    return CredentialHelper(in_path(tmp_path, monkeypatch), "test")


@pytest.fixture
def store(tmp_path: Path, helper: CredentialHelper) -> CredentialStore:
    """All registries' secrets are with the helper."""
    file = login_file(tmp_path / "config.json", {"credsStore": helper.name})
    return CredentialStore(files=[file], helpers=CredentialHelpers(patience=HANG_SECONDS))


async def test_another_port_is_another_registry() -> None:
    store = CredentialStore({"localhost:5000": ALICE})
    assert await store.find("localhost:5000") == ALICE
    assert await store.find("localhost:5001") is None
    assert await store.find("localhost") is None


async def test_the_first_place_that_knows_a_registry_wins(tmp_path: Path) -> None:
    first = login_file(tmp_path / "1", {"auths": auths(a=BOB, b=BOB)})
    second = login_file(tmp_path / "2", {"auths": auths(a=CAROL, b=CAROL, c=CAROL)})
    store = CredentialStore({"a": ALICE}, [first, second])
    assert [await store.find(host) for host in "abcd"] == [ALICE, BOB, CAROL, None]


async def test_the_longest_name_wins(tmp_path: Path) -> None:
    file = login_file(tmp_path / "auth.json", {"auths": auths(h=ALICE, h_t=BOB, h_t_app=CAROL)})
    store = CredentialStore(files=[file])
    assert await store.find("h", "t/app") == CAROL
    assert await store.find("h", "t/application") == BOB
    assert await store.find("h", "other/app") == ALICE
    assert await store.find("h") == ALICE


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
async def test_docker_hub_has_many_names(host: str, tmp_path: Path) -> None:
    document = {"auths": {"https://index.docker.io/v1/": auths(x=ALICE)["x"]}}
    store = CredentialStore(files=[login_file(tmp_path / "config.json", document)])
    assert await store.find(host, "library/app") == ALICE
    assert await CredentialStore({host: BOB}).find("registry-1.docker.io") == BOB


async def test_a_helper_is_told_the_server(
    helper: CredentialHelper, store: CredentialStore
) -> None:
    helper.keep({"reg:5000": ("alice", "wonderland"), "https://index.docker.io/v1/": ("bob", "x")})
    assert await store.find("reg:5000", "team/app") == ALICE
    assert await store.find("registry-1.docker.io") == Credentials("bob", "x")
    assert helper.calls == ["get reg:5000", "get https://index.docker.io/v1/"]


async def test_a_registry_s_own_helper_comes_before_the_general_one(
    tmp_path: Path, helper: CredentialHelper
) -> None:
    helper.keep({"own": ("alice", "wonderland")})
    document = {"credHelpers": {"own": helper.name}, "credsStore": "none", "auths": auths(own=BOB)}
    store = CredentialStore(files=[login_file(tmp_path / "config.json", document)])
    assert await store.find("own") == ALICE


async def test_what_a_helper_does_not_know_may_be_elsewhere(
    tmp_path: Path, helper: CredentialHelper
) -> None:
    document = {"credsStore": helper.name, "auths": auths(a=BOB)}
    store = CredentialStore(files=[login_file(tmp_path / "config.json", document)])
    assert await store.find("a") == BOB
    assert await store.find("b") is None


async def test_a_helper_may_give_an_identity_token(
    helper: CredentialHelper, store: CredentialStore
) -> None:
    helper.keep({"reg": ("<token>", "refresh-me")})
    found = await store.find("reg")
    assert found == Credentials("<token>", "refresh-me", SecretKind.IDENTITY_TOKEN)


async def test_a_helper_s_answer_serves_until_it_is_refused(
    helper: CredentialHelper, store: CredentialStore
) -> None:
    helper.keep({"reg": ("alice", "wonderland")})
    assert set(await asyncio.gather(*(store.find("reg", name) for name in "abc"))) == {ALICE}
    helper.keep({"reg": ("bob", "builder")})
    assert await store.find("reg") == ALICE
    assert len(helper.calls) == 1
    assert await store.find("reg", refresh=True) == BOB


async def test_a_login_that_was_missing_is_seen_at_once(
    helper: CredentialHelper, store: CredentialStore
) -> None:
    assert await store.find("reg") is None
    helper.keep({"reg": ("alice", "wonderland")})
    assert await store.find("reg") == ALICE


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("#!/bin/sh\necho wonderland; echo wonderland >&2; exit 3", "failed with exit status 3"),
        ("#!/bin/sh\necho wonderland", "answered without Username and Secret"),
        ('#!/bin/sh\necho \'{"Secret": "wonderland"}\'', "answered without Username and Secret"),
        ("#!/no/such/shell", "cannot be run: No such file or directory; install it"),
    ],
)
async def test_a_helper_that_fails_is_named_and_not_quoted(
    program: str, reason: str, helper: CredentialHelper, store: CredentialStore
) -> None:
    helper.write(program)
    with pytest.raises(CredentialsError, match=f"reg: docker-credential-test.* {reason}") as caught:
        await store.find("reg")
    assert "wonderland" not in str(caught.value)


async def test_a_helper_that_is_not_there(tmp_path: Path) -> None:
    store = CredentialStore(files=[login_file(tmp_path / "c", {"credsStore": "no-such-helper"})])
    with pytest.raises(CredentialsError, match=r"docker-credential-no-such-helper.*No such file"):
        await store.find("reg")


async def test_a_helper_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, helper: CredentialHelper
) -> None:
    """All of them hold the pipe, and it may be that none had the time to be started."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    helper.write(f"#!/bin/sh\nexec 3>{pipe}\nsleep 1000 &\nwait")
    file = login_file(tmp_path / "config.json", {"credsStore": helper.name})
    store = CredentialStore(files=[file], helpers=CredentialHelpers(patience=0.5))
    with pytest.raises(CredentialsError, match=r"did not answer within 0\.5 seconds"):
        await store.find("reg")

    async def all_ended() -> bool:
        with suppress(BlockingIOError):
            return os.read(reader, 1) == b""
        return False

    await becomes(all_ended)
    os.close(reader)


def test_secrets_are_not_printed() -> None:
    assert ALICE.password not in repr(ALICE)
    assert ALICE.password not in repr(CredentialStore({"localhost:5000": ALICE}))
