"""A distribution registry for one run, with its storage in memory."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import Request, urlopen

from ..errors import ContenderError
from ..programs import POLL_SECONDS
from .process import free_port, keep_waiting, server

_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {root}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    )
)


@dataclass(frozen=True)
class LocalRegistry:
    """A running registry over plain HTTP."""

    host: str

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def target(self, image: str, tag: str = "latest") -> str:
        """Where to push the image of this name."""
        return f"{self.host}/{self.repository(image)}:{tag}"

    @staticmethod
    def repository(image: str) -> str:
        return f"benchmark/{image}"

    def answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/v2/", timeout=5):
                return True
        except (URLError, ConnectionError, HTTPException, TimeoutError):
            return False

    def layer_bytes(self, repository: str, tag: str, layers: int) -> int:
        """Stored size of an image's layers, every one of which the registry confirms.

        Raises:
            ContenderError: the image is not there, or not whole.
        """
        base = f"{self.url}/v2/{repository}"
        try:
            with urlopen(_request(f"{base}/manifests/{tag}")) as answer:
                descriptors = json.load(answer)["layers"]
            for descriptor in descriptors:
                url = f"{base}/blobs/{descriptor['digest']}"
                with urlopen(_request(url, "HEAD")) as answer:
                    if int(answer.headers["Content-Length"]) != descriptor["size"]:
                        raise ContenderError(f"{descriptor['digest']} is stored in part")
        except URLError as error:
            raise ContenderError(f"the pushed image cannot be read back: {error}") from error
        if len(descriptors) != layers:
            raise ContenderError(f"{len(descriptors)} layers arrived of {layers}")
        return sum(descriptor["size"] for descriptor in descriptors)


def _request(url: str, method: str = "GET") -> Request:
    return Request(url, method=method, headers={"Accept": _MANIFESTS})


@contextmanager
def fresh_registry(parent: Path) -> Iterator[LocalRegistry]:
    """An empty registry on a free port; its storage is deleted when the block ends."""
    with TemporaryDirectory(prefix="registry-", dir=parent) as name:
        folder = Path(name)
        registry = LocalRegistry(f"127.0.0.1:{(port := free_port())}")
        config = folder / "config.yml"
        config.write_text(_CONFIG.format(root=folder / "data", port=port))
        log = folder / "docker-registry.log"
        with server(["docker-registry", "serve", config], log) as process:
            since = time.monotonic()
            while not registry.answers():
                keep_waiting(process, log, since)
                time.sleep(POLL_SECONDS)
            yield registry
