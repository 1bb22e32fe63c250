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
    os: str = ""
    created: datetime | None = None
    cmd: list[str] = Field(default_factory=list)
    entrypoint: list[str] = Field(default_factory=list)
    env: list[str] = Field(default_factory=list)
    user: str = ""
    working_dir: str | None = None
    exposed_ports: dict[str, Any] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    diff_ids: list[str] = Field(default_factory=list)


class LayerInfo(BaseModel):
    """One layer as the tar stores it: ``size`` in stored bytes, ``digest`` if it is known."""

    model_config = ConfigDict(frozen=True)

    digest: str
    size: int
    media_type: str
    created: datetime | None = None
    created_by: str | None = None


class ImageInspect(BaseModel):
    """An image in a tar, in the shape of ``docker image inspect``."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="digest of the config")
    repo_tags: list[str] = Field(default_factory=list)
    repo_digests: list[str] = Field(default_factory=list)
    parent: str | None = None
    comment: str = ""
    created: datetime | None = None
    config: ImageConfig
    layers: list[LayerInfo] = Field(default_factory=list)
    size: int = Field(default=0, description="bytes of config and layers as stored in the tar")
    virtual_size: int = 0
    architecture: str = ""
    os: str = ""
    author: str = ""
    rootfs_type: str = "layers"
    rootfs_layers: list[str] = Field(default_factory=list)
