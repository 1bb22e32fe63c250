"""Which files a worker may read, and delete if a job asks for it.

A name is resolved once. From then on each folder on the path is opened relative to the one before
it, so that no link made since leads out of the roots.
"""

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from push_queue.jobs.sources import DELETED, GONE
from push_queue.models.job import PushJob
from push_queue.models.source_urls import is_url
from push_queue.models.uploads import tar_of, upload_id_of
from push_queue.settings import Settings
from registry_api_v2_client import FileIdentity, SourceFile, SourceFolder, SourceNotAllowedError
from registry_api_v2_client import open_source as open_anywhere
from registry_api_v2_client.archive.source_file import check_name
from registry_api_v2_client.exceptions import (
    SourceMissingError,
    SourceUnavailableError,
    SourceUnreadableError,
    ValidationError,
)

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)

FOLDER = "kept: a folder, which may hold other images"
CHANGED = "kept: changed since"
_KEPT = {
    errno.ENOENT: GONE,
    errno.EROFS: "kept: read-only file system",
    errno.EACCES: "kept: the worker may not delete there",
    errno.EPERM: "kept: the worker may not delete there",
    errno.ENOTDIR: CHANGED,
    errno.ELOOP: CHANGED,
}


class Place(NamedTuple):
    """Where the source of a job lies for this worker."""

    path: str
    roots: Sequence[Path]
    """The folders below which it has to be; anywhere if there are none."""


def place_of(source: str, settings: Settings) -> Place:
    """Where the source lies: an upload in the spool, a file where its name says.

    What is at a URL lies nowhere below which something could be deleted.

    Raises:
        SourceNotAllowedError: it is an upload, and this worker has no spool.
    """
    if is_url(source):
        return Place(source, ())
    upload_id = upload_id_of(source)
    if upload_id is None:
        return Place(source, settings.source_roots)
    if settings.spool is None:
        raise SourceNotAllowedError(
            f"{source} is in the spool, which this worker does not have: set PUSH_QUEUE_SPOOL "
            "for it, or PUSH_QUEUE_SERVER and PUSH_QUEUE_TOKEN"
        )
    return Place(str(tar_of(settings.spool, upload_id)), (settings.spool,))


def open_source_of(job: PushJob, settings: Settings) -> SourceFile | SourceFolder:
    """Open the source of a job. Blocking.

    Raises:
        SourceNotAllowedError, SourceUnreadableError: as ``place_of`` and ``open_source``.
        SourceUnavailableError: the spool's folder is away, so nobody knows what is in it.
    """
    path, roots = place_of(job.source, settings)
    try:
        return open_source(path, roots, cleanup=job.cleanup)
    except SourceMissingError as error:
        if path == job.source:
            raise SourceMissingError(
                f"{error} on {socket.gethostname()}, where the worker runs; mount it there at the "
                "same path, or upload it with --server"
            ) from None
        if not all(root.is_dir() for root in roots):
            raise SourceUnavailableError(
                f"{job.source} is in the spool, which this worker does not find: mount the folder "
                "PUSH_QUEUE_SPOOL there again"
            ) from None
        raise SourceMissingError(
            f"{job.source} is not in the spool any more; upload it again"
        ) from None


def open_source(source: str, roots: Sequence[Path], *, cleanup: bool) -> SourceFile | SourceFolder:
    """Open a job's source. Blocking.

    Raises:
        SourceNotAllowedError: it is not below one of the roots, with links followed; or it is to be
            deleted and there are no roots.
        SourceUnreadableError: missing, neither a regular file nor a layout, or not readable.
    """
    if not roots:
        if cleanup:
            raise SourceNotAllowedError(
                f"{source} cannot be deleted after the push: set PUSH_QUEUE_SOURCE_ROOTS for the "
                "workers, or enqueue it without cleanup"
            )
        return open_anywhere(source)
    root, path = _resolve(source, roots)

    def open_below(name: str, flags: int) -> int:
        with _folder(root, path) as folder:
            return os.open(path.name, flags | os.O_NOFOLLOW, dir_fd=folder)

    return open_anywhere(path, open_below)


def delete_source(
    source: str | Path, roots: Sequence[Path], unwanted: Callable[[FileIdentity], bool]
) -> str:
    """Delete the file if it is ``unwanted``, and return what happened to it. Blocking.

    A folder is kept: a layout may hold other images, and other files.

    Another file that takes its name in the microseconds between check and deletion is lost: no
    system call prevents that.
    """
    try:
        root, path = _resolve(str(source), roots)
        with _folder(root, path) as folder:
            status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                return FOLDER
            if not unwanted(FileIdentity.of(status)):
                return CHANGED
            os.unlink(path.name, dir_fd=folder)
    except SourceNotAllowedError:
        return CHANGED
    except SourceUnreadableError as error:
        return f"kept: {error}"
    except OSError as error:
        return _KEPT.get(error.errno or 0, f"kept: {error.strerror}")
    return DELETED


def unread_source(source: str, roots: Sequence[Path], enqueued_at_ms: int) -> FileIdentity | None:
    """The file that a job named but did not read, if it has not changed since it was enqueued.

    A file that came later, or was written to, has a later change time. Blocking.
    """
    try:
        root, path = _resolve(source, roots)
        with _folder(root, path) as folder:
            status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except (ValidationError, OSError):
        return None
    changed_at_ms = max(status.st_ctime_ns, status.st_mtime_ns) // 1_000_000
    return FileIdentity.of(status) if changed_at_ms <= enqueued_at_ms else None


def _resolve(source: str, roots: Sequence[Path]) -> tuple[Path, Path]:
    """The root, and the real path below it."""
    check_name(source)
    real = Path(os.path.realpath(source))
    # Whether the file exists is not checked, so that nothing is revealed about what lies outside
    # the roots.
    for root in map(Path.resolve, roots):
        if real != root and real.is_relative_to(root):
            return root, real
    raise SourceNotAllowedError(
        f"{source} is not below {' or '.join(map(str, roots))}, where workers read; "
        "see PUSH_QUEUE_SOURCE_ROOTS"
    )


@contextmanager
def _folder(root: Path, path: Path) -> Iterator[int]:
    """A descriptor of the folder that ``path`` is in, reached from ``root`` without links."""
    folder = os.open(root, _FOLDER)
    try:
        for part in path.parent.relative_to(root).parts:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)
