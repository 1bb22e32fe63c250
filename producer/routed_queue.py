"""Several Redis servers, each with the jobs for some registries, as one queue."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypeVar, Unpack

from pydantic import SecretStr

from producer.errors import NotAllEnqueuedError
from producer.job_description import PushOptions, describe_push
from producer.queue import PushQueue
from push_queue.cancelling import cancel_all
from push_queue.errors import InvalidJobError, RedisUnavailableError, UnknownJobError
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job import PushJob
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import Attempt, BlobStatus, JobsPage, JobState, JobStatus
from push_queue.models.pause import Pause
from push_queue.settings import Settings, load_settings
from push_queue.settings.redis_url import RedisAddress

Result = TypeVar("Result")
Use = Callable[[PushQueue], Awaitable[Result]]

URL, ROUTES = "PUSH_QUEUE_REDIS_URL", "PUSH_QUEUE_REDIS_ROUTES"


class RoutedQueue:
    """Has the methods of ``PushQueue`` that enqueue and follow jobs, and raises as they do.

    A job is with the Redis that ``PUSH_QUEUE_REDIS_ROUTES`` names for its targets. Its id is looked
    for at all. A Redis that is away holds up its own jobs alone.
    """

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._places = places_of(settings, stack)
        self._found: dict[str, Place] = {}

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: Settings | None = None) -> AsyncIterator[Self]:
        """The queues of these settings. Each is connected to when it is needed first.

        Raises:
            InvalidSettingsError: naming the variable.
        """
        async with AsyncExitStack() as stack:
            yield cls(settings or load_settings(), stack)

    async def enqueue(
        self, source: str | Path, targets: str | Iterable[str], **options: Unpack[PushOptions]
    ) -> JobStatus:
        """Enqueue the push of an image tar; see ``PushQueue.enqueue``."""
        return await self.submit(self.describe(source, targets, **options))

    async def submit(self, job: PushJob) -> JobStatus:
        """Enqueue a job that ``describe`` made."""
        place = self._place_for(job)
        status = await place.ask(lambda queue: queue.submit(job))
        self._found[status.id] = place
        return status

    def describe(
        self, source: str | Path, targets: str | Iterable[str], **options: Unpack[PushOptions]
    ) -> PushJob:
        """The job that ``enqueue`` would make; Redis is not asked."""
        return describe_push(source, targets, self._settings, **options)

    async def enqueue_many(
        self, jobs: Iterable[PushJob], *, not_before: datetime | timedelta | None = None
    ) -> list[JobStatus]:
        """Enqueue jobs that ``describe`` made, the jobs of each Redis in this order.

        Raises:
            InvalidJobError: the targets of a job are with several Redis servers.
            NotAllEnqueuedError: some are away, so only the jobs of the others are enqueued.
        """
        jobs = tuple(jobs)
        batches: dict[Place, list[PushJob]] = {}
        for job in jobs:
            batches.setdefault(self._place_for(job), []).append(job)

        async def enqueue(place: Place) -> None:
            batch = batches[place]
            for status in await place.ask(
                lambda queue: queue.enqueue_many(batch, not_before=not_before)
            ):
                enqueued[status.id] = status
                self._found[status.id] = place

        enqueued: dict[str, JobStatus] = {}
        outcomes = await asyncio.gather(*map(enqueue, batches), return_exceptions=True)
        statuses = [enqueued[job.id] for job in jobs if job.id in enqueued]
        for failure in outcomes:
            if isinstance(failure, RedisUnavailableError) and statuses:
                raise NotAllEnqueuedError(statuses, len(jobs), failure) from None
            if failure:
                raise failure
        return statuses

    async def status(self, job_id: str) -> JobStatus:
        """The job and its progress."""
        return await self._of_job(job_id, lambda queue: queue.status(job_id))

    async def blobs(self, job_id: str) -> tuple[BlobStatus, ...]:
        """The progress of each blob of the job."""
        return await self._of_job(job_id, lambda queue: queue.blobs(job_id))

    async def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts that ended, oldest first."""
        return await self._of_job(job_id, lambda queue: queue.attempts(job_id))

    async def cancel(self, job_id: str) -> JobState:
        """Cancel a waiting job at once, or ask the worker of a running one to stop."""
        return await self._of_job(job_id, lambda queue: queue.cancel(job_id))

    async def retry(self, job_id: str) -> JobStatus:
        """Enqueue a final job again, with all its attempts; another one stays as it is."""
        return await self._of_job(job_id, lambda queue: queue.retry(job_id))

    async def watch(self, *job_ids: str) -> AsyncGenerator[JobStatus, None]:
        """Every job's status now and at each change, until all of them are final.

        Without ids: of all jobs that run, wait for a retry or were queued recently, without end.
        """
        watched: dict[Place, list[str]] = {} if job_ids else {p: [] for p in self._all()}
        for job_id in job_ids:
            watched.setdefault(await self._place_of(job_id), []).append(job_id)
        news: asyncio.Queue[JobStatus | Exception | None] = asyncio.Queue(1)

        async def follow(place: Place, some: Sequence[str]) -> None:
            end: Exception | None = None
            try:
                with place.errors():
                    queue = await place.queue()
                    async with aclosing(queue.watch(*some)) as changes:
                        async for status in changes:
                            await news.put(status)
            except Exception as error:  # noqa: BLE001 - whoever watches gets it
                end = error
            await news.put(end)

        following = [asyncio.create_task(follow(*item)) for item in watched.items()]
        left = len(following)
        try:
            while left:
                change = await news.get()
                if isinstance(change, Exception):
                    raise change
                if change:
                    yield change
                else:
                    left -= 1
        finally:
            await cancel_all(following)

    async def list(
        self, state: JobState | None = None, *, limit: int = 50, offset: int = 0
    ) -> tuple[JobStatus, ...]:
        """A page of jobs, the last enqueued first."""
        most = offset + limit
        pages = await self._ask_all(lambda queue: queue.list(state, limit=most))
        return tuple(_last_first(pages)[offset:most])

    async def find(
        self, wanted: JobFilter, *, before: int | None = None, limit: int = 50
    ) -> JobsPage:
        """Jobs that match, the last enqueued first; ``before`` is ``next`` of the page before.

        Numbers in the order of enqueueing follow Redis' clock, so they can be compared.
        """
        pages = await self._ask_all(lambda queue: queue.find(wanted, before=before, limit=limit))
        # What lies before the place that one of them has reached may be incomplete.
        reached = max((page.next for page in pages if page.next is not None), default=0)
        jobs = _last_first(page.jobs for page in pages)
        complete = [job for job in jobs if job.sequence >= reached][:limit]
        last = complete[-1].sequence if len(complete) == limit else reached
        return JobsPage(jobs=tuple(complete), next=last or None)

    async def workers(self) -> tuple[WorkerInfo, ...]:
        """The workers that are alive."""
        fleets = await self._ask_all(lambda queue: queue.workers())
        return tuple(worker for fleet in fleets for worker in fleet)

    async def paused(self) -> Pause | None:
        """The pause that a person has set for the jobs of one of them, if there is one."""
        pauses = await self._ask_all(lambda queue: queue.paused())
        return next((pause for pause in pauses if pause), None)

    def _all(self) -> Iterable["Place"]:
        return self._places.values()

    def _place_for(self, job: PushJob) -> "Place":
        """Raises InvalidJobError."""
        urls = {self._settings.redis_for(target): target for target in job.targets}
        if len(urls) > 1:
            first, second, *_ = urls.values()
            raise InvalidJobError(
                f"invalid job: {first} and {second} are with different Redis servers, see "
                f"{ROUTES}; enqueue a job for each"
            )
        (url,) = urls
        return self._places[url]

    async def _of_job(self, job_id: str, use: Use[Result]) -> Result:
        return await (await self._place_of(job_id)).ask(use)

    async def _place_of(self, job_id: str) -> "Place":
        """Where the job is.

        Raises:
            UnknownJobError: nowhere.
            RedisUnavailableError: where it may be cannot be asked.
        """
        if job_id not in self._found:
            places = tuple(self._all())
            answers = await asyncio.gather(
                *(place.ask(lambda queue: queue.look_up([job_id])) for place in places),
                return_exceptions=True,
            )
            failures = []
            for place, answer in zip(places, answers, strict=True):
                if isinstance(answer, BaseException):
                    failures.append(answer)
                elif answer:
                    self._found[job_id] = place
                    return place
            raise failures[0] if failures else UnknownJobError(job_id)
        return self._found[job_id]

    async def _ask_all(self, use: Use[Result]) -> Sequence[Result]:
        return await asyncio.gather(*(place.ask(use) for place in self._all()))


class Place:
    """One of the Redis servers, which is connected to when it is needed first."""

    def __init__(self, settings: Settings, url: SecretStr, stack: AsyncExitStack) -> None:
        self._settings = settings.model_copy(update={"redis_url": url})
        self._routed = url != settings.redis_url
        self._stack = stack
        self._connecting = asyncio.Lock()
        self._queue: PushQueue | None = None

    @property
    def address(self) -> RedisAddress:
        return self._settings.redis_address

    async def queue(self) -> PushQueue:
        """Raises RedisUnavailableError."""
        async with self._connecting:
            if self._queue is None:
                self._queue = await self._stack.enter_async_context(
                    PushQueue.connect(self._settings)
                )
            return self._queue

    async def ask(self, use: Use[Result]) -> Result:
        with self.errors():
            return await use(await self.queue())

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Have errors advise to change the variable that holds the URL of this one."""
        try:
            yield
        except RedisUnavailableError as error:
            if self._routed:
                error.args = (str(error).replace(URL, ROUTES),)
            raise


def places_of(settings: Settings, stack: AsyncExitStack) -> dict[SecretStr, Place]:
    """All Redis servers by their URLs, that of all other targets first; the stack closes them."""
    urls = [settings.redis_url, *settings.redis_routes.values()]
    return {url: Place(settings, url, stack) for url in dict.fromkeys(urls)}


def _last_first(pages: Iterable[Iterable[JobStatus]]) -> list[JobStatus]:
    jobs = [job for page in pages for job in page]
    return sorted(jobs, key=lambda job: job.sequence, reverse=True)
