"""What the registry holds at the end, read past proxy and queue."""

import hashlib
import json
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.support.images import OCI_MANIFEST

ACCEPT = f"{OCI_MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"
TIMEOUT = 30


@dataclass(frozen=True)
class HeldImage:
    """The image that a tag names."""

    digest: str
    config_digest: str
    missing_blobs: tuple[str, ...]
    """Blobs that the manifest names and the registry lacks, or holds in another size."""
    blob_bytes: int


def read_tag(registry_url: str, tag: str) -> HeldImage | None:
    """The image that `repository:tag` names; None if there is no such tag."""
    repository, _, name = tag.rpartition(":")
    base = f"{registry_url}/v2/{repository}"
    request = Request(f"{base}/manifests/{name}", headers={"Accept": ACCEPT})
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            raw = answer.read()
    except HTTPError as error:
        if error.code == 404:
            return None
        raise
    manifest = json.loads(raw)
    blobs = [manifest["config"], *manifest["layers"]]
    missing = tuple(
        blob["digest"]
        for blob in blobs
        if blob_size(f"{base}/blobs/{blob['digest']}") != blob["size"]
    )
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    size = sum(blob["size"] for blob in blobs)
    return HeldImage(digest, manifest["config"]["digest"], missing, size)


def blob_size(url: str) -> int | None:
    try:
        with urlopen(Request(url, method="HEAD"), timeout=TIMEOUT) as answer:
            return int(answer.headers["Content-Length"])
    except HTTPError:
        return None
