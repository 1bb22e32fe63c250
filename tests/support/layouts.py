"""OCI layouts of every shape: indexes, attestations, referrers, signatures, artifacts.

    layout = Layout()
    amd64 = layout.image(make_image(), platform="linux/amd64")
    index = layout.index(amd64, layout.attestation(amd64))
    layout.root(index, "app:1")
    path = layout.write(tmp_path / "app.tar")

A method that makes something gives its descriptor; what has been made is in the layout.
"""

import json
from pathlib import Path
from typing import Any

from tests.support.images import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Compress,
    Image,
    Member,
    blob_path,
    descriptor,
    gzip_bytes,
    layer_tar,
    make_image,
    sha256_digest,
    tar_bytes,
    to_json,
)

Descriptor = dict[str, Any]

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"
REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
IN_TOTO = "application/vnd.in-toto+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"


def platform_of(text: str) -> dict[str, Any]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def platform_image(platform: str) -> Image:
    """An image with a layer of its own besides the one that all platforms share."""
    own = layer_tar({"bin/app": platform.encode() * 2000})
    return make_image(layer_tar({"etc/shared": b"shared\n" * 999}), own, **platform_of(platform))


class Layout:
    """A layout in the making. ``blobs`` are by digest, ``roots`` the entries of index.json."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.roots: list[Descriptor] = []
        self.more: list[Member] = []

    def blob(self, media_type: str, data: bytes, **extra: Any) -> Descriptor:
        self.blobs[sha256_digest(data)] = data
        return descriptor(media_type, data, **extra)

    def document(self, media_type: str, content: dict[str, Any], **extra: Any) -> Descriptor:
        whole = {"schemaVersion": 2, "mediaType": media_type, **content}
        return self.blob(media_type, to_json(whole), **extra)

    def image(
        self,
        image: Image,
        *,
        platform: str | None = None,
        compress: Compress = gzip_bytes,
        layer_type: str = f"{OCI_LAYER}+gzip",
        **fields: Any,
    ) -> Descriptor:
        manifest = {
            "config": self.blob(OCI_CONFIG, image.config),
            "layers": [self.blob(layer_type, compress(layer)) for layer in image.layers],
            **fields,
        }
        extra = {"platform": platform_of(platform)} if platform else {}
        return self.document(OCI_MANIFEST, manifest, **extra)

    def plain_image(
        self, image: Image, *, platform: str | None = None, **fields: Any
    ) -> Descriptor:
        """With layers that are not compressed."""
        return self.image(image, platform=platform, compress=bytes, layer_type=OCI_LAYER, **fields)

    def index(self, *children: Descriptor, **fields: Any) -> Descriptor:
        return self.document(OCI_INDEX, {"manifests": list(children), **fields})

    def attestation(self, of: Descriptor) -> Descriptor:
        """What BuildKit adds for a platform: an in-toto statement about the manifest."""
        statement = to_json({"subject": [{"digest": {"sha256": of["digest"][7:]}}]})
        nowhere = {"architecture": "unknown", "os": "unknown"}
        config = {**nowhere, "rootfs": {"type": "layers", "diff_ids": [sha256_digest(statement)]}}
        manifest = {
            "config": self.blob(OCI_CONFIG, to_json(config)),
            "layers": [self.blob(IN_TOTO, statement)],
        }
        annotations = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of["digest"],
        }
        return self.document(OCI_MANIFEST, manifest, platform=nowhere, annotations=annotations)

    def artifact_attestation(self, of: Descriptor) -> Descriptor:
        """What BuildKit adds today: an artifact about the manifest, with the OCI empty config.

        Source: https://docs.docker.com/build/metadata/attestations/attestation-storage/
        """
        manifest = {
            "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
            "config": {**self.blob(EMPTY_TYPE, EMPTY), "data": "e30="},
            "layers": [self.blob(IN_TOTO, to_json({"subject": of["digest"]}))],
            "subject": {key: of[key] for key in ("mediaType", "digest", "size")},
        }
        annotations = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of["digest"],
        }
        nowhere = {"architecture": "unknown", "os": "unknown"}
        return self.document(OCI_MANIFEST, manifest, platform=nowhere, annotations=annotations)

    def referrer(self, subject: Descriptor, content: bytes = b'{"spdx": 1}') -> Descriptor:
        """An artifact about ``subject``, as `oras attach` makes it."""
        return self.artifact(
            content, subject={key: subject[key] for key in ("mediaType", "digest", "size")}
        )

    def artifact(self, content: bytes, **fields: Any) -> Descriptor:
        manifest = {
            "artifactType": "application/spdx+json",
            "config": self.blob(EMPTY_TYPE, EMPTY),
            "layers": [self.blob("application/spdx+json", content)],
            **fields,
        }
        return self.document(OCI_MANIFEST, manifest)

    def signature(self, of: Descriptor) -> Descriptor:
        """What `cosign sign` stores under the tag made of the digest."""
        payload = to_json({"critical": {"image": {"docker-manifest-digest": of["digest"]}}})
        config = {"rootfs": {"type": "layers", "diff_ids": [sha256_digest(payload)]}}
        return self.document(
            OCI_MANIFEST,
            {
                "config": self.blob(OCI_CONFIG, to_json(config)),
                "layers": [self.blob(SIMPLE_SIGNING, payload)],
            },
        )

    def root(self, made: Descriptor, name: str | None = None, **annotations: str) -> Descriptor:
        """Name it in index.json."""
        if name:
            annotations = {REF_NAME: name, **annotations}
        self.roots.append({**made, **({"annotations": annotations} if annotations else {})})
        return made

    def sign(self, made: Descriptor) -> Descriptor:
        """Sign it, and name the signature as cosign does in a registry."""
        return self.root(self.signature(made), f"{cosign_tag(made)}")

    def read(self, made: Descriptor) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.blobs[made["digest"]])
        return document

    def members(self) -> list[Member]:
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.roots}
        return [
            *(Member(blob_path(data), data) for data in self.blobs.values()),
            *self.more,
            Member("index.json", to_json(index)),
            Member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        ]

    def write(self, path: Path) -> Path:
        # Without its folders skopeo makes them, for root, which only root may do.
        folders = [Member("blobs/"), Member("blobs/sha256/")]
        path.write_bytes(tar_bytes([*folders, *self.members()]))
        return path

    def write_folder(self, path: Path) -> Path:
        """The same as a folder, which is made."""
        for member in self.members():
            file = path / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(member.data)
        return path


def cosign_tag(made: Descriptor, ending: str = ".sig") -> str:
    return str(made["digest"]).replace(":", "-") + ending
