"""Jobs whose source is an upload: checked, and kept until the last of them has ended."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from producer.api.context import QUEUE
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from producer.api.uploads.handlers import own_upload, spool_of
from producer.errors import UnknownUploadError, UploadBusyError
from producer.spool.spool import Spool
from push_queue.models.job import PushJob
from push_queue.models.uploads import upload_id_of
from registry_api_v2_client.archive.image_archive import ImageArchive
from registry_api_v2_client.exceptions import TarReadError


def with_cleanup(jobs: Sequence[PushJob]) -> list[PushJob]:
    """The jobs, of which the last that names an upload asks for its deletion.

    The others may have ended before it is enqueued.
    """
    last = {job.source: job.id for job in jobs}
    return [
        job.model_copy(update={"cleanup": last[job.source] == job.id})
        if upload_id_of(job.source)
        else job
        for job in jobs
    ]


async def claim_uploads(request: web.Request, jobs: Sequence[PushJob]) -> None:
    """Have the uploads that the jobs name be there for as long as it takes to enqueue the jobs.

    One that is no image tar is deleted.

    Raises:
        UnknownUploadError: one is not there, or is another caller's. A job that is enqueued
            already may name it: it may have been pushed.
        UploadIncompleteError: bytes of one are missing.
        ProblemError: one is no image tar, or the server has no spool.
    """
    gone: dict[str, UnknownUploadError] = {}
    for source in dict.fromkeys(job.source for job in jobs):
        if upload_id := upload_id_of(source):
            spool = spool_of(request)
            try:
                await own_upload(request, upload_id)
                tar = await spool.run(spool.claim, upload_id)
            except UnknownUploadError as error:
                gone[source] = error
            else:
                await _check_archive(spool, tar, source)
    if gone:
        users = [job for job in jobs if job.source in gone]
        enqueued = await request.app[QUEUE].look_up(job.id for job in users)
        for job in users:
            if job.id not in enqueued:
                raise gone[job.source]


async def _check_archive(spool: Spool, tar: Path, source: str) -> None:
    """Delete what is no image tar: it is good for nothing, and would take room for a day."""
    try:
        await spool.run(_open_archive, tar)
    except TarReadError as error:
        with suppress(UnknownUploadError, UploadBusyError):
            await spool.run(spool.discard, tar.stem)
        raise ProblemError(
            ProblemType.INVALID_ARCHIVE, str(error).replace(str(tar), source)
        ) from None


def _open_archive(tar: Path) -> None:
    with ImageArchive(tar):
        pass
