"""How uploads to particular registries differ where their answers do not say so; with sources.

What an answer says needs no entry here; docs/reference/registries.md has the whole list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MIB = 1 << 20
_LARGEST_CHUNK = 64 * _MIB
"""A chunk is held in memory: a registry that asks for more than this gets a stream."""


@dataclass(frozen=True, slots=True)
class Quirks:
    """What to know about a registry before an upload.

    Attributes:
        resumes: whether its count of the bytes of an interrupted upload can be trusted.
        chunk: size of a chunk in bytes if it refuses streams; None if it does not accept chunks.
    """

    resumes: bool = True
    # GitHub takes streams of any length, but no larger request with Content-Range:
    # https://github.com/oras-project/rust-oci-client/issues/35
    chunk: int | None = 4 * _MIB

    def chunk_size(self, headers: Mapping[str, str], *, wanted: bool) -> int | None:
        """Size of a chunk in bytes, by the ``headers`` of an answer; None means one stream.

        ``wanted`` says that the registry has refused a stream before.

        Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md, "Pushing a
        blob in chunks"; the largest size is only a proposal, but Cloudflare's registry sends it:
        https://github.com/opencontainers/distribution-spec/issues/485
        """
        least = _bytes(headers, "OCI-Chunk-Min-Length") or 1
        most = _bytes(headers, "OCI-Chunk-Max-Length") or (_LARGEST_CHUNK if wanted else 0)
        if self.chunk is None or not least <= min(most, _LARGEST_CHUNK):
            return None
        return min(max(self.chunk, least), most)


_KNOWN: tuple[tuple[re.Pattern[str], Quirks], ...] = (
    # Amazon ECR: its Range stays at the first chunk, and its upload status is 404;
    # https://github.com/aws/containers-roadmap/issues/2831, https://github.com/dotnet/sdk/pull/33019
    # A part has 5 to 20 MiB: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/
    # API_UploadLayerPart.html, API_CompleteLayerUpload.html (LayerPartTooSmallException)
    (
        re.compile(r"[0-9]+\.dkr[.-]ecr(-fips)?\..+|public\.ecr\.aws"),
        Quirks(resumes=False, chunk=5 * _MIB),
    ),
    # Google Artifact Registry and gcr.io, which it serves: no chunked uploads;
    # https://cloud.google.com/artifact-registry/docs/reference/docker-api
    (re.compile(r".+-docker\.pkg\.dev|(.+\.)?gcr\.io"), Quirks(resumes=False, chunk=None)),
    # Azure: an interrupted upload cannot be resumed;
    # https://github.com/Azure/azure-sdk-for-net/issues/35322
    (re.compile(r".+\.azurecr\.(io|cn|us)"), Quirks(resumes=False)),
)
_OTHERS = Quirks()


def quirks_of(host: str) -> Quirks:
    """What is known about the registry at ``host[:port]``."""
    name = host.partition(":")[0]
    return next((quirks for hosts, quirks in _KNOWN if hosts.fullmatch(name)), _OTHERS)


def _bytes(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 20 else None
