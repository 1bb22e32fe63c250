"""What the library's functions take and return."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .descriptors import BlobInfo


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """A registry: its URL, and the seconds without progress after which requests fail."""

    url: str
    timeout: float = 30

    @property
    def base_url(self) -> str:
        """The URL without trailing slash."""
        return self.url.rstrip("/")


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """An image manifest: one config, and the layers with the base first."""

    schema_version: int
    media_type: str
    config: BlobInfo
    layers: tuple[BlobInfo, ...]
    digest: str | None = None

    @property
    def total_size(self) -> int:
        """Bytes of config and layers together."""
        return self.config.size + sum(layer.size for layer in self.layers)


class ImageConfig(BaseModel):
    """How an image runs, from its config.

    Source: https://github.com/opencontainers/image-spec/blob/main/config.md
    """

    model_config = ConfigDict(frozen=True)

    architecture: str = ""
    """As Go names it: ``amd64``, ``arm64``."""
    os: str = ""
    """``linux`` or ``windows``."""
    created: datetime | None = None
    """When the image was made."""
    cmd: list[str] = Field(default_factory=list)
    """The default arguments."""
    entrypoint: list[str] = Field(default_factory=list)
    """The command that runs."""
    env: list[str] = Field(default_factory=list)
    """``NAME=value`` of each variable."""
    user: str = ""
    """Who runs it: a name or number, maybe with a group."""
    working_dir: str | None = None
    """The folder in which it runs."""
    exposed_ports: dict[str, Any] = Field(default_factory=dict)
    """``port/protocol``; the values are empty."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Names and values that its maker gave it."""
    diff_ids: list[str] = Field(default_factory=list)
    """The digests of the uncompressed layers, the base first."""


class LayerInfo(BaseModel):
    """One layer as the tar stores it: ``size`` in stored bytes, ``digest`` if it is known."""

    model_config = ConfigDict(frozen=True)

    digest: str
    """Of the layer as it is stored."""
    size: int
    """Bytes as they are stored."""
    media_type: str
    """Says whether and how it is compressed."""
    created: datetime | None = None
    """When it was made, as the history says."""
    created_by: str | None = None
    """The command that made it, as the history says."""


class ImageInspect(BaseModel):
    """An image in a tar, in the shape of ``docker image inspect``."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="digest of the config")
    """The digest of the config."""
    repo_tags: list[str] = Field(default_factory=list)
    """Its tags in the tar."""
    repo_digests: list[str] = Field(default_factory=list)
    """Empty: a tar has none."""
    parent: str | None = None
    """The image that it was built on, as old builders noted it."""
    comment: str = ""
    """What its maker noted."""
    created: datetime | None = None
    """When it was made."""
    config: ImageConfig
    """How it runs."""
    layers: list[LayerInfo] = Field(default_factory=list)
    """The base first."""
    size: int = Field(default=0, description="bytes of config and layers as stored in the tar")
    """Bytes of config and layers as they are stored in the tar."""
    virtual_size: int = 0
    """The same."""
    architecture: str = ""
    """As Go names it: ``amd64``, ``arm64``."""
    os: str = ""
    """``linux`` or ``windows``."""
    author: str = ""
    """Its maker."""
    rootfs_type: str = "layers"
    """Always ``layers``."""
    rootfs_layers: list[str] = Field(default_factory=list)
    """The digests of the uncompressed layers, the base first."""
