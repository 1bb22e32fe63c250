"""Whole image tars whose documents are nearly right: manifest.json, index.json, configs."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from registry_api_v2_client import (
    CompressionPolicy,
    ImageArchive,
    Platform,
    extract_original_tags,
    get_primary_tag,
    get_tar_manifest,
    inspect_docker_tar,
    validate_docker_tar,
)
from registry_api_v2_client.archive.model import ArchiveImage
from registry_api_v2_client.push.plan import PushPlan
from tests.fuzz.strategies import changed, changed_json, texts
from tests.fuzz.target import Target, handles
from tests.support.images import (
    APP_LAYER,
    BASE_LAYER,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Member,
    blob_path,
    descriptor,
    gzip_bytes,
    make_image,
    tar_bytes,
    to_json,
)

FILE = Path(tempfile.gettempdir()) / "fuzz.tar"
LAYERS = (BASE_LAYER[:5000], gzip_bytes(APP_LAYER[:3000]))

config_document: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2024-01-02T03:04:05Z",
    "config": {
        "Env": ["PATH=/bin"],
        "Cmd": ["/app"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"a": "b"},
        "WorkingDir": "/",
    },
    "history": [{"created_by": "one"}, {"created_by": "two", "empty_layer": False}],
    "rootfs": {"type": "layers", "diff_ids": make_image(*LAYERS).diff_ids},
}


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    config = draw(changed_json(config_document))
    manifest = draw(
        changed_json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor(OCI_CONFIG, config),
                "layers": [descriptor(OCI_LAYER, layer) for layer in LAYERS],
                "annotations": {"a": "b"},
            }
        )
    )
    names = {"io.containerd.image.name": "docker.io/a:1", "org.opencontainers.image.ref.name": "1"}
    inner = to_json(
        {
            "mediaType": OCI_INDEX,
            "manifests": draw(changed([descriptor(OCI_MANIFEST, manifest)] * 2)),
        }
    )
    index = {
        "schemaVersion": 2,
        "manifests": [
            descriptor(OCI_MANIFEST, manifest, annotations=names),
            descriptor(OCI_INDEX, inner, annotations=names),
        ],
    }
    saved = [
        {
            "Config": blob_path(config),
            "RepoTags": ["example/app:1.0"],
            "Layers": [blob_path(layer) for layer in LAYERS],
        }
    ]
    documents = {
        "manifest.json": saved,
        "index.json": index,
        "repositories": {"example/app": {"1.0": "blobs"}},
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
    }
    chosen = draw(st.sets(st.sampled_from(sorted(documents)), min_size=1))
    members = [
        *(Member(blob_path(data), data) for data in (*LAYERS, config, manifest, inner)),
        *(Member(name, draw(changed_json(documents[name]))) for name in sorted(chosen)),
    ]
    if draw(st.booleans()):
        members.append(Member(draw(st.sampled_from(members)).name, link=draw(texts)[:90]))
    return draw(st.sampled_from([bytes, gzip_bytes]))(tar_bytes(members))


def check(content: bytes) -> None:
    FILE.write_bytes(content)
    handles(_read_images)
    for function in (
        validate_docker_tar,
        get_tar_manifest,
        extract_original_tags,
        get_primary_tag,
        inspect_docker_tar,
    ):
        handles(partial(function, FILE))


def _read_images() -> None:
    with ImageArchive(FILE) as archive:
        for content in archive.images[:20]:
            for image in content.images[:20]:
                _read(image)
            for tag in (*content.tags, *content.digests):
                handles(partial(archive.select, tag))
            for policy in CompressionPolicy:
                assert PushPlan(archive, content, policy).notes is not None
        handles(archive.select)
        handles(lambda: archive.select(platform=Platform("linux", "amd64")))


def _read(image: ArchiveImage) -> None:
    assert isinstance(image.config_document, dict)
    for layer in image.layers[:20]:
        content = bytearray(layer.size)
        if not layer.member:
            continue
        with image.tar.open(layer.member) as reader:
            assert reader.readinto(memoryview(content)) == layer.size
        to_json([layer.digest, layer.diff_id, list(image.tags)])


TARGET = Target("image archive", archives(), check)
