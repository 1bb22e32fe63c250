"""What producers refuse, and why what stays running does not start or does not go on.

::

    QueueError
    ├── CannotStartError         the machine lacks something, or something is in the way
    ├── PartFailedError          a part of the system ends again and again
    ├── RedisUnavailableError    (push_queue.errors)
    │   └── NotAllEnqueuedError  one of several is away; the others have their jobs
    ├── ServerUnavailableError   the server of the HTTP API cannot be reached
    ├── ServerRefusedError       it does not do what is asked
    ├── NoSpoolError             there is no spool of uploads here
    └── UploadError              what is asked of an upload cannot be done
        ├── UnknownUploadError   there is no such upload
        ├── UploadBusyError      somebody else writes it just now
        ├── OffsetError          bytes are sent for another place than where it ends
        ├── UploadCompleteError  it is complete already
        ├── UploadIncompleteError  bytes of it are missing
        ├── UploadLengthError    it is to have another length
        ├── UploadTooLargeError  it could never fit
        ├── UploadDigestError    its bytes are not those that were meant
        ├── SpoolFullError       there is no room for it
        ├── SpoolBusyError       too many are written at once
        └── SpoolUnavailableError  its folder is away
"""

from collections.abc import Sequence

from push_queue.errors import QueueError, RedisUnavailableError
from push_queue.models.job_status import JobStatus
from push_queue.models.uploads import is_upload_id, source_of


class NotAllEnqueuedError(RedisUnavailableError):
    """One of several Redis servers is away, and the others have their jobs."""

    def __init__(self, enqueued: Sequence[JobStatus], asked: int, failure: Exception) -> None:
        super().__init__(f"{asked - len(enqueued)} of {asked} jobs are not enqueued: {failure}")
        self.enqueued = enqueued


class CannotStartError(QueueError):
    """The machine lacks something, or something is in the way."""


class PartFailedError(QueueError):
    """A part of the system ends again and again; the message has its last words."""


class ServerUnavailableError(QueueError):
    """The server of the HTTP API cannot be reached, or cannot work now."""


class ServerRefusedError(QueueError):
    """The server does not do what is asked."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind
        """Which problem it is, as ``docs/reference/errors.md`` lists them."""


class NoSpoolError(QueueError):
    """There is no spool of uploads here."""


class UploadError(QueueError):
    """What is asked of an upload cannot be done."""


class UnknownUploadError(UploadError):
    """There is no such upload, or it is another caller's."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            f"there is no {source_of(upload_id)}: it has been pushed or deleted, was not used in "
            "time, or is another caller's; upload it again"
            if is_upload_id(upload_id)
            else f"{upload_id!r} is not the id of an upload, which POST and PUT answer with"
        )


class UploadBusyError(UploadError):
    """Somebody else writes it just now."""


class OffsetError(UploadError):
    """Bytes are sent for another place than where the upload ends."""

    def __init__(self, upload_id: str, expected: int, given: int) -> None:
        super().__init__(
            f"{source_of(upload_id)} has {expected} bytes, and these begin at {given}; "
            "go on where it ends"
        )
        self.expected = expected


class UploadCompleteError(UploadError):
    """It is complete already."""


class UploadIncompleteError(UploadError):
    """Bytes of it are missing."""

    def __init__(self, upload_id: str, offset: int, length: int | None) -> None:
        all_of_it = "" if length is None else f" of {length}"
        super().__init__(
            f"{source_of(upload_id)} is not complete: {offset}{all_of_it} bytes are here; "
            "go on with PATCH, until it says Upload-Complete: ?1"
        )


class UploadLengthError(UploadError):
    """It is to have another length."""


class UploadTooLargeError(UploadError):
    """It could never fit into the spool, however empty that is."""


class UploadDigestError(UploadError):
    """Its bytes are not those that were meant."""


class SpoolFullError(UploadError):
    """There is no room for it."""


class SpoolBusyError(UploadError):
    """Too many uploads are written at once."""


class SpoolUnavailableError(UploadError):
    """Its folder is away or cannot be used. The message does not say where it is: strangers read
    it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the spool of uploads cannot be used ({reason}); try again later, and look for the "
            "folder in the server's log"
        )
