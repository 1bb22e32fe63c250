"""All attempts of a job push one tar, also where another takes its name between two of them."""

from push_queue import Assignment, JobSources
from registry_api_v2_client import FileIdentity, SourceChangedError, SourceFile

from .errors import JobLostError


async def check_same_source(
    sources: JobSources, assignment: Assignment, source: SourceFile
) -> None:
    """Hold the open source against what the job's first attempt opened.

    Raises:
        SourceChangedError: it is another.
        JobLostError: the job runs elsewhere by now.
    """
    seen = _appearance(source.identity)
    noted = await sources.note(assignment, seen)
    if noted is None:
        raise JobLostError
    if noted != seen:
        raise SourceChangedError(
            f"{source.path} is not the tar that earlier attempts read; "
            f"`push-queue retry {assignment.job.id}` pushes the one that is there now"
        )


def _appearance(file: FileIdentity) -> str:
    """What is the same for workers on all hosts.

    The device is numbered by each host for itself, and so are inodes by some network file systems,
    even anew by one host (CIFS with noserverino, FUSE). Wrongly told apart, a good job would fail.
    Size and modification time come from the server.
    """
    return f"{file.size} {file.mtime_ns}"
