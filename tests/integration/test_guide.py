"""What the development guide does, as its readers run it: plain functions under `asyncio.run`."""

import asyncio
import hashlib
import io
import json
import logging
import tarfile
from pathlib import Path

import pytest

from registry_api_v2_client import (
    RegistryError,
    TarReadError,
    ValidationError,
    check_registry_connectivity,
    delete_image,
    delete_image_by_digest,
    extract_original_tags,
    get_image_info,
    get_manifest,
    get_primary_tag,
    get_tar_manifest,
    inspect_docker_tar,
    list_repositories,
    list_tags,
    parse_repository_tag,
    push_docker_tar,
    push_docker_tar_with_all_original_tags,
    push_docker_tar_with_original_tags,
    validate_docker_tar,
)
from tests.support.processes import free_port

pytestmark = pytest.mark.integration


def write_test_tar(path: Path, tag: str, layer: bytes = b"test layer content") -> str:
    """The smallest tar that the guide calls an image: no diff_ids, and a layer that is no tar."""
    config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
    names = {f"blobs/sha256/{hashlib.sha256(data).hexdigest()}": data for data in (config, layer)}
    config_name, layer_name = names
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": [layer_name]}]
    with tarfile.open(path, "w") as tar:
        for name, data in {"manifest.json": json.dumps(manifest).encode(), **names}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def test_first_steps(tmp_path: Path, registry_url: str, repository: str) -> None:
    tar_file = write_test_tar(tmp_path / "my-image.tar", f"{repository}:original")

    async def main() -> None:
        assert await check_registry_connectivity(registry_url)
        assert validate_docker_tar(Path(tar_file))
        assert extract_original_tags(tar_file) == [f"{repository}:original"]

        digest = await push_docker_tar(tar_file, registry_url, repository, "v1.0.0")
        assert await push_docker_tar_with_original_tags(tar_file, registry_url) == digest

        assert repository in await list_repositories(registry_url)
        assert sorted(await list_tags(registry_url, repository)) == ["original", "v1.0.0"]

        info = await get_image_info(registry_url, repository, "v1.0.0")
        assert f"{info.get('size', 'unknown'):,} bytes"
        assert info.get("architecture", "unknown") == "amd64"

    asyncio.run(main())


def test_concurrent_pushes(tmp_path: Path, registry_url: str, repository: str) -> None:
    names = [f"{repository}-{number}" for number in (1, 2, 3)]
    tars = [
        write_test_tar(tmp_path / f"app{number}.tar", f"{name}:latest", f"app {number}".encode())
        for number, name in enumerate(names)
    ]

    async def main() -> list[str]:
        pushes = [
            push_docker_tar(tar, registry_url, name, "latest")
            for tar, name in zip(tars, names, strict=True)
        ]
        return await asyncio.gather(*pushes)

    digests = asyncio.run(main())
    assert len(set(digests)) == 3


def test_tag_preservation(tmp_path: Path, registry_url: str, repository: str) -> None:
    tar_file = write_test_tar(tmp_path / "exported-image.tar", f"{repository}:kept")

    async def main() -> None:
        digest = await push_docker_tar_with_original_tags(tar_file, registry_url)
        assert await push_docker_tar_with_all_original_tags(tar_file, registry_url) == [digest]
        assert await list_tags(registry_url, repository) == ["kept"]

    asyncio.run(main())


def test_a_registry_in_an_original_tag_is_left_out(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    tar_file = write_test_tar(tmp_path / "image.tar", f"reg.example.com:5000/{repository}:1")

    async def main() -> None:
        await push_docker_tar_with_original_tags(tar_file, registry_url)
        await push_docker_tar_with_all_original_tags(tar_file, registry_url)
        assert await list_tags(registry_url, repository) == ["1"]

    asyncio.run(main())


def test_deleting_an_image_deletes_its_other_tags(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    tar_file = write_test_tar(tmp_path / "image.tar", "x:1")
    other = write_test_tar(tmp_path / "other.tar", "x:2", b"another layer")

    async def main() -> None:
        for tag in ("1", "latest"):
            await push_docker_tar(tar_file, registry_url, repository, tag)
        await push_docker_tar(other, registry_url, repository, "other")
        assert await delete_image(registry_url, repository, "1")
        assert await list_tags(registry_url, repository) == ["other"]

    asyncio.run(main())


def test_bulk_management(tmp_path: Path, registry_url: str, repository: str) -> None:
    tagged, untagged = f"{repository}-a", f"{repository}-b"
    tar_file = write_test_tar(tmp_path / "image.tar", "x:1")

    async def main() -> None:
        await push_docker_tar(tar_file, registry_url, tagged, "latest")
        await push_docker_tar(tar_file, registry_url, untagged, "other")
        everything = await list_repositories(registry_url)
        repositories = [name for name in everything if name.startswith(repository)]
        tags = await asyncio.gather(*(list_tags(registry_url, name) for name in repositories))
        assert dict(zip(repositories, tags, strict=True)) == {
            tagged: ["latest"],
            untagged: ["other"],
        }
        infos = await asyncio.gather(
            *(get_image_info(registry_url, name, "latest") for name in repositories),
            return_exceptions=True,
        )
        found, missing = infos
        assert isinstance(found, dict)
        assert found.get("size", 0) > 0
        assert isinstance(missing, Exception)

    asyncio.run(main())


def test_asyncio_debugging(
    tmp_path: Path, registry_url: str, repository: str, caplog: pytest.LogCaptureFixture
) -> None:
    tar_file = write_test_tar(tmp_path / "test.tar", f"{repository}:debug")

    async def main() -> str:
        asyncio.get_event_loop().set_debug(True)
        return await push_docker_tar(tar_file, registry_url, repository, "debug")

    with caplog.at_level(logging.DEBUG):
        assert asyncio.run(main()).startswith("sha256:")
    problems = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert problems == []


def test_every_function_by_its_documented_names(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    """As called by scripts that were written for the guide's own package."""
    tar_file = write_test_tar(tmp_path / "my-image.tar", f"{repository}:1")

    async def main() -> None:
        digest = await push_docker_tar(
            tar_path=tar_file,
            registry_url=registry_url,
            repository=repository,
            tag="2",
            timeout=300,
        )
        assert await push_docker_tar_with_all_original_tags(
            tar_path=tar_file, registry_url=registry_url, timeout=300
        ) == [digest]
        names = {"registry_url": registry_url, "repository": repository}
        assert repository in await list_repositories(registry_url=registry_url, timeout=60)
        assert sorted(await list_tags(**names, timeout=60)) == ["1", "2"]
        manifest = await get_manifest(**names, tag="2", timeout=60)
        assert len(manifest["layers"]) == 1
        info = await get_image_info(**names, tag="2", timeout=60)
        assert info["digest"] == digest
        assert info["total_size"] == info["size"]
        assert await delete_image_by_digest(**names, digest=digest, timeout=60) is True
        with pytest.raises(RegistryError):
            await delete_image(**names, tag="2", timeout=60)

    asyncio.run(main())

    path = Path(tar_file)
    assert validate_docker_tar(tar_path=path)
    assert get_tar_manifest(tar_path=path)[0]["RepoTags"] == [f"{repository}:1"]
    described = inspect_docker_tar(tar_path=path)
    assert (described.repo_tags, described.config.os) == ([f"{repository}:1"], "linux")
    assert get_primary_tag(tar_path=tar_file) == (repository, "1")
    assert parse_repository_tag(repo_tag="localhost:5000/app") == ("localhost:5000/app", "latest")


def caught(tar_path: str, registry_url: str) -> str:
    """The clause that the error of a push ends in, in the order that the guide's package shows."""
    try:
        asyncio.run(push_docker_tar(tar_path, registry_url, "app", "1"))
    except FileNotFoundError:
        return "missing"
    except ValidationError:
        return "validation"
    except TarReadError:
        return "tar"
    except RegistryError:
        return "registry"
    return "none"


def test_errors_end_in_the_documented_clauses(tmp_path: Path, registry_url: str) -> None:
    good = write_test_tar(tmp_path / "good.tar", "app:1")
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"no tar")
    assert caught(str(tmp_path / "none.tar"), registry_url) == "missing"
    assert caught(str(bad), registry_url) == "validation"
    assert caught(good, f"http://localhost:{free_port()}") == "registry"
    with pytest.raises(TarReadError):
        get_tar_manifest(bad)
    assert validate_docker_tar(bad) is False
