"""Every problem that an answer may be, by its status and its type, which stays the same."""

from enum import Enum
from http import HTTPStatus

URN = "urn:push-queue:problem:"


class ProblemType(Enum):
    """A type of problem. Its docstring says what it means, and what to do."""

    INVALID_REQUEST = HTTPStatus.BAD_REQUEST, "invalid-request"
    """The head, the body or a parameter is wrong. ``detail`` names the field, and never repeats its
    value where that may be secret."""
    INVALID_ARCHIVE = HTTPStatus.BAD_REQUEST, "invalid-archive"
    """The upload is no image tar, and is deleted. Look at how the tar was made."""
    DIGEST_MISMATCH = HTTPStatus.BAD_REQUEST, "digest-mismatch"
    """The upload is not what its digest says, and is deleted. Upload it again."""
    INCONSISTENT_UPLOAD_LENGTH = HTTPStatus.BAD_REQUEST, "inconsistent-upload-length"
    """There are more or fewer bytes than ``Upload-Length`` says."""

    TOKEN_MISSING = HTTPStatus.UNAUTHORIZED, "token-missing"
    """Send a token: ``Authorization: Bearer TOKEN``."""
    TOKEN_UNKNOWN = HTTPStatus.UNAUTHORIZED, "token-unknown"
    """The server does not know the token. Send one that is in its ``PUSH_QUEUE_API_TOKENS``."""
    TOKEN_INVALID = HTTPStatus.UNAUTHORIZED, "token-invalid"
    """The OpenID Connect token is expired, for another audience, or not the issuer's."""
    SESSION_UNKNOWN = HTTPStatus.UNAUTHORIZED, "session-unknown"
    """The session has ended. Log in again."""

    ROLE_MISSING = HTTPStatus.FORBIDDEN, "role-missing"
    """The caller's role does not allow it. ``detail`` says which one does."""
    TARGET_NOT_ALLOWED = HTTPStatus.FORBIDDEN, "target-not-allowed"
    """The caller may not push there. ``detail`` says where it may."""
    CLAIMS_NOT_ALLOWED = HTTPStatus.FORBIDDEN, "claims-not-allowed"
    """No rule of ``PUSH_QUEUE_API_OIDC`` fits the claims of the token."""
    OTHER_ORIGIN = HTTPStatus.FORBIDDEN, "other-origin"
    """A web page of another origin sent it. Call the API from a program."""

    NOT_FOUND = HTTPStatus.NOT_FOUND, "not-found"
    """There is nothing at this path. ``/openapi.json`` lists the paths."""
    UNKNOWN_JOB = HTTPStatus.NOT_FOUND, "unknown-job"
    """There is no such job: it was never enqueued, has expired, or is not the caller's."""
    UNKNOWN_WORKER = HTTPStatus.NOT_FOUND, "unknown-worker"
    """No worker that is alive has this id."""
    UNKNOWN_WEBHOOK = HTTPStatus.NOT_FOUND, "unknown-webhook"
    """No worker has a receiver of webhooks of this name in its settings."""
    UNKNOWN_UPLOAD = HTTPStatus.NOT_FOUND, "unknown-upload"
    """There is no such upload: it was pushed, not used in time, or is not the caller's. Upload the
    tar again."""
    NO_SPOOL = HTTPStatus.NOT_FOUND, "no-spool"
    """The server takes no uploads, as it has no ``PUSH_QUEUE_SPOOL``."""

    METHOD_NOT_ALLOWED = HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed"
    """The path does not take this method. ``Allow`` says which it takes."""
    REQUEST_TIMEOUT = HTTPStatus.REQUEST_TIMEOUT, "request-timeout"
    """The head did not arrive within 15 s, the body within 30 s, or no byte of an upload for 30 s.
    Send it again; go on where an upload ends."""

    JOB_CONFLICT = HTTPStatus.CONFLICT, "job-conflict"
    """The id is that of a job with another source, target or option. Use another id."""
    UNREADABLE_JOB = HTTPStatus.CONFLICT, "unreadable-job"
    """The job's record is damaged. Enqueue it again, with another id."""
    SOURCE_GONE = HTTPStatus.CONFLICT, "source-gone"
    """The job cannot run again: what it pushed is deleted."""
    WEBHOOK_IN_USE = HTTPStatus.CONFLICT, "webhook-in-use"
    """A worker has the receiver of webhooks in its settings. Take it out of all workers' first."""
    OLD_WORKER = HTTPStatus.CONFLICT, "old-worker"
    """The worker is of a release that cannot be drained. End it by SIGTERM."""
    NO_TOKENS = HTTPStatus.CONFLICT, "no-tokens"
    """The server has no tokens, so there is nothing to log in with, and no need to."""
    MISMATCHING_UPLOAD_OFFSET = HTTPStatus.CONFLICT, "mismatching-upload-offset"
    """The bytes are for another place than where the upload ends, which ``Upload-Offset`` says."""
    COMPLETED_UPLOAD = HTTPStatus.CONFLICT, "completed-upload"
    """The upload is complete already."""
    UPLOAD_INCOMPLETE = HTTPStatus.CONFLICT, "upload-incomplete"
    """The upload is not complete. Go on with ``PATCH``."""
    UPLOAD_BUSY = HTTPStatus.CONFLICT, "upload-busy"
    """Another request writes the upload. Wait for its end."""
    UPLOAD_NEEDED = HTTPStatus.CONFLICT, "upload-needed"
    """A job that is not finished names the upload, so no worker may delete it."""

    REQUEST_ENTITY_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request-entity-too-large"
    """The body is over 1 MiB, or over 4 KiB where it holds no jobs."""
    UPLOAD_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "upload-too-large"
    """The upload has more bytes than the spool takes in all (``PUSH_QUEUE_SPOOL_QUOTA``)."""
    UNSUPPORTED_MEDIA_TYPE = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"
    """The body is not ``application/json``, or is compressed."""
    EXPECTATION_FAILED = HTTPStatus.EXPECTATION_FAILED, "expectation-failed"
    """``Expect`` is something else than ``100-continue``."""
    UNKNOWN_HOST = HTTPStatus.MISDIRECTED_REQUEST, "unknown-host"
    """There are no tokens, and ``Host``, or the URL in the request line, is not the loopback."""

    TOO_MANY_REQUESTS = HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests"
    """The caller sends more than ``PUSH_QUEUE_API_RATE`` requests a second, or waits for 64 answers
    already. Come again after ``Retry-After`` seconds."""
    TOO_MANY_STREAMS = HTTPStatus.TOO_MANY_REQUESTS, "too-many-streams"
    """``PUSH_QUEUE_API_STREAMS`` requests of the caller follow or wait already."""
    TOO_MANY_BODIES = HTTPStatus.TOO_MANY_REQUESTS, "too-many-bodies"
    """The caller sends more than 16 MiB of jobs at once."""
    TOO_MANY_UPLOADS_OF_CALLER = HTTPStatus.TOO_MANY_REQUESTS, "too-many-uploads"
    """32 uploads of the caller arrive already."""

    INTERNAL_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error"
    """Something of ours failed. The server's log says what."""
    REDIS_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE, "redis-unavailable"
    """Redis is away. Try again after ``Retry-After`` seconds; nothing that was accepted is lost."""
    SPOOL_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE, "spool-unavailable"
    """The folder of uploads is away or cannot be used. Try again later. The server's log names it,
    and so does ``push-queue doctor``; once it is back, uploads go on."""
    ISSUER_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE, "issuer-unavailable"
    """The keys of the CI system cannot be read. Try again later."""
    TOO_MANY_CONNECTIONS = HTTPStatus.SERVICE_UNAVAILABLE, "too-many-connections"
    """1000 connections are open, each with a request under way."""
    TOO_MANY_FOLLOWERS = HTTPStatus.SERVICE_UNAVAILABLE, "too-many-followers"
    """500 requests follow jobs or wait for them already."""
    TOO_MANY_UPLOADS = HTTPStatus.SERVICE_UNAVAILABLE, "too-many-uploads"
    """100 requests upload already."""
    SPOOL_FULL = HTTPStatus.INSUFFICIENT_STORAGE, "spool-full"
    """Other uploads leave too little room for now. ``detail`` says which setting forbids it."""

    def __init__(self, status: HTTPStatus, kind: str) -> None:
        self.status = status
        self.kind = kind

    @property
    def uri(self) -> str:
        """The ``type`` of the problem, as it is answered."""
        return URN + self.kind
