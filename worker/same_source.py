"""All attempts of a job push the same tar, even if another file takes its name meanwhile."""

from push_queue.jobs.sources import JobSources
from push_queue.models.assignments import Assignment
from push_queue.models.uploads import upload_id_of
from registry_api_v2_client import Source, SourceChangedError

from .errors import JobLostError


async def check_same_source(sources: JobSources, assignment: Assignment, source: Source) -> None:
    """Compare the open source with the one that the job's first attempt opened.

    Raises:
        SourceChangedError: they differ.
        JobLostError: the job runs elsewhere by now.
    """
    if upload_id_of(assignment.job.source):
        # It never changes, and looks different by HTTP.
        return
    seen = source.appearance
    noted = await sources.note(assignment, seen)
    if noted is None:
        raise JobLostError
    if noted != seen:
        raise SourceChangedError(
            f"{source.path} is not the tar that earlier attempts read; "
            f"`push-queue retry {assignment.job.id}` pushes the one that is there now"
        )
