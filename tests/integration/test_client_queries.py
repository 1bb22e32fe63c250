"""Listing what a real registry holds, and deleting from it."""

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_api_v2_client import (
    ManifestUnknownError,
    NameUnknownError,
    RegistryUnavailableError,
    ResponseError,
    UnsupportedError,
    check_registry_connectivity,
    delete_image,
    delete_image_by_digest,
    get_image_info,
    get_manifest,
    list_repositories,
    list_tags,
    push_docker_tar,
    verify_image,
)
from tests.support.images import ARCHIVES, gzip_bytes, sha256_digest
from tests.support.layouts import Layout, platform_image
from tests.support.processes import free_port
from tests.support.scripted_server import Exchange, Reply, ScriptedServer
from tests.support.servers import Registry
from tests.support.skopeo import skopeo_inspect
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration


async def test_a_running_registry_is_reachable(registry_url: str) -> None:
    assert await check_registry_connectivity(registry_url) is True
    assert await check_registry_connectivity(f"{registry_url}/", timeout=60) is True


async def test_nobody_listening_is_not_reachable() -> None:
    assert await check_registry_connectivity(f"http://127.0.0.1:{free_port()}") is False


async def test_a_server_that_is_no_registry_is_not_reachable() -> None:
    page = Exchange("GET", "/v2/", Reply(404, {"Content-Type": "text/html"}, b"<h1>Nothing</h1>"))
    async with ScriptedServer(page) as server:
        assert await check_registry_connectivity(server.url) is False


async def test_pushed_repositories_and_tags_are_listed(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    for tag in ("1", "2", "latest"):
        await push_docker_tar(archive.path, registry_url, repository, tag)
    assert repository in await list_repositories(registry_url)
    assert sorted(await list_tags(registry_url, repository)) == ["1", "2", "latest"]


async def test_lists_of_many_pages_are_followed_to_the_end() -> None:
    async with SpecRegistry(page_size=7) as registry:
        tags = {f"v{number:02}": "sha256:0" for number in range(30)}
        registry.repository("app").tags.update(tags)
        for number in range(20):
            registry.repository(f"app/{number:02}")
        assert await list_tags(registry.url, "app") == sorted(tags)
        assert await list_repositories(registry.url) == sorted(registry.repositories)


async def test_a_list_that_links_to_itself_ends() -> None:
    link = {"Link": '</v2/app/tags/list?n=1000>; rel="next"'}
    page = Exchange("GET", "/v2/app/tags/list?n=1000", Reply(200, link, b'{"tags": ["1"]}'))
    async with ScriptedServer(page) as server:
        assert await list_tags(server.url, "app") == ["1"]


@pytest.mark.parametrize(
    "links",
    [
        '</v2/app/tags/list?last=0>; rel="prev", </v2/app/tags/list?last=1>; rel="next"',
        "</v2/app/tags/list?last=1>; title=a; rel=Next, </v2/app/tags/list?last=0>; rel=prev",
        '</v2/app/tags/list?last=1>;rel="last next"',
    ],
)
async def test_the_next_page_is_told_from_other_links(links: str) -> None:
    first = Reply(200, {"Link": links}, b'{"tags": ["1"]}')
    async with ScriptedServer(
        Exchange("GET", "/v2/app/tags/list?n=1000", first),
        Exchange("GET", "/v2/app/tags/list?last=1", Reply(200, body=b'{"tags": ["2"]}')),
    ) as server:
        assert await list_tags(server.url, "app") == ["1", "2"]


async def test_a_repository_whose_tags_are_gone_has_none() -> None:
    page = Exchange("GET", "/v2/app/tags/list?n=1000", Reply(200, body=b'{"tags": null}'))
    async with ScriptedServer(page) as server:
        assert await list_tags(server.url, "app") == []


async def test_an_unknown_repository_is_an_error_that_says_so(registry_url: str) -> None:
    with pytest.raises(NameUnknownError, match="tests/nowhere"):
        await list_tags(registry_url, "tests/nowhere")


async def test_an_unknown_image_is_an_error_that_says_so(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    await push_docker_tar(archive.path, registry_url, repository, "1")
    for query in (get_manifest, get_image_info):
        with pytest.raises(ManifestUnknownError, match=f"{repository}:none"):
            await query(registry_url, repository, "none")
        with pytest.raises(ManifestUnknownError, match="tests/nowhere"):
            await query(registry_url, "tests/nowhere", "1")


async def test_errors_of_unknown_images_and_odd_answers_say_which_registry_it_was() -> None:
    unknown = Exchange("GET", "/v2/app/manifests/none", Reply(404))
    manifest = Exchange("GET", "/v2/app/manifests/1", Reply(200, body=b"[]"))
    page = Exchange("GET", "/v2/app/tags/list?n=1000", Reply(200, body=b"[]"))
    async with ScriptedServer(unknown, manifest, page) as server:
        for query in (
            get_manifest(server.url, "app", "none"),
            get_manifest(server.url, "app", "1"),
            list_tags(server.url, "app"),
        ):
            with pytest.raises(ResponseError) as caught:
                await query
            assert caught.value.registry == server.url.removeprefix("http://")


async def test_lists_of_a_registry_that_is_down(repository: str) -> None:
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailableError, match=host):
        await list_repositories(f"http://{host}")
    with pytest.raises(RegistryUnavailableError, match=host):
        await list_tags(f"http://{host}", repository)


async def test_the_manifest_has_its_digest(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["containerd"](tmp_path)
    digest = await push_docker_tar(archive.path, registry_url, repository, "1")
    by_tag = await get_manifest(registry_url, repository, "1")
    assert by_tag["digest"] == digest
    assert by_tag == await get_manifest(registry_url, repository, digest)
    assert by_tag["config"]["digest"] == sha256_digest(archive.image.config)
    assert len(by_tag["layers"]) == 2


async def test_what_an_image_is(
    tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["containerd"](tmp_path)
    digest = await push_docker_tar(archive.path, registry_url, repository, "1")
    info = await get_image_info(registry_url, repository, "1")
    seen = skopeo_inspect(f"{registry_host}/{repository}:1")
    assert (info["repository"], info["tag"], info["digest"]) == (repository, "1", digest)
    assert (info["architecture"], info["os"]) == (seen["Architecture"], seen["Os"])
    assert info["created"] == "2024-01-02T03:04:05Z"
    layers = [gzip_bytes(layer) for layer in archive.image.layers]
    assert info["platforms"] == []
    assert info["size"] == info["total_size"] == len(archive.image.config) + sum(map(len, layers))
    assert info["layer_count"] == len(info["layers"]) == 2
    assert [layer["digest"] for layer in info["layers"]] == [sha256_digest(x) for x in layers]
    assert info["config"]["config"]["Cmd"] == ["/bin/app"]
    assert info["manifest"]["schemaVersion"] == 2


@pytest.mark.parametrize(
    ("machine", "described"),
    [("aarch64", "arm64"), ("riscv64", "amd64")],
    ids=["of this platform", "the first where none is"],
)
async def test_of_an_index_one_image_is_described(
    machine: str,
    described: str,
    tmp_path: Path,
    registry_url: str,
    repository: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layout = Layout()
    image = layout.image(platform_image("linux/amd64"), platform="linux/amd64")
    other = layout.image(platform_image("linux/arm64"), platform="linux/arm64")
    layout.root(layout.index(layout.attestation(image), image, other))
    path = layout.write(tmp_path / "app.tar")
    await push_docker_tar(path, registry_url, repository, "1")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    info = await get_image_info(registry_url, repository, tag="1")
    assert (info["os"], info["architecture"]) == ("linux", described)
    assert info["digest"] == {"amd64": image, "arm64": other}[described]["digest"]
    assert info["platforms"] == ["linux/amd64", "linux/arm64"]


async def test_deleting_by_tag(tmp_path: Path, registry_url: str, repository: str) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    await push_docker_tar(archive.path, registry_url, repository, "1")
    assert await delete_image(registry_url, repository, "1") is True
    with pytest.raises(ManifestUnknownError):
        await get_manifest(registry_url, repository, "1")
    with pytest.raises(ManifestUnknownError, match=f"no {repository}:1 to delete"):
        await delete_image(registry_url, repository, "1")


async def test_deleting_by_digest(tmp_path: Path, registry_url: str, repository: str) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    digest = await push_docker_tar(archive.path, registry_url, repository, "1")
    assert await delete_image_by_digest(registry_url, repository, digest) is True
    with pytest.raises(ManifestUnknownError, match=f"no {repository}@{digest} to delete"):
        await delete_image_by_digest(registry_url, repository, digest)


async def test_a_registry_with_deletes_switched_off() -> None:
    digest = f"sha256:{'0' * 64}"
    refused = Reply(405, body=b'{"errors":[{"code":"UNSUPPORTED"}]}')
    async with ScriptedServer(Exchange("DELETE", f"/v2/app/manifests/{digest}", refused)) as server:
        with pytest.raises(UnsupportedError, match="UNSUPPORTED"):
            await delete_image_by_digest(server.url, "app", digest)


async def test_a_registry_that_tells_no_digest() -> None:
    raw = b'{"schemaVersion":2,"config":{},"layers":[]}'
    digest = sha256_digest(raw)
    found = Reply(200, {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}, raw)
    async with ScriptedServer(Exchange("GET", "/v2/app/manifests/1", found)) as server:
        assert (await get_manifest(server.url, "app", "1"))["digest"] == digest
    async with ScriptedServer(
        Exchange("HEAD", "/v2/app/manifests/1", found),
        Exchange("GET", "/v2/app/manifests/1", found),
        Exchange("DELETE", f"/v2/app/manifests/{digest}", Reply(202)),
    ) as server:
        assert await delete_image(server.url, "app", "1") is True


async def test_a_registry_below_a_prefix(
    tmp_path: Path, start_registry: Callable[..., Registry]
) -> None:
    url = f"{start_registry(prefix='/images/').url}/images"
    archive = ARCHIVES["guide"](tmp_path)
    digest = await push_docker_tar(archive.path, url, "team/app", "1")
    assert (await get_image_info(url, "team/app", "1"))["digest"] == digest
    assert await list_repositories(url) == ["team/app"]
    assert await list_tags(f"{url}/", "team/app") == ["1"]
    assert (await verify_image(archive.path, url, "team/app", "1")).equal
    assert await check_registry_connectivity(url.removesuffix("/images")) is False
