"""Authentication: htpasswd at a real registry, tokens at one that follows the specification."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from registry_api_v2_client import (
    CredentialsError,
    RegistryClient,
    RegistryError,
    UnauthorizedError,
    check_registry_connectivity,
    get_image_info,
    list_repositories,
    list_tags,
    parse_reference,
    push_docker_tar,
)
from tests.support.big_images import write_big_archive
from tests.support.images import ARCHIVES, sha256_digest, to_json
from tests.support.logins import Login
from tests.support.proxy import (
    FaultProxy,
    Predicate,
    is_blob_head,
    is_blob_put,
    is_manifest_put,
    is_patch,
)
from tests.support.scripted_server import Exchange, Reply, ScriptedServer
from tests.support.servers import HTPASSWD_PASSWORD, HTPASSWD_USER, Registry
from tests.support.skopeo import skopeo_copy_to_dir
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration

GOOD = Login(HTPASSWD_USER, HTPASSWD_PASSWORD)
WRONG = Login(HTPASSWD_USER, "wrong horse")

DockerLogin = Callable[[str, Login], None]


@pytest.fixture
def docker_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerLogin:
    """Write what `docker login` writes."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def login(host: str, who: Login) -> None:
        secret = base64.b64encode(f"{who.username}:{who.password}".encode()).decode()
        config = {"auths": {host: {"auth": secret}}}
        (tmp_path / "config.json").write_text(json.dumps(config))

    return login


async def test_htpasswd_with_docker_s_login(
    tmp_path: Path, start_registry: Callable[..., Registry], docker_login: DockerLogin
) -> None:
    registry = start_registry(htpasswd=True)
    archive = ARCHIVES["docker-legacy"](tmp_path)
    docker_login(registry.host, GOOD)
    await push_docker_tar(archive.path, registry.url, "app", "1")
    credentials = f"{GOOD.username}:{GOOD.password}"
    pulled = skopeo_copy_to_dir(f"{registry.host}/app:1", tmp_path / "back", creds=credentials)
    assert pulled.contents == list(archive.image.layers)
    assert await list_repositories(registry.url) == ["app"]
    assert (await get_image_info(registry.url, "app", "1"))["os"] == "linux"


async def test_htpasswd_refuses_at_once_and_tells_no_secret(
    tmp_path: Path, start_registry: Callable[..., Registry], docker_login: DockerLogin
) -> None:
    registry = start_registry(htpasswd=True)
    archive = ARCHIVES["guide"](tmp_path)
    with pytest.raises(UnauthorizedError, match=registry.host):
        await push_docker_tar(archive.path, registry.url, "app", "1")
    docker_login(registry.host, WRONG)
    with pytest.raises(UnauthorizedError, match=registry.host) as caught:
        await push_docker_tar(archive.path, registry.url, "app", "1")
    assert not caught.value.retryable
    assert WRONG.password not in repr(caught.value)


async def test_a_registry_that_wants_a_login_is_reachable(
    start_registry: Callable[..., Registry],
) -> None:
    assert await check_registry_connectivity(start_registry(htpasswd=True).url) is True


async def test_a_token_is_fetched_and_serves_many_requests(
    tmp_path: Path, docker_login: DockerLogin
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    async with SpecRegistry(bearer=GOOD) as registry:
        docker_login(registry.host, GOOD)
        await push_docker_tar(archive.path, registry.url, "team/app", "1")
        assert "repository:team/app:pull,push" in registry.scopes
        requests = sum(n for (_, path), n in registry.requests.items() if path != "/token")
        assert registry.requests["GET", "/token"] < requests / 2
        assert len(registry.manifest("team/app", "1")["layers"]) == 2
        assert await list_tags(registry.url, "team/app") == ["1"]
        assert await list_repositories(registry.url) == ["team/app"]


async def test_an_anonymous_token_is_enough_where_the_registry_says_so(tmp_path: Path) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    async with SpecRegistry(anonymous_tokens=True) as registry:
        await push_docker_tar(archive.path, registry.url, "app", "1")
        assert await list_tags(registry.url, "app") == ["1"]


@pytest.mark.parametrize("login", [None, WRONG])
async def test_a_token_server_that_refuses(
    login: Login | None, tmp_path: Path, docker_login: DockerLogin
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    async with SpecRegistry(bearer=GOOD) as registry:
        if login:
            docker_login(registry.host, login)
        with pytest.raises((CredentialsError, UnauthorizedError), match=registry.host) as caught:
            await push_docker_tar(archive.path, registry.url, "app", "1")
    assert_tells_no_secret(caught.value)
    assert not caught.value.retryable
    if not login:
        assert str(caught.value).endswith(f"; sign in by `docker login {registry.host}`")


async def test_basic_at_a_registry_that_asks_for_it(
    tmp_path: Path, docker_login: DockerLogin
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    async with SpecRegistry(basic=GOOD) as registry:
        docker_login(registry.host, GOOD)
        await push_docker_tar(archive.path, registry.url, "app", "1")
        assert registry.manifest("app", "1")["schemaVersion"] == 2


async def test_a_token_that_expires_is_replaced(tmp_path: Path, docker_login: DockerLogin) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    async with SpecRegistry(bearer=GOOD) as registry:
        docker_login(registry.host, GOOD)
        async with RegistryClient() as client:
            for number in (1, 2):
                await client.push(archive.path, [parse_reference(f"{registry.host}/app:{number}")])
                registry.tokens.clear()
        assert await list_tags(registry.url, "app") == ["1", "2"]


@pytest.mark.parametrize("matches", [is_blob_head, is_patch, is_blob_put, is_manifest_put])
async def test_a_token_that_expires_in_mid_push_is_replaced(
    matches: Predicate, tmp_path: Path, docker_login: DockerLogin
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [3_000_000, 50_000])
    async with SpecRegistry(bearer=GOOD) as registry, FaultProxy(registry.url) as proxy:
        docker_login(proxy.host, GOOD)
        hold = proxy.hold(matches)
        async with RegistryClient() as client:
            target = parse_reference(f"{proxy.host}/app:1")
            # One blob at a time, so that the token expires under this request and no other.
            push = asyncio.create_task(client.push(big.path, [target], image_uploads=1))
            await hold.reached.wait()
            registry.tokens.clear()
            hold.release()
            await push
        assert len(registry.manifest("app", "1")["layers"]) == 2


async def test_credentials_stay_with_their_registry(docker_login: DockerLogin) -> None:
    """A blob may come from a storage host, which does not get the registry's credentials."""
    config = b'{"architecture": "amd64", "os": "linux"}'
    digest = sha256_digest(config)
    manifest = to_json({"schemaVersion": 2, "config": {"digest": digest}, "layers": []})
    path = f"/v2/app/blobs/{digest}"
    async with ScriptedServer(Exchange("GET", "/stored", Reply(200, body=config))) as storage:
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        elsewhere = Reply(307, {"Location": f"{storage.url}/stored"})
        authorized = {"Authorization": GOOD.basic}
        async with ScriptedServer(
            Exchange("GET", "/v2/app/manifests/1", Reply(200, body=manifest), authorized),
            Exchange("GET", "/v2/app/manifests/1", Reply(401, challenge)),
            Exchange("GET", path, elsewhere, authorized),
        ) as registry:
            docker_login(registry.host, GOOD)
            assert (await get_image_info(registry.url, "app", "1"))["os"] == "linux"
    assert ["Authorization" in request.headers for request in storage.requests] == [False]


def assert_tells_no_secret(error: RegistryError) -> None:
    encoded = WRONG.basic.removeprefix("Basic ")
    for text in (str(error), repr(error), repr(error.__cause__)):
        assert WRONG.password not in text
        assert encoded not in text


async def test_credentials_in_the_url_are_used(
    tmp_path: Path, start_registry: Callable[..., Registry]
) -> None:
    registry = start_registry(htpasswd=True)
    path = ARCHIVES["guide"](tmp_path).path
    login = f"{HTPASSWD_USER}:{quote(HTPASSWD_PASSWORD)}"
    await push_docker_tar(path, f"http://{login}@{registry.host}", "app", "1")
    with pytest.raises(UnauthorizedError) as caught:
        await push_docker_tar(path, f"http://{HTPASSWD_USER}:wrong@{registry.host}", "app", "1")
    assert "wrong" not in str(caught.value)
