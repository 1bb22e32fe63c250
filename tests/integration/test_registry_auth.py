"""Logins, tokens and certificates over the whole way: through the queue, by a worker process."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from producer import JobState, JobStatus, PushQueue
from tests.support.big_images import write_big_archive
from tests.support.certificates import Authority
from tests.support.connect_proxy import ConnectProxy
from tests.support.credential_helper import CredentialHelper, in_path
from tests.support.images import ARCHIVES
from tests.support.logins import Login
from tests.support.processes import free_port
from tests.support.proxy import (
    FaultProxy,
    Predicate,
    is_blob_head,
    is_blob_put,
    is_manifest_put,
    is_patch,
)
from tests.support.servers import HTPASSWD_PASSWORD, HTPASSWD_USER, Registry, StartWorker
from tests.support.skopeo import skopeo_copy_to_dir
from tests.support.token_server import TokenServer
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

StartRegistry = Callable[..., Registry]

GOOD = Login(HTPASSWD_USER, HTPASSWD_PASSWORD)
WRONG = Login(HTPASSWD_USER, "wrong horse")
IDENTITY_TOKEN = "refresh-me"
FAST_RETRIES = {
    "PUSH_QUEUE_RETRY_BASE_SECONDS": "0.01",
    "PUSH_QUEUE_RETRY_MAX_SECONDS": "0.1",
    "PUSH_QUEUE_GIVE_UP_AFTER_SECONDS": "2",
}


def auth_settings(host: str, login: Login = GOOD) -> dict[str, str]:
    """The setting that signs a worker in."""
    entry = {"username": login.username, "password": login.password}
    return {"PUSH_QUEUE_REGISTRY_AUTH": json.dumps({host: entry}), **FAST_RETRIES}


def docker_settings(folder: Path, config: Any) -> dict[str, str]:
    """The setting that has a worker read this as docker's config.json."""
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder), **FAST_RETRIES}


def auth_of(login: Login, **more: str) -> dict[str, str]:
    """An entry of `auths`."""
    pair = f"{login.username}:{login.password}".encode()
    return {"auth": base64.b64encode(pair).decode(), **more}


async def push(queue: PushQueue, path: Path, *targets: str) -> JobStatus:
    job = await queue.enqueue(path, list(targets))
    return await queue.wait(job.id, timeout=60)


def assert_refused(job: JobStatus, host: str, *kinds: str) -> None:
    assert (job.state, job.attempt) == (JobState.FAILED, 1), job.error
    assert job.error_kind in kinds
    assert host in (job.error or "")
    assert WRONG.password not in (job.error or "")


# TLS and passwords


async def test_a_password_over_tls_with_an_authority_of_one_s_own(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
    authority: Authority,
    certs_dir: Path,
) -> None:
    registry = start_registry(htpasswd=True, tls=authority.server())
    archive = ARCHIVES["docker-oci"](tmp_path)
    authority.trust(certs_dir, registry.host)
    worker(PUSH_QUEUE_REGISTRY_CERTS_DIR=str(certs_dir), **auth_settings(registry.host))
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert job.state is JobState.SUCCEEDED, job.error
    creds = f"{GOOD.username}:{GOOD.password}"
    pulled = skopeo_copy_to_dir(f"{registry.host}/app:1", tmp_path / "back", creds=creds)
    assert (pulled.digest, pulled.contents) == (job.digest, list(archive.image.layers))


async def test_a_certificate_of_an_unknown_authority_is_refused_but_by_setting(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
    authority: Authority,
    certs_dir: Path,
) -> None:
    registry = start_registry(htpasswd=True, tls=authority.server())
    Authority(tmp_path / "other").trust(certs_dir, registry.host)
    archive = ARCHIVES["guide"](tmp_path)
    settings = {"PUSH_QUEUE_REGISTRY_CERTS_DIR": str(certs_dir), **auth_settings(registry.host)}
    strict = worker(**settings)
    assert_refused(await push(queue, archive.path, f"{registry.host}/app:1"), registry.host, "tls")
    await asyncio.to_thread(strict.terminate)
    worker(PUSH_QUEUE_INSECURE_HOSTS=registry.host, **settings)
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert job.state is JobState.SUCCEEDED, job.error


async def test_a_registry_may_want_a_client_certificate(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
    authority: Authority,
    certs_dir: Path,
) -> None:
    registry = start_registry(tls=authority.server(), client_authority=authority.certificate)
    archive = ARCHIVES["guide"](tmp_path)
    authority.trust(certs_dir, registry.host)
    settings = {"PUSH_QUEUE_REGISTRY_CERTS_DIR": str(certs_dir), **FAST_RETRIES}
    nobody = worker(**settings)
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert_refused(job, registry.host, "tls")
    assert "client.cert" in (job.error or "")
    Authority(tmp_path / "another").identify(certs_dir, registry.host)
    authority.trust(certs_dir, registry.host)
    await asyncio.to_thread(nobody.terminate)
    stranger = worker(**settings)
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert_refused(job, registry.host, "tls")
    assert "client.cert" in (job.error or "")
    await asyncio.to_thread(stranger.terminate)
    authority.identify(certs_dir, registry.host)
    worker(**settings)
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert job.state is JobState.SUCCEEDED, job.error


async def test_a_wrong_password_fails_at_once(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, start_registry: StartRegistry
) -> None:
    registry = start_registry(htpasswd=True)
    archive = ARCHIVES["guide"](tmp_path)
    process = worker(**auth_settings(registry.host, WRONG))
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert_refused(job, registry.host, "unauthorized")
    assert "without credentials" not in (job.error or "")
    assert (job.error or "").endswith(f"; sign in again by `docker login {registry.host}`")
    await asyncio.to_thread(process.terminate)
    worker()
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert_refused(job, registry.host, "unauthorized")
    assert "without credentials" in (job.error or "")
    assert (job.error or "").endswith(f"; sign in by `docker login {registry.host}`")


async def test_a_running_worker_sees_a_new_login(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, start_registry: StartRegistry
) -> None:
    registry = start_registry(htpasswd=True)
    archive = ARCHIVES["guide"](tmp_path)
    worker(**docker_settings(tmp_path, {"auths": {registry.host: auth_of(WRONG)}}))
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert_refused(job, registry.host, "unauthorized")
    docker_settings(tmp_path, {"auths": {registry.host: auth_of(GOOD)}})
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert job.state is JobState.SUCCEEDED, job.error


async def test_a_login_of_podman_for_one_namespace(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, start_registry: StartRegistry
) -> None:
    registry = start_registry(htpasswd=True)
    archive = ARCHIVES["guide"](tmp_path)
    auths = {registry.host: auth_of(WRONG), f"{registry.host}/team": auth_of(GOOD)}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))
    worker(REGISTRY_AUTH_FILE=str(tmp_path / "auth.json"))
    job = await push(queue, archive.path, f"{registry.host}/team/app:1")
    assert job.state is JobState.SUCCEEDED, job.error
    job = await push(queue, archive.path, f"{registry.host}/other/app:1")
    assert_refused(job, registry.host, "unauthorized")


async def test_a_registry_on_ipv6(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
    authority: Authority,
    certs_dir: Path,
) -> None:
    registry = start_registry(htpasswd=True, tls=authority.server(), address="[::1]")
    archive = ARCHIVES["guide"](tmp_path)
    authority.trust(certs_dir, registry.host)
    worker(PUSH_QUEUE_REGISTRY_CERTS_DIR=str(certs_dir), **auth_settings(registry.host))
    job = await push(queue, archive.path, f"{registry.host}/app:1")
    assert job.state is JobState.SUCCEEDED, job.error


# Tokens


async def test_tokens_over_tls_that_live_for_two_seconds(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
    authority: Authority,
    certs_dir: Path,
) -> None:
    certificate = authority.server()
    big = write_big_archive(tmp_path / "big.tar", [3_000_000, 50_000])
    async with TokenServer(
        tmp_path / "tokens", login=GOOD, lifetime=2, certificate=certificate
    ) as tokens:
        registry = start_registry(token_server=tokens, tls=certificate)
        # The token server's certificate is of the registry's authority.
        authority.trust(certs_dir, registry.host)
        worker(PUSH_QUEUE_REGISTRY_CERTS_DIR=str(certs_dir), **auth_settings(registry.host))
        job = await push(queue, big.path, f"{registry.host}/team/app:1")
        assert job.state is JobState.SUCCEEDED, job.error
        assert ("GET", ["repository:team/app:pull,push"]) in tokens.asked


def authorized(matches: Predicate) -> Predicate:
    """Requests that match and bring a token, as all do but the very first."""
    return lambda request: "authorization" in request.headers and matches(request)


async def expired(registry: Registry, request_headers: dict[str, str]) -> None:
    """Until the registry refuses the token that a request was sent with."""
    headers = {"Authorization": request_headers["authorization"]}

    async def refused() -> bool:
        async with session.get(f"{registry.url}/v2/", headers=headers) as answer:
            return answer.status == 401

    async with aiohttp.ClientSession() as session:
        await becomes(refused)


@pytest.mark.parametrize("says", [2, 300], ids=["honest", "lying"])
@pytest.mark.parametrize(
    ("matches", "after"),
    [(is_blob_head, 0), (is_patch, 0), (is_patch, 500_000), (is_blob_put, 0), (is_manifest_put, 0)],
    ids=["head", "before-patch", "in-patch", "put", "manifest"],
)
async def test_a_token_that_expires_in_mid_upload(
    matches: Predicate,
    after: int,
    says: int,
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [3_000_000])
    async with TokenServer(tmp_path / "tokens", login=GOOD, lifetime=2, says=says) as tokens:
        registry = start_registry(token_server=tokens)
        async with FaultProxy(registry.url) as proxy:
            worker(**auth_settings(proxy.host))
            hold = proxy.hold(authorized(matches), after=after)
            job = await queue.enqueue(big.path, f"{proxy.host}/app:1")
            await hold.reached.wait()
            held = next(request for request in reversed(proxy.requests) if matches(request))
            await expired(registry, dict(held.headers))
            hold.release()
            job = await queue.wait(job.id, timeout=60)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1), job.error
        assert tokens.count("GET") >= 2


@pytest.mark.parametrize("says", [0, -5])
async def test_a_token_that_is_said_to_be_over_serves_many_requests(
    says: int,
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [300_000, 50_000])
    async with TokenServer(tmp_path / "tokens", login=GOOD, says=says) as tokens:
        registry = start_registry(token_server=tokens)
        worker(**auth_settings(registry.host))
        job = await push(queue, big.path, f"{registry.host}/app:1")
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1), job.error
        assert len(tokens.asked) <= 2


@pytest.mark.parametrize("matches", [is_blob_head, is_patch, is_blob_put, is_manifest_put])
async def test_a_token_that_expires_twice_within_one_request(
    matches: Predicate,
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [3_000_000])
    async with TokenServer(tmp_path / "tokens", login=GOOD) as tokens:
        registry = start_registry(token_server=tokens)
        async with FaultProxy(registry.url) as proxy:
            challenge = f'Bearer realm="{tokens.realm}",service="registry.test"'
            proxy.answer(
                authorized(matches),
                status=401,
                headers={"WWW-Authenticate": f'{challenge},error="invalid_token"'},
                times=2,
            )
            worker(**auth_settings(proxy.host))
            job = await push(queue, big.path, f"{proxy.host}/app:1")
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1), job.error


@pytest.mark.parametrize("oauth", [True, False], ids=["post", "get"])
async def test_an_identity_token(
    oauth: bool,
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    # Where POST is not known, the token goes as the password of the user that docker wrote down.
    login = GOOD if oauth else Login("tester", IDENTITY_TOKEN)
    async with TokenServer(
        tmp_path / "tokens", login=login, refresh_token=IDENTITY_TOKEN, oauth=oauth
    ) as tokens:
        registry = start_registry(token_server=tokens)
        entry = auth_of(Login("tester", ""), identitytoken=IDENTITY_TOKEN)
        worker(**docker_settings(tmp_path, {"auths": {registry.host: entry}}))
        job = await push(queue, archive.path, f"{registry.host}/app:1")
        assert job.state is JobState.SUCCEEDED, job.error
        assert {method for method, _ in tokens.asked} == {"POST" if oauth else "GET"}


async def test_a_credential_helper_that_keeps_an_identity_token(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    helper = CredentialHelper(in_path(tmp_path, monkeypatch), "test")
    async with TokenServer(tmp_path / "tokens", login=GOOD, refresh_token=IDENTITY_TOKEN) as tokens:
        registry = start_registry(token_server=tokens)
        helper.keep({registry.host: ("<token>", IDENTITY_TOKEN)})
        worker(**docker_settings(tmp_path, {"credHelpers": {registry.host: helper.name}}))
        job = await push(queue, archive.path, f"{registry.host}/app:1")
        assert job.state is JobState.SUCCEEDED, job.error
        assert tokens.count("GET") == 0
        assert helper.calls == [f"get {registry.host}"]


async def test_a_credential_helper_with_a_newer_password(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    helper = CredentialHelper(in_path(tmp_path, monkeypatch), "test")
    async with TokenServer(tmp_path / "tokens", login=GOOD) as tokens:
        registry = start_registry(token_server=tokens)
        helper.keep({registry.host: (WRONG.username, WRONG.password)})
        worker(**docker_settings(tmp_path, {"credsStore": helper.name}))
        job = await push(queue, archive.path, f"{registry.host}/app:1")
        assert_refused(job, registry.host, "unauthorized")
        helper.keep({registry.host: (GOOD.username, GOOD.password)})
        job = await push(queue, archive.path, f"{registry.host}/app:1")
        assert job.state is JobState.SUCCEEDED, job.error


@pytest.mark.parametrize("login", [None, WRONG])
async def test_a_token_server_that_refuses(
    login: Login | None,
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    async with TokenServer(tmp_path / "tokens", login=GOOD) as tokens:
        registry = start_registry(token_server=tokens)
        worker(**(auth_settings(registry.host, login) if login else {}))
        job = await push(queue, archive.path, f"{registry.host}/app:1")
        assert_refused(job, registry.host, "unauthorized")
        assert tokens.host in (job.error or "")


async def test_a_token_that_allows_too_little(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, start_registry: StartRegistry
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    async with TokenServer(tmp_path / "tokens", login=GOOD, actions=frozenset({"pull"})) as tokens:
        registry = start_registry(token_server=tokens)
        worker(**auth_settings(registry.host))
        job = await push(queue, archive.path, f"{registry.host}/app:1")
        assert_refused(job, registry.host, "denied", "unauthorized")
        pushes = [scopes for _, scopes in tokens.asked if "push" in str(scopes)]
        assert len(pushes) <= 4, "two blobs, and each asks once more at the refusal"


async def test_a_token_server_that_is_down_for_a_while(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, start_registry: StartRegistry
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    async with TokenServer(tmp_path / "tokens", login=GOOD) as tokens:
        registry = start_registry(token_server=tokens)
        tokens.down = True
        worker(**auth_settings(registry.host))
        job = await queue.enqueue(archive.path, f"{registry.host}/app:1", max_attempts=2)
        job = await queue.wait(job.id, timeout=60)
        assert (job.state, job.error_kind) == (JobState.FAILED, "registry_unavailable")
        assert registry.host in (job.error or "")
        assert tokens.host in (job.error or "")
        tokens.down = False
        job = await push(queue, archive.path, f"{registry.host}/app:1")
        assert job.state is JobState.SUCCEEDED, job.error


# Proxies


async def test_a_proxy_that_alone_knows_the_registry(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    start_registry: StartRegistry,
    authority: Authority,
    certs_dir: Path,
) -> None:
    registry = start_registry(htpasswd=True, tls=authority.server())
    host = registry.host.replace("127.0.0.1", "registry.test")
    archive = ARCHIVES["guide"](tmp_path)
    authority.trust(certs_dir, host)
    settings = {"PUSH_QUEUE_REGISTRY_CERTS_DIR": str(certs_dir), **auth_settings(host)}
    proxy_login = Login("walker", "through the wall")
    async with ConnectProxy({"registry.test": "127.0.0.1"}, login=proxy_login) as proxy:
        refused = worker(HTTPS_PROXY=f"http://{proxy.host}", **settings)
        job = await push(queue, archive.path, f"{host}/app:1")
        assert_refused(job, host, "proxy")
        assert "the proxy answered 407; write its user and password" in (job.error or "")
        await asyncio.to_thread(refused.terminate)
        worker(HTTPS_PROXY=proxy.url.replace(" ", "%20"), **settings)
        job = await push(queue, archive.path, f"{host}/app:1")
        assert job.state is JobState.SUCCEEDED, job.error
        assert set(proxy.tunnels) == {host}


@pytest.mark.parametrize("no_proxy", ["", "registry.example.com,127.0.0.0/8"])
async def test_no_proxy_is_asked_for_this_machine(
    no_proxy: str, tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    nobody = f"http://127.0.0.1:{free_port()}"
    worker(HTTP_PROXY=nobody, HTTPS_PROXY=nobody, NO_PROXY=no_proxy)
    job = await push(queue, archive.path, f"{registry_host}/no-proxy:1")
    assert job.state is JobState.SUCCEEDED, job.error
