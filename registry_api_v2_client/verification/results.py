"""What a verification finds."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a part of the image in the registry compares with the tar."""

    EQUAL = "equal"
    """The registry has what the tar has."""
    DIFFERENT = "different"
    """The registry has something else."""
    MISSING = "missing"
    """The registry names a blob that it does not hold."""
    CORRUPT = "corrupt"
    """The registry holds bytes that are not what their digest says."""


class Proof(StrEnum):
    """What a verdict is based on."""

    DIGEST = "digest"
    """Only digests, and the size of a blob that has to be there."""
    CONTENT = "content"
    """The blob was downloaded, decompressed and hashed."""


@dataclass(frozen=True, slots=True)
class PartCheck:
    """The config or a layer.

    ``tar`` is the config's digest or the layer's diff_id in the tar, ``registry`` the blob's digest
    and ``size`` its bytes there. They are None for a side without such a part.
    """

    part: str
    tar: str | None
    registry: str | None
    size: int | None
    verdict: Verdict
    proof: Proof


@dataclass(frozen=True, slots=True)
class Verification:
    """The digest of the manifest, and its parts: the config, then the layers, base first."""

    digest: str
    parts: tuple[PartCheck, ...]

    @property
    def equal(self) -> bool:
        """Whether the registry holds exactly the image of the tar."""
        return all(part.verdict is Verdict.EQUAL for part in self.parts)
