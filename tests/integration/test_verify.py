"""What a registry holds against the tar it came from: `verify_image` and `push-queue verify`."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from aiohttp import web

from registry_api_v2_client import (
    ArchiveDigestError,
    ManifestUnknownError,
    Proof,
    Verdict,
    Verification,
    push_docker_tar,
    verify_image,
)
from registry_api_v2_client.exceptions import AnswerCutShortError
from tests.support.broken_images import LYING_DIGEST
from tests.support.commands import push_queue
from tests.support.images import (
    APP_LAYER,
    ARCHIVES,
    BASE_LAYER,
    OCI_LAYOUT,
    SEVERAL_IMAGES,
    Archive,
    docker_legacy,
    layer_tar,
    make_image,
    oci_blobs,
    sha256_digest,
    to_json,
    write_archive,
)
from tests.support.servers import Registry, clean_environment, run_registry
from tests.support.spec_registry import Manifest, SpecRegistry

pytestmark = pytest.mark.integration

ALL = {**ARCHIVES, "oci-layout": OCI_LAYOUT}
PUSHED_OTHERWISE = [
    ("docker-legacy", "zstd"),
    ("no-claims-at-all", "zstd"),
    ("docker-oci", "keep"),
    ("no-claims-at-all", "keep"),
]


def verdicts(found: Verification) -> list[Verdict]:
    return [part.verdict for part in found.parts]


def blob_file(directory: Path, digest: str) -> Path:
    """Where the distribution registry keeps a blob."""
    (path,) = directory.glob(f"registry-*/storage/**/{digest.removeprefix('sha256:')}/data")
    return path


@pytest.mark.parametrize(
    ("kind", "compression"), [*((kind, "gzip") for kind in ALL), *PUSHED_OTHERWISE]
)
async def test_whatever_is_pushed_is_equal(
    kind: str, compression: str, tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ALL[kind](tmp_path)
    digest = await push_docker_tar(
        archive.path, registry_url, repository, "1", compression=compression
    )
    for reference, deep in (("1", False), ("1", True), (digest, False)):
        found = await verify_image(archive.path, registry_url, repository, reference, deep=deep)
        assert found.digest == digest
        assert found.equal, found
        assert len(found.parts) == 1 + len(archive.image.layers)


@pytest.mark.parametrize(
    ("compression", "proof"), [("keep", Proof.DIGEST), ("gzip", Proof.CONTENT)]
)
async def test_nothing_is_downloaded_where_digests_say_enough(
    compression: str, proof: Proof, tmp_path: Path
) -> None:
    archive = ARCHIVES["docker-oci"](tmp_path)
    async with SpecRegistry() as registry:
        await push_docker_tar(archive.path, registry.url, "app", "1", compression=compression)
        registry.requests.clear()
        found = await verify_image(archive.path, registry.url, "app", "1")
        downloads = [
            path for verb, path in registry.requests if verb == "GET" and "/blobs/" in path
        ]
    assert found.equal
    assert {part.proof for part in found.parts[1:]} == {proof}
    assert len(downloads) == (0 if proof is Proof.DIGEST else 2)


async def test_what_the_tar_says_is_seen_in_the_parts(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    await push_docker_tar(archive.path, registry_url, repository, "1")
    found = await verify_image(archive.path, registry_url, repository, "1")
    config, base, app = found.parts
    assert (config.part, config.tar) == ("config", sha256_digest(archive.image.config))
    assert (config.registry, config.size) == (config.tar, len(archive.image.config))
    assert [base.tar, app.tar] == archive.image.diff_ids
    assert base.size is not None
    assert base.size < len(BASE_LAYER)


# Different images


async def push_other(archive: Archive, url: str, repository: str) -> None:
    await push_docker_tar(archive.path, url, repository, "1", compression="keep")


async def test_a_changed_layer(tmp_path: Path, registry_url: str, repository: str) -> None:
    ours = ARCHIVES["docker-oci"](tmp_path)
    other = make_image(BASE_LAYER, layer_tar({"app/two": b"2"}))
    await push_other(
        write_archive(tmp_path / "other.tar", oci_blobs, other), registry_url, repository
    )
    for deep in (False, True):
        found = await verify_image(ours.path, registry_url, repository, "1", deep=deep)
        assert verdicts(found) == [Verdict.DIFFERENT, Verdict.EQUAL, Verdict.DIFFERENT]


@pytest.mark.parametrize("compression", ["keep", "gzip"])
async def test_swapped_layers_under_the_same_config(compression: str, tmp_path: Path) -> None:
    """The config's diff_ids are right; only the blobs tell that the order is not."""
    archive = ARCHIVES["docker-oci"](tmp_path)
    async with SpecRegistry() as registry:
        await push_docker_tar(archive.path, registry.url, "app", "1", compression=compression)
        document = registry.manifest("app", "1")
        document["layers"].reverse()
        raw, repository = to_json(document), registry.repositories["app"]
        repository.manifests[sha256_digest(raw)] = Manifest(raw, document["mediaType"])
        repository.tags["1"] = sha256_digest(raw)
        for deep in (False, True):
            found = await verify_image(archive.path, registry.url, "app", "1", deep=deep)
            assert verdicts(found) == [Verdict.EQUAL, Verdict.DIFFERENT, Verdict.DIFFERENT]


async def test_layers_that_only_one_side_has(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    ours = write_archive(tmp_path / "ours.tar", docker_legacy, make_image(BASE_LAYER))
    await push_other(ARCHIVES["docker-oci"](tmp_path), registry_url, repository)
    more = await verify_image(ours.path, registry_url, repository, "1")
    assert verdicts(more) == [Verdict.DIFFERENT, Verdict.EQUAL, Verdict.DIFFERENT]
    assert more.parts[2].tar is None
    await push_other(ours, registry_url, repository)
    fewer = await verify_image(tmp_path / "image.tar", registry_url, repository, "1")
    assert verdicts(fewer) == [Verdict.DIFFERENT, Verdict.EQUAL, Verdict.DIFFERENT]
    assert fewer.parts[2].registry is None


async def test_an_index_is_compared_by_the_platform_that_the_tar_has(tmp_path: Path) -> None:
    archive = ARCHIVES["containerd"](tmp_path)
    other = write_archive(tmp_path / "other.tar", oci_blobs, make_image(os="plan9"))
    async with SpecRegistry() as registry:
        entries = []
        for path in (other.path, archive.path):
            digest = await push_docker_tar(path, registry.url, "app", "x", compression="keep")
            stored = registry.repositories["app"].manifests[digest]
            size = len(stored.content)
            entries.append({"mediaType": stored.media_type, "digest": digest, "size": size})
        media_type = "application/vnd.oci.image.index.v1+json"
        raw = to_json({"schemaVersion": 2, "mediaType": media_type, "manifests": entries})
        repository = registry.repositories["app"]
        repository.manifests[sha256_digest(raw)] = Manifest(raw, media_type)
        repository.tags["all"] = sha256_digest(raw)
        found = await verify_image(archive.path, registry.url, "app", "all")
        assert found.equal
        assert found.digest == entries[1]["digest"]
        third = write_archive(tmp_path / "third.tar", oci_blobs, make_image(os="beos"))
        found = await verify_image(third.path, registry.url, "app", "all")
        assert verdicts(found) == [Verdict.DIFFERENT]


# Damaged registries


@pytest.mark.parametrize(
    ("damage", "shallow"),
    [
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), Verdict.EQUAL),
        (lambda content: content[:-100], Verdict.CORRUPT),
        (lambda content: content + b"more", Verdict.CORRUPT),
    ],
    ids=["flipped", "cut", "grown"],
)
async def test_a_blob_that_was_damaged_in_the_registry(
    damage: Callable[[bytes], bytes],
    shallow: Verdict,
    tmp_path: Path,
    start_registry: Callable[..., Registry],
) -> None:
    registry = start_registry()
    archive = ARCHIVES["containerd"](tmp_path)
    await push_docker_tar(archive.path, registry.url, "app", "1")
    found = await verify_image(archive.path, registry.url, "app", "1", deep=True)
    damaged = found.parts[2].registry
    assert damaged
    file = blob_file(tmp_path, damaged)
    file.write_bytes(damage(file.read_bytes()))
    found = await verify_image(archive.path, registry.url, "app", "1", deep=True)
    assert verdicts(found) == [Verdict.EQUAL, Verdict.EQUAL, Verdict.CORRUPT]
    # Digests prove enough about this layer: only its size is checked.
    found = await verify_image(archive.path, registry.url, "app", "1")
    assert verdicts(found) == [Verdict.EQUAL, Verdict.EQUAL, shallow]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("part", [0, 1])
async def test_a_blob_that_is_gone(part: int, deep: bool, tmp_path: Path) -> None:
    archive = ARCHIVES["containerd"](tmp_path)
    async with SpecRegistry() as registry:
        await push_docker_tar(archive.path, registry.url, "app", "1")
        found = await verify_image(archive.path, registry.url, "app", "1", deep=deep)
        blob = found.parts[part].registry
        assert blob
        del registry.repositories["app"].blobs[blob]
        found = await verify_image(archive.path, registry.url, "app", "1", deep=deep)
    assert found.parts[part].verdict is Verdict.MISSING
    assert not found.equal


@pytest.mark.parametrize(
    ("left", "verdict"),
    [(0, Verdict.MISSING), (1000, Verdict.CORRUPT)],
    ids=["lost", "cut short"],
)
async def test_a_blob_that_the_registry_has_lost_but_promises(
    left: int, verdict: Verdict, tmp_path: Path
) -> None:
    """It reports the size that it remembers, and ends its answer where the blob does."""
    archive = ARCHIVES["containerd"](tmp_path)
    with run_registry(tmp_path / "registry-1", cache="inmemory") as registry:
        await push_docker_tar(archive.path, registry.url, "app", "1")
        whole = await verify_image(archive.path, registry.url, "app", "1", deep=True)
        lost = whole.parts[2].registry
        assert lost
        os.truncate(blob_file(tmp_path, lost), left)
        found = await verify_image(archive.path, registry.url, "app", "1", deep=True)
    assert verdicts(found) == [Verdict.EQUAL, Verdict.EQUAL, verdict]


@pytest.mark.parametrize("again", [0, 1], ids=["then all", "elsewhere then"])
async def test_a_connection_that_breaks_says_nothing_of_the_blob(
    again: int, tmp_path: Path
) -> None:
    archive = ARCHIVES["containerd"](tmp_path)

    class BreakingRegistry(SpecRegistry):
        breaks: ClassVar[list[int]] = [100, 200][: 1 + again]

        async def _get_blob(self, request: web.Request) -> web.Response:
            answer = await super()._get_blob(request)
            if self.breaks and request.method == "GET":
                size = str(answer.content_length)
                cut = web.StreamResponse(headers={"Content-Length": size})
                await cut.prepare(request)
                assert isinstance(answer.body, bytes)
                await cut.write(answer.body[: self.breaks.pop(0)])
                assert request.transport
                request.transport.close()
            return answer

    async with BreakingRegistry() as registry:
        await push_docker_tar(archive.path, registry.url, "app", "1")
        with pytest.raises(AnswerCutShortError, match="closed the connection during an answer"):
            await verify_image(archive.path, registry.url, "app", "1", deep=True)


async def test_an_image_that_is_not_there(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    with pytest.raises(ManifestUnknownError, match=f"{repository}:1"):
        await verify_image(ARCHIVES["guide"](tmp_path).path, registry_url, repository, "1")


async def test_a_tar_that_lies_is_found_out(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    await push_other(ARCHIVES["docker-oci"](tmp_path), registry_url, repository)
    path = LYING_DIGEST(tmp_path)
    with pytest.raises(ArchiveDigestError, match=sha256_digest(APP_LAYER)):
        await verify_image(path, registry_url, repository, "1", deep=True)


# The command


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return push_queue("verify", *arguments, env=clean_environment(), cwd=tmp_path, timeout=90)

    return run


async def test_the_command_says_equal(
    cli: Cli, tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    digest = await push_docker_tar(archive.path, registry_url, repository, "1")
    done = cli(f"{registry_host}/{repository}:1", archive.path, "--deep")
    assert (done.returncode, done.stderr) == (0, "")
    header, config, *layers = done.stdout.splitlines()
    assert header.split("\t") == ["PART", "TAR", "REGISTRY", "SIZE", "RESULT", "PROVEN BY"]
    assert config.startswith(f"config\t{sha256_digest(archive.image.config)}\t")
    assert [line.split("\t")[1] for line in layers] == archive.image.diff_ids
    assert all(line.endswith("\tequal\tcontent") for line in layers)
    done = cli(f"{registry_host}/{repository}@{digest}", archive.path, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["equal"], document["digest"]) == (0, True, digest)
    assert document["parts"][1]["tar"] == archive.image.diff_ids[0]


async def test_the_command_says_different(
    cli: Cli, tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    await push_other(ARCHIVES["docker-oci"](tmp_path), registry_url, repository)
    other = write_archive(tmp_path / "other.tar", oci_blobs, make_image(BASE_LAYER))
    done = cli(f"{registry_host}/{repository}:1", other.path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1].endswith("\tdifferent\tdigest")
    done = cli(f"{registry_host}/{repository}:1", other.path, "--json")
    assert (done.returncode, json.loads(done.stdout)["equal"]) == (1, False)


async def test_the_command_chooses_an_image(
    cli: Cli, tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    several = SEVERAL_IMAGES(tmp_path)
    single = write_archive(tmp_path / "one.tar", oci_blobs, several.images[1])
    await push_other(single, registry_url, repository)
    reference = f"{registry_host}/{repository}:1"
    assert cli(reference, several.path, "--image", "example/other:2.0").returncode == 0
    assert cli(reference, several.path, "--image", "example/app:1.0").returncode == 1
    undecided = cli(reference, several.path)
    assert undecided.returncode == 2
    assert "holds 2 images" in undecided.stderr


@pytest.mark.parametrize(
    ("reference", "tar", "code"),
    [
        ("app", "image.tar", 2),
        ("{host}/a:1", "none.tar", 2),
        ("{host}/tests/nowhere:1", "image.tar", 1),
    ],
)
def test_the_command_on_bad_input(
    reference: str, tar: str, code: int, cli: Cli, tmp_path: Path, registry_host: str
) -> None:
    ARCHIVES["guide"](tmp_path)
    done = cli(reference.format(host=registry_host), tmp_path / tar)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("push-queue: error: ")
    assert done.stderr.count("\n") == 1
