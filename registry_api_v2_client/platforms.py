"""Platforms of images: ``linux/arm64``, ``linux/arm/v7``, ``windows/amd64``.

Source: https://github.com/opencontainers/image-spec/blob/main/image-index.md ("platform"); the
alternative names of an architecture are containerd's:
https://github.com/containerd/platforms/blob/main/database.go
"""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .exceptions import ValidationError

_WRITTEN = re.compile(r"[a-z0-9_]+/[a-z0-9_-]+(?:/[a-z0-9]+)?")
_SAME_ARCHITECTURE = {
    "aarch64": ("arm64", ""),
    "armel": ("arm", "v6"),
    "armhf": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "i386": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
}
_SAME_VARIANT = {
    ("amd64", "v1"): "",
    ("arm64", "8"): "",
    ("arm64", "v8"): "",
    ("arm", ""): "v7",
    ("arm", "5"): "v5",
    ("arm", "6"): "v6",
    ("arm", "7"): "v7",
}


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on. There is one spelling for each, so equal platforms compare equal."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Read ``os/architecture[/variant]``.

        Raises:
            ValidationError: anything else.
        """
        if not _WRITTEN.fullmatch(text.lower()):
            raise ValidationError(
                f"{text!r} is not a platform; write os/architecture[/variant], e.g. linux/arm64"
            )
        return _in_one_spelling(*text.lower().split("/"))

    @classmethod
    def of_this_machine(cls) -> "Platform":
        """The platform of images that run here: Linux, also on a Mac."""
        return _in_one_spelling("linux", platform.machine().lower())

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Platform | None":
        """The platform of an image config or of an index entry, if it names one."""
        parts = [document.get(field) or "" for field in ("os", "architecture", "variant")]
        if not all(isinstance(part, str) for part in parts) or not (parts[0] and parts[1]):
            return None
        return _in_one_spelling(*parts)

    @property
    def known(self) -> bool:
        """Whether an image could run on it. BuildKit gives attestations unknown/unknown."""
        return self.os != "unknown"

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def _in_one_spelling(os: str, architecture: str, variant: str = "") -> Platform:
    architecture, implied = _SAME_ARCHITECTURE.get(architecture, (architecture, ""))
    variant = variant or implied
    return Platform(os, architecture, _SAME_VARIANT.get((architecture, variant), variant))
