"""The kinds of errors: what ``error_kind`` of a job may say, what it means, and what to do.

Most are those of the registry client's errors, whose ``kind`` is the same word.
"""

from enum import StrEnum


class ErrorKind(StrEnum):
    """What went wrong with an attempt or a job."""

    ARCHIVE_DIGEST_MISMATCH = "archive_digest_mismatch"
    """A file in the tar is not what its digest says: the tar is damaged. Copy it or make it
    again."""
    INVALID_ARCHIVE = "invalid_archive"
    """The tar is cut off, is no tar, or lacks what its manifest names. Make it again, and look
    whether the disk was full."""
    SOURCE_CHANGED = "source_changed"
    """The tar was written to while it was read, so the bytes may be of two images. Enqueue it once
    it is complete, and give each build a file of its own."""
    SOURCE_NOT_ALLOWED = "source_not_allowed"
    """The tar is where workers may not read. Move it, or add its place to
    ``PUSH_QUEUE_SOURCE_ROOTS`` or ``PUSH_QUEUE_SOURCE_URLS`` of the workers."""
    SOURCE_UNAVAILABLE = "source_unavailable"
    """The server that has the tar cannot be reached, breaks off, or asks to come later; or the
    spool's folder is away. The job waits for it; look whether the workers reach it."""
    SOURCE_UNREADABLE = "source_unreadable"
    """The tar does not exist, is no regular file, or may not be read. Workers have to see it at the
    same path, and to be allowed to read it."""

    INVALID_INPUT = "invalid_input"
    """The job asks for what cannot be, such as an image that is not in the tar. Mend it as the
    error says, and enqueue it anew."""
    INVALID_JOB = "invalid_job"
    """The job's record in Redis cannot be read: it was damaged, or something else wrote it. Enqueue
    it again, with another id."""
    INVALID_REFERENCE = "invalid_reference"
    """A target is not of the form ``registry/repository:tag``. Mend it, and enqueue the job
    anew."""
    TARGET_NOT_ALLOWED = "target_not_allowed"
    """``PUSH_QUEUE_TARGETS`` of the workers does not have the target. Push elsewhere, or have it
    added there."""

    UNAUTHORIZED = "unauthorized"
    """The workers have no login for the registry, or one that it or its token server does not
    accept. Log in where they run, or set ``PUSH_QUEUE_REGISTRY_AUTH``; then retry the job."""
    DENIED = "denied"
    """The login is good, but may not push there. Give the account that right, or use another."""
    TLS = "tls"
    """A certificate is not trusted, the registry's or ours, or the registry does not speak TLS. Put
    its authority into ``PUSH_QUEUE_REGISTRY_CERTS_DIR``, or a registry without TLS into
    ``PUSH_QUEUE_PLAIN_HTTP_HOSTS``."""

    PROXY = "proxy"
    """The proxy on the way to the registry refuses: it wants a login, or does not allow the host.
    Write the login into ``HTTPS_PROXY`` of the workers, or the host into their ``NO_PROXY``."""

    REGISTRY_UNAVAILABLE = "registry_unavailable"
    """The registry gave no answer, or failed (5xx). The job has waited for it for as long as it was
    to (``PUSH_QUEUE_GIVE_UP_AFTER_SECONDS``). Once the registry is back, retry the job."""
    RATE_LIMITED = "rate_limited"
    """The registry says that there are too many requests (429). All workers pause as it asks. If it
    goes on, lower ``PUSH_QUEUE_REGISTRY_MAX_UPLOADS``."""
    NO_SLOT = "no_slot"
    """All upload slots of the registry are in use. The job waits for one, and never fails by
    this."""

    BLOB_UNKNOWN = "blob_unknown"
    """The registry misses a blob that it had. If it was emptied, have it forgotten by ``push-queue
    purge --registry-knowledge HOST``; then retry the job."""
    DIGEST_MISMATCH = "digest_mismatch"
    """The registry received other bytes than were sent. If it goes on, something in between, such
    as a proxy, changes them."""
    MANIFEST_UNKNOWN = "manifest_unknown"
    """The registry does not have the tag or manifest that was asked for. Look at its name."""
    NAME_UNKNOWN = "name_unknown"
    """The registry does not have the repository. Look at its name; some registries want it to be
    created before a push."""
    PROTOCOL = "protocol"
    """An answer that the specification does not allow. Look whether a registry is at that address,
    and what proxies before it do."""
    REGISTRY_ERROR = "registry_error"
    """Any other error of the client."""
    REGISTRY_REJECTED = "registry_rejected"
    """The registry refused the request for a reason of its own, which the error quotes."""
    TAG_IMMUTABLE = "tag_immutable"
    """The tag names another image already, and the registry is set to keep it. Push to another
    tag."""
    UNSUPPORTED = "unsupported"
    """The registry does not do what was asked, such as take this type of manifest. Turn it on
    there, or push in another form (``--platform``, ``--compression``)."""
    UPLOAD_UNKNOWN = "upload_unknown"
    """The registry has lost an upload session, and a new one, too. If several registries answer at
    one address, they have to share their storage."""

    WORKER_LOST = "worker_lost"
    """The workers of all attempts died or hung. Look at their logs, and at the memory that they may
    use; then retry the job."""
    INTERNAL = "internal"
    """The worker itself failed. Its log has the traceback; please report it."""


BAD_INPUT = frozenset(
    {
        ErrorKind.ARCHIVE_DIGEST_MISMATCH,
        ErrorKind.INVALID_ARCHIVE,
        ErrorKind.INVALID_INPUT,
        ErrorKind.INVALID_REFERENCE,
        ErrorKind.SOURCE_CHANGED,
        ErrorKind.SOURCE_NOT_ALLOWED,
        ErrorKind.SOURCE_UNREADABLE,
    }
)
"""What is wrong with what was asked for; a command that waits for such a job exits with 2."""
