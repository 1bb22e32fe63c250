"""The queue of a server, with the methods of ``PushQueue`` that commands use."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Self

from producer.api.models.jobs import JobDetails, JobList, JobPage
from producer.api.models.operating import QueueState
from producer.api.models.service import WorkerList
from producer.errors import ServerRefusedError
from producer.remote.endings import Endings
from producer.remote.requests import Requests, path_part
from producer.remote.upload_source import UploadSource
from producer.remote.uploading import OnProgress, Uploading, give_up
from producer.watching import WATCHED
from push_queue.errors import UnknownJobError
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import Attempt, BlobStatus, JobsPage, JobState, JobStatus
from push_queue.models.pause import Pause
from push_queue.models.uploads import upload_id_of
from push_queue.traces import enqueueing

LOOK_SECONDS = 1
"""How often watched jobs are read; the end of one is noticed at once."""
ASKED_AT_ONCE = 20
MOST_LISTED = 1000


class RemoteQueue:
    """Enqueue pushes and follow them, by a server's HTTP API.

    Every method raises :class:`ServerUnavailableError` when the server stays away,
    :class:`ServerRefusedError` when it does not do what is asked, and :class:`UnknownJobError` for
    an id that names no job.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._details: dict[str, JobDetails] = {}

    @classmethod
    @asynccontextmanager
    async def connect(cls, server: str, token: str | None = None) -> AsyncIterator[Self]:
        """The queue of the server at this URL."""
        async with Requests.to(server, token) as requests:
            yield cls(requests)

    async def upload(self, source: UploadSource, on_progress: OnProgress) -> str:
        """Upload a tar, and go on after cuts. Returns what a job names as its source.

        Raises:
            UploadError: the source cannot be read, or other bytes have arrived.
        """
        return await Uploading(self._requests, source, on_progress).run()

    async def discard(self, source: str) -> None:
        """Delete an upload that no job names, if the server can be reached at once."""
        await give_up(self._requests, f"uploads/{upload_id_of(source)}")

    async def enqueue_many(self, jobs: Sequence[Mapping[str, Any]]) -> list[JobStatus]:
        """Enqueue jobs as the API has them; each needs an id, so that it may be sent twice.

        Raises:
            InvalidJobError: one cannot be enqueued, so none is.
            JobConflictError: an id is that of another job.
        """
        with enqueueing(len(jobs)) as traceparent:
            headers = {"traceparent": traceparent} if traceparent else {}
            enqueued = await self._requests.ask_for(
                JobList, "POST", "jobs", json=list(jobs), headers=headers
            )
        return list(enqueued.jobs)

    async def status(self, job_id: str, *, wait: float = 0) -> JobStatus:
        """The job, as soon as it is final or after ``wait`` seconds."""
        query = {"wait": str(wait)} if wait else {}
        answer = await self._requests.ask("GET", _path(job_id), params=query)
        self._details[job_id] = self._requests.parsed(JobDetails, answer)
        return self._requests.parsed(JobStatus, answer)

    async def blobs(self, job_id: str) -> tuple[BlobStatus, ...]:
        """The progress of each blob when the job was last read."""
        return (await self._read(job_id)).blobs

    async def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts that had ended when the job was last read."""
        return list((await self._read(job_id)).attempts)

    async def watch(self, *job_ids: str) -> AsyncGenerator[JobStatus, None]:
        """Every job's status now and at each change, until all of them are final.

        Without ids: of all jobs that run, wait for a retry or were queued recently, and of those
        that end, without end.
        """
        seen: dict[str, JobStatus] = {}
        changes = self._watched(job_ids, seen) if job_ids else self._watched_all(seen)
        async with aclosing(changes):
            async for status in changes:
                if seen.get(status.id) != status:
                    seen[status.id] = status
                    yield status

    async def list(
        self, state: JobState | None = None, *, limit: int = 50, offset: int = 0
    ) -> tuple[JobStatus, ...]:
        """A page of jobs, the last enqueued first."""
        found: list[JobStatus] = []
        query: dict[str, str] = {"state": state} if state else {}
        while len(found) < offset + limit:
            query["limit"] = str(min(offset + limit - len(found), MOST_LISTED))
            page = await self._requests.ask_for(JobPage, "GET", "jobs", params=query)
            found += page.jobs
            if page.next is None:
                break
            query["cursor"] = page.next
        return tuple(found[offset:])

    async def find(
        self, wanted: JobFilter, *, before: int | None = None, limit: int = 50
    ) -> JobsPage:
        """Jobs that match, the last enqueued first; ``before`` is ``next`` of the page before."""
        params = filter_params(wanted, before=before, limit=limit)
        return as_jobs_page(await self._requests.ask_for(JobPage, "GET", "jobs", params=params))

    async def cancel(self, job_id: str) -> JobState:
        """Cancel a waiting job at once, or ask the worker of a running one to stop."""
        job = await self._requests.ask_for(JobStatus, "POST", f"{_path(job_id)}/cancel")
        return job.state

    async def retry(self, job_id: str) -> JobStatus:
        """Enqueue a final job again, with all its attempts; another one stays as it is."""
        # The answer may be lost, and a second one would run it twice.
        path = f"{_path(job_id)}/retry"
        return await self._requests.ask_for(JobStatus, "POST", path, riding=False)

    async def workers(self) -> tuple[WorkerInfo, ...]:
        """The workers that are alive."""
        return (await self._requests.ask_for(WorkerList, "GET", "workers")).workers

    async def paused(self) -> Pause | None:
        """The pause of the whole queue that a person has set, if there is one."""
        try:
            return (await self._requests.ask_for(QueueState, "GET", "queue")).pause
        except ServerRefusedError as error:
            if error.kind == "not-found":
                return None  # An older server knows of no pauses.
            raise

    async def _read(self, job_id: str) -> JobDetails:
        if job_id not in self._details:
            await self.status(job_id)
        return self._details[job_id]

    async def _watched(
        self, job_ids: Sequence[str], seen: Mapping[str, JobStatus]
    ) -> AsyncGenerator[JobStatus, None]:
        wait, unfinished = 0, job_ids
        while unfinished:
            for first in range(0, len(unfinished), ASKED_AT_ONCE):
                some = unfinished[first : first + ASKED_AT_ONCE]
                for status in await asyncio.gather(*(self.status(one, wait=wait) for one in some)):
                    yield status
            unfinished = [one for one in unfinished if not seen[one].state.final]
            wait = LOOK_SECONDS

    async def _watched_all(self, seen: dict[str, JobStatus]) -> AsyncGenerator[JobStatus, None]:
        endings = Endings(self._requests)
        async with endings.heard():
            while True:
                for job_id in endings.take():
                    with suppress(UnknownJobError):  # It has expired since.
                        yield await self.status(job_id)
                    self._details.pop(job_id, None)
                pages = [await self.list(state, limit=most) for state, most in WATCHED.items()]
                unfinished = {status.id: status for page in pages for status in page}
                for status in unfinished.values():
                    yield status
                for job_id in seen.keys() - unfinished.keys():
                    del seen[job_id]
                await asyncio.sleep(LOOK_SECONDS)


def filter_params(wanted: JobFilter, *, before: int | None, limit: int) -> list[tuple[str, str]]:
    """The parameters that ask for a page of the jobs that match."""
    given = wanted.model_dump(
        mode="json", exclude_defaults=True, include=set(JobFilter.model_fields)
    )
    labels = [("label", term) for term in given.pop("label", ())]
    cursor = [] if before is None else [("cursor", str(before))]
    return [*given.items(), *labels, ("limit", str(limit)), *cursor]


def as_jobs_page(page: JobPage) -> JobsPage:
    """A page as a queue in Redis returns it."""
    return JobsPage(jobs=page.jobs, next=None if page.next is None else int(page.next))


def _path(job_id: str) -> str:
    return f"jobs/{path_part(job_id)}"
