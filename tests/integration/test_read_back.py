"""What was pushed is read back by other implementations: skopeo (Go), gzip, zstd's own reader."""

import asyncio
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from registry_api_v2_client import push_docker_tar
from tests.support.big_images import write_big_archive
from tests.support.images import sha256_digest, sha256_hex
from tests.support.processes import require_program
from tests.support.skopeo import GZIP_MAGIC, ZSTD_MAGIC, skopeo, skopeo_copy_to_dir

pytestmark = pytest.mark.integration

LAYERS = [10_500_000, 2_097_152, 40_000]


@pytest.mark.parametrize(
    ("compression", "magic", "ending"),
    [("gzip", GZIP_MAGIC, "gzip"), ("zstd", ZSTD_MAGIC, "zstd"), ("keep", b"", "")],
)
async def test_every_layer_reads_back_as_it_was(
    compression: str,
    magic: bytes,
    ending: str,
    tmp_path: Path,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    big = write_big_archive(tmp_path / "big.tar", LAYERS)
    digest = await push_docker_tar(
        big.path,
        registry_url,
        repository,
        "1",
        compression=compression,
    )
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert pulled.digest == digest
    assert pulled.config == big.config
    assert all(layer.startswith(magic) for layer in pulled.layers)
    assert list(map(sha256_digest, pulled.contents)) == big.diff_ids
    types = [layer["mediaType"] for layer in pulled.manifest["layers"]]
    assert all(media_type.endswith(ending) for media_type in types)
    if compression == "zstd":
        assert pulled.manifest["mediaType"].startswith("application/vnd.oci.")


async def test_gzip_finds_nothing_to_complain_of(
    tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    gzip = require_program("gzip")
    big = write_big_archive(tmp_path / "big.tar", LAYERS)
    await push_docker_tar(big.path, registry_url, repository, "1")
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    for layer in pulled.layers:
        process = await asyncio.create_subprocess_exec(gzip, "--test", stdin=PIPE, stderr=PIPE)
        _, complaint = await process.communicate(layer)
        assert (process.returncode, complaint) == (0, b"")


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_go_decompresses_every_layer_to_its_diff_id(
    compression: str, tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    big = write_big_archive(tmp_path / "big.tar", LAYERS)
    await push_docker_tar(
        big.path,
        registry_url,
        repository,
        "1",
        compression=compression,
    )
    source = f"docker://{registry_host}/{repository}:1"
    back = tmp_path / "back"
    skopeo("copy", "--src-tls-verify=false", "--dest-decompress", source, f"dir:{back}")
    names = {digest.removeprefix("sha256:") for digest in big.diff_ids}
    assert names <= {path.name for path in back.iterdir()}
    assert all(sha256_hex((back / name).read_bytes()) == name for name in names)
