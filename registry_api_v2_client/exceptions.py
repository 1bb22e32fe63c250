"""Everything that can go wrong in this library, as one tree.

::

    RegistryError
    ├── ValidationError                 what the caller passed in is wrong
    │   ├── InvalidReferenceError       not a registry/repository:tag
    │   ├── SourceUnreadableError       the image tar cannot be read
    │   │   └── SourceMissingError      it does not exist; a FileNotFoundError as well
    │   ├── SourceChangedError          the image tar was written to while it was read
    │   ├── SourceNotAllowedError       the image tar is where it may not be read
    │   └── TarReadError                the image tar is malformed
    │       └── ArchiveDigestError      a member's bytes are not what its digest says
    ├── SourceUnavailableError          the server of the image tar fails           (retry helps)
    ├── RegistryUnavailableError        no answer: refused, reset, not found        (retry helps)
    │   ├── RegistryTimeoutError        no answer in time                           (retry helps)
    │   └── AnswerCutShortError         an answer without its end                   (retry helps)
    ├── NoSlotError                     the upload limits have no slot for it now   (retry helps)
    ├── TLSError                        a certificate is not trusted, the registry's or ours
    ├── CredentialsError                unreadable, or refused by a token server
    ├── ProxyError                      the proxy on the way to the registry refuses
    └── ResponseError                   the registry answered with an error
        ├── UnauthorizedError           401
        ├── TokenExpiredError           401 during an upload; a new token is fetched   (retry helps)
        ├── DeniedError                 403
        ├── NameUnknownError            404, repository
        ├── ManifestUnknownError        404, manifest or tag
        ├── BlobUnknownError            404, blob
        ├── UploadUnknownError          404, 416: the session is gone or differs    (retry helps)
        ├── DigestMismatchError         the registry stored something else          (retry helps)
        ├── UnsupportedError            405, 415: the registry does not do this
        ├── TagImmutableError           the tag exists, and cannot be moved to another image
        ├── RateLimitedError            429, with the delay asked for               (retry helps)
        ├── ServerError                 5xx, 408, 425, with the delay asked for     (retry helps)
        └── ProtocolError               an answer that the specification does not allow

Each class has a ``kind``, a stable word that ends up in a job's ``error_kind``, and ``retryable``:
whether the same request can succeed later with nothing changed on this side.
"""

from typing import ClassVar, TypeVar

__all__ = [
    "AnswerCutShortError",
    "ArchiveDigestError",
    "BlobUnknownError",
    "CredentialsError",
    "DeniedError",
    "DigestMismatchError",
    "InvalidReferenceError",
    "ManifestUnknownError",
    "NameUnknownError",
    "NoSlotError",
    "ProtocolError",
    "ProxyError",
    "RateLimitedError",
    "RegistryError",
    "RegistryTimeoutError",
    "RegistryUnavailableError",
    "ResponseError",
    "ServerError",
    "SourceChangedError",
    "SourceMissingError",
    "SourceNotAllowedError",
    "SourceUnavailableError",
    "SourceUnreadableError",
    "TLSError",
    "TagImmutableError",
    "TarReadError",
    "TokenExpiredError",
    "UnauthorizedError",
    "UnsupportedError",
    "UploadUnknownError",
    "ValidationError",
]

R = TypeVar("R", bound="ResponseError")

_LONGEST = 1000
"""Characters of a message: it goes into logs, terminals and every failed job's record."""


class RegistryError(Exception):
    """Root of every error that this library raises.

    Messages quote what archives and registries say. They are one line, bounded, without control
    characters, which could forge a log line or drive the terminal that shows them.
    """

    kind: ClassVar[str] = "registry_error"
    retryable: ClassVar[bool] = False

    retry_after: float | None = None
    """Seconds to wait before the next try, if the registry asked for that."""
    registry: str | None = None
    """``host[:port]`` of the registry that failed, if one did."""
    method: str | None = None
    url: str | None = None
    """The request that failed, if one did. The URL has no query, which may carry a signature."""

    def __init__(self, message: str = "") -> None:
        super().__init__(_harmless(message))


class ValidationError(RegistryError):
    """What the caller passed is wrong. The message says what, and how to fix it."""

    kind = "invalid_input"


class InvalidReferenceError(ValidationError):
    """Not an image reference of the form ``[registry/]repository[:tag]``."""

    kind = "invalid_reference"


class SourceUnreadableError(ValidationError):
    """The image tar does not exist, is not a regular file, or may not be read."""

    kind = "source_unreadable"


class SourceMissingError(SourceUnreadableError, FileNotFoundError):
    """There is no such image tar."""


class SourceChangedError(ValidationError):
    """The image tar was written to while it was read, so the bytes may be of two images."""

    kind = "source_changed"


class SourceNotAllowedError(ValidationError):
    """The image tar is where it may not be read."""

    kind = "source_not_allowed"


class TarReadError(ValidationError):
    """The image tar is malformed: truncated, not a tar, or without what its manifest names."""

    kind = "invalid_archive"


class ArchiveDigestError(TarReadError):
    """A member of the image tar does not have the digest that the archive gives."""

    kind = "archive_digest_mismatch"


class SourceUnavailableError(RegistryError):
    """The server that has the image tar cannot be reached, breaks off, or asks to come later."""

    kind = "source_unavailable"
    retryable = True


class RegistryUnavailableError(RegistryError):
    """The registry gave no answer: connection refused or reset, name not found, or timed out."""

    kind = "registry_unavailable"
    retryable = True


class RegistryTimeoutError(RegistryUnavailableError):
    """The registry, or something before it, did not answer within the time-out."""


class AnswerCutShortError(RegistryUnavailableError):
    """The registry, or something before it, ended an answer too early."""


class NoSlotError(RegistryError):
    """``UploadLimits`` have no slot for the registry now. The push goes on without it."""

    kind = "no_slot"
    retryable = True


class TLSError(RegistryError):
    """The registry's certificate or ours is not trusted, or the registry does not speak TLS."""

    kind = "tls"


class CredentialsError(RegistryError):
    """Credentials cannot be read, or the token server does not accept them."""

    kind = "unauthorized"


class ProxyError(RegistryError):
    """The proxy on the way to the registry wants a login, or does not allow the host."""

    kind = "proxy"


class ResponseError(RegistryError):
    """The registry answered with an error.

    Attributes:
        status: HTTP status.
        code: the registry's own code, for instance ``BLOB_UPLOAD_INVALID``, or ``None``.
            Source: OCI distribution specification, "Error Codes".
    """

    kind = "registry_rejected"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after

    def restated(self, kind: type[R], message: str) -> R:
        """The same failure as another kind of error, or in other words."""
        error = kind(message, status=self.status, code=self.code)
        error.registry, error.method, error.url = self.registry, self.method, self.url
        return error


class UnauthorizedError(ResponseError):
    """401: no credentials, or wrong ones."""

    kind = "unauthorized"


class TokenExpiredError(ResponseError):
    """401 for a stream that cannot be sent a second time; a new token has been fetched since."""

    kind = "unauthorized"
    retryable = True


class DeniedError(ResponseError):
    """403: the credentials are good, but not for this."""

    kind = "denied"


class NameUnknownError(ResponseError):
    """404: no such repository."""

    kind = "name_unknown"


class ManifestUnknownError(ResponseError):
    """404: no such tag or manifest in that repository."""

    kind = "manifest_unknown"


class BlobUnknownError(ResponseError):
    """404: no such blob in that repository, or a manifest names blobs that are not there."""

    kind = "blob_unknown"

    digests: frozenset[str] = frozenset()
    """The missing blobs, if the registry names them."""


class UploadUnknownError(ResponseError):
    """404, 416: the upload session is gone or cannot go on; a new one can be started."""

    kind = "upload_unknown"
    retryable = True


class DigestMismatchError(ResponseError):
    """The registry says that the bytes which arrived have another digest."""

    kind = "digest_mismatch"
    retryable = True


class UnsupportedError(ResponseError):
    """405, 415: the registry does not do this: deletes, the catalog, this type of manifest."""

    kind = "unsupported"


class TagImmutableError(ResponseError):
    """The tag names another image already, and the registry is set to keep it."""

    kind = "tag_immutable"


class RateLimitedError(ResponseError):
    """429: too many requests."""

    kind = "rate_limited"
    retryable = True


class ServerError(ResponseError):
    """5xx: the registry failed. 408, 425: it, or a proxy before it, gave up on the request."""

    kind = "registry_unavailable"
    retryable = True


class ProtocolError(ResponseError):
    """The registry's answer is one that the specification does not allow."""

    kind = "protocol"


def _harmless(text: str) -> str:
    """``text`` with unprintable characters escaped, and without its middle if it is long."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
