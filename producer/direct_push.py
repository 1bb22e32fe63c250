"""One push in this process, for use without a queue."""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from producer.registries import open_client
from push_queue.models.job import PushJob
from push_queue.models.job_status import BlobStatus, JobState, JobStatus, TargetResult
from push_queue.models.source_urls import is_url
from push_queue.settings import Settings
from registry_api_v2_client import (
    AnyOrder,
    CompressionPolicy,
    DiskLedger,
    HttpSettings,
    OpenUploads,
    Platform,
    PushProgress,
    RegistryClient,
    RegistryError,
    RetryPolicy,
    Source,
    SourceUnavailableError,
    TagTurn,
    TarStream,
    UrlSources,
    is_outage,
    open_source,
    parse_reference,
)

SHOW_SECONDS = 0.25
"""Least time between two reports of progress."""
REQUEST_RETRY = RetryPolicy(patience=2.0, after_timeouts=False)
"""For retries of single requests and blobs. The push itself waits longer, and shows that."""
MOST_ASKED_SECONDS = 3600.0
"""A push waits as long as a registry asks for, up to this."""
RETURN = RetryPolicy(attempts=2**31, base=1.0, maximum=5.0, patience=MOST_ASKED_SECONDS)
"""How often a registry that is down is tried again."""


class DirectPush:
    """A job that this process runs by itself, and that is followed as one in the queue is."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        job: PushJob,
        settings: Settings,
        *,
        cache: bool = True,
        source: Source | None = None,
    ) -> AsyncIterator[Self]:
        """With a client of its own, see ``open_client``.

        Without ``cache`` every layer is compressed again, and nothing is noted for later pushes.
        A ``source`` that is open is pushed in place of the job's, and is closed at the end.
        """
        async with AsyncExitStack() as stack:
            folder = settings.cache_folder if cache else None
            ledger = await stack.enter_async_context(DiskLedger(folder)) if folder else None
            client = open_client(settings, retry=REQUEST_RETRY, ledger=ledger)
            await stack.enter_async_context(client)
            yield cls(client, job, settings, reuse_tagged=cache, ledger=ledger, source=source)

    def __init__(
        self,
        client: RegistryClient,
        job: PushJob,
        settings: Settings,
        *,
        reuse_tagged: bool = True,
        ledger: DiskLedger | None = None,
        source: Source | None = None,
    ) -> None:
        self._client = client
        self._job = job
        self._settings = settings
        self._reuse_tagged = reuse_tagged
        self._ledger = ledger
        self._patience = timedelta(seconds=job.give_up_after or settings.give_up_after_seconds)
        self._progress = PushProgress()
        self._uploads = OpenUploads()
        self._source = source
        self._changes: deque[JobStatus] = deque()
        self._outages = 0
        self._furthest = 0
        now = datetime.now(UTC)
        self._status = JobStatus(
            **job.model_dump(),
            state=JobState.QUEUED,
            sequence=time.time_ns() // 1000,
            worker=f"{socket.gethostname()}-{os.getpid()}",
            enqueued_at=now,
        )

    async def watch(self, *_: str) -> AsyncGenerator[JobStatus, None]:
        """Push, and yield the status at changes and at intervals; leaving the loop ends it."""
        pushing = asyncio.create_task(self._run())
        try:
            while not pushing.done():
                yield self._with_progress()
                await asyncio.wait({pushing}, timeout=SHOW_SECONDS)
                while self._changes:
                    yield self._changes.popleft()
            pushing.result()
        finally:
            pushing.cancel()
            await asyncio.wait({pushing})

    async def blobs(self, _: str) -> tuple[BlobStatus, ...]:
        """The progress of each blob."""
        return tuple(BlobStatus.model_validate(blob) for blob in self._progress.blobs)

    def _with_progress(self) -> JobStatus:
        totals = self._progress.totals
        if isinstance(self._source, TarStream) and not self._source.ended:
            totals = totals._replace(bytes_total=0)  # nobody knows
        return self._status.model_copy(update=totals._asdict())

    def _change(self, state: JobState, **fields: Any) -> None:
        status = self._status
        if status.started_at and status.state is JobState.RUNNING is not state:
            took = datetime.now(UTC) - status.started_at
            fields["seconds_run"] = status.seconds_run + took.total_seconds()
        self._status = status.model_copy(update={"state": state, **fields})
        self._changes.append(self._with_progress())

    async def _run(self) -> None:
        try:
            delay: float | None = 0.0
            while delay is not None:
                await asyncio.sleep(delay)
                delay = await self._attempt()
        finally:
            if self._source:
                self._source.close()
            await self._uploads.abandon()

    async def _attempt(self) -> float | None:
        """One attempt; returns the seconds until the next one, if there is one."""
        started = datetime.now(UTC)
        self._change(
            JobState.RUNNING,
            attempt=self._status.attempt + 1,
            started_at=started,
            next_attempt_at=None,
            waiting_for=None,
        )
        done = {result.target for result in self._status.results}
        try:
            if not self._source:
                # Once: all attempts push one tar, also where another takes its name meanwhile.
                self._source = await self._open()
            pushed = await self._client.push(
                self._source,
                [parse_reference(target) for target in self._job.targets if target not in done],
                image=self._job.image,
                platform=Platform.parse(self._job.platform) if self._job.platform else None,
                compression=CompressionPolicy(self._job.compression),
                image_uploads=self._settings.job_uploads,
                on_progress=self._progress.update,
                uploads=self._uploads,
                tag_order=_TagsWritten(self._note_target),
                reuse_tagged=self._reuse_tagged,
            )
        except RegistryError as error:
            if is_outage(error) or isinstance(error, SourceUnavailableError):
                return self._outlast(error, started)
            return self._try_again(error)
        self._change(
            JobState.SUCCEEDED,
            digest=pushed.digest,
            notes=(*pushed.notes, *self._troubles()),
            error=None,
            error_kind=None,
            finished_at=datetime.now(UTC),
        )
        return None

    async def _open(self) -> Source:
        if not is_url(self._job.source):
            return await asyncio.to_thread(open_source, self._job.source)
        with closing(UrlSources(HttpSettings(**self._settings.url_options))) as urls:
            return await urls.open(self._job.source)

    def _troubles(self) -> Iterator[str]:
        if self._ledger and self._ledger.trouble:
            yield self._ledger.trouble

    def _note_target(self, target: str, digest: str) -> None:
        result = TargetResult(target=target, outcome="pushed", digest=digest)
        self._change(self._status.state, results=(*self._status.results, result))

    def _try_again(self, error: RegistryError) -> float | None:
        """The failure is the job's own, and uses up an attempt."""
        policy = RetryPolicy(
            attempts=self._job.max_attempts,
            base=self._settings.retry_base_seconds,
            maximum=self._settings.retry_max_seconds,
            patience=MOST_ASKED_SECONDS,
        )
        delay = policy.delay(self._status.attempt, error)
        if delay is None:
            self._fail(error)
            return None
        self._change(
            JobState.RETRYING,
            error=str(error),
            error_kind=error.kind,
            next_attempt_at=datetime.now(UTC) + timedelta(seconds=delay),
        )
        return delay

    def _outlast(self, error: RegistryError, started: datetime) -> float | None:
        """The registry is down: that uses up time. Real progress starts the count again."""
        now, give_up_at = datetime.now(UTC), self._status.give_up_at
        bytes_done = self._with_progress().bytes_done
        if give_up_at is None or bytes_done > self._furthest:
            self._outages, self._furthest = 0, bytes_done
            give_up_at = started + self._patience
        self._outages += 1
        delay = RETURN.delay(self._outages, error)
        if delay is None or now >= give_up_at:
            self._fail(error)
            return None
        delay = min(delay, (give_up_at - now).total_seconds())
        self._change(
            JobState.QUEUED,
            attempt=self._status.attempt - 1,
            waiting_for=str(error),
            error=str(error),
            error_kind=error.kind,
            give_up_at=give_up_at,
            next_attempt_at=now + timedelta(seconds=delay),
        )
        return delay

    def _fail(self, error: RegistryError) -> None:
        self._change(
            JobState.FAILED,
            error=str(error),
            error_kind=error.kind,
            finished_at=datetime.now(UTC),
        )


class _TagsWritten(AnyOrder):
    """Reports each tag once it names the image."""

    def __init__(self, written: Callable[[str, str], None]) -> None:
        self._written = written

    @asynccontextmanager
    async def turn(self, reference: str, digest: str) -> AsyncIterator[TagTurn | None]:
        yield self
        self._written(reference, digest)
