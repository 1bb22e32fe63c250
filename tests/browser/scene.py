"""A queue in which there is one of everything, as workers would have left it."""

import hashlib
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from push_queue.jobs.codec import timestamp
from push_queue.models.assignments import Assignment
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job import make_job
from push_queue.models.job_status import BlobStatus
from push_queue.settings import DAY_SECONDS
from tests.browser.site import Site
from tests.support.assignments import succeed
from tests.support.redis_client import Redis

MB = 1_000_000

REGISTRY = "registry.example.com"
MIRROR = "mirror.example.net:5000"
WORKERS = ("build-1.4f2a", "build-2.9c1e")

FRONTEND = "team/frontend:2.4.0"
BACKEND = "team/backend:2.4.0"
LONG = "team/a-service-with-a-name-that-somebody-could-not-stop-writing/and-its-worker:1.0.0-rc.1"

LAYERS = ((48 * MB, "exists"), (96 * MB, "mounted"), (12 * MB, "waited"))
"""Those that a push need not send."""


def job_id_of(name: str) -> str:
    """The id of the job that pushes `repository:tag`."""
    return name.replace("/", "-").replace(":", "-")


def digest_of(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def blobs_of(name: str, layers: Iterable[tuple[int, str]], share: float) -> list[BlobStatus]:
    """Blobs of these sizes and outcomes; those without an outcome are done by this share."""
    return [
        BlobStatus.model_validate(
            {
                "digest": digest_of(f"{name} {number}"),
                "size": size,
                "done": size if how else int(size * share),
                "how": how,
            }
        )
        for number, (size, how) in enumerate(layers)
    ]


class Scene:
    """Puts jobs into a site's queue; each is named by its repository and tag."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.attempts = site.stores.attempts

    async def queued(
        self,
        name: str,
        *more: str,
        registry: str = REGISTRY,
        not_before: datetime | None = None,
        **fields: Any,
    ) -> str:
        """A job that waits; its id."""
        job_id = job_id_of(name)
        fields = {"id": job_id, "source": f"/images/{job_id}.tar", **fields}
        job = make_job(**fields, targets=[f"{registry}/{name}", *more])
        await self.site.queue.enqueue_many([job], not_before=not_before, caller="ci")
        return job.id

    async def started(self, name: str, *more: str, **fields: Any) -> Assignment:
        return await self.start(await self.queued(name, *more, **fields))

    async def start(self, job_id: str) -> Assignment:
        assignment = await self.attempts.start(job_id, 0, WORKERS[0])
        assert isinstance(assignment, Assignment), assignment
        return assignment

    async def progress(
        self, assignment: Assignment, layers: Iterable[tuple[int, str]], share: float, rate: int = 0
    ) -> None:
        blobs = blobs_of(assignment.job.id, [*LAYERS, *layers], share)
        total, done = sum(blob.size for blob in blobs), sum(blob.done for blob in blobs)
        saved = sum(size for size, _ in LAYERS)
        await self.attempts.progress(
            assignment,
            bytes_done=done,
            bytes_total=total,
            blobs_done=sum(bool(blob.how) for blob in blobs),
            blobs_total=len(blobs),
            bytes_sent=(done - saved) * 9 // 20,
            bytes_saved=saved,
            bytes_per_second=rate,
            seconds_left=(total - done) // rate if rate else None,
            blobs=blobs,
        )

    async def running(self, name: str, *more: str, share: float = 0.6, **fields: Any) -> Assignment:
        assignment = await self.started(name, *more, **fields)
        await self.progress(
            assignment, [(210 * MB, ""), (31 * MB, "uploaded")], share, rate=11 * MB
        )
        return assignment

    async def succeeded(self, name: str, *more: str, **fields: Any) -> str:
        assignment = await self.started(name, *more, **fields)
        await self.progress(assignment, [(22 * MB, "uploaded"), (5_200, "uploaded")], 1)
        await succeed(self.site.stores, assignment, digest_of(name))
        return assignment.job.id

    async def failed(self, name: str, error: str, kind: str, **fields: Any) -> str:
        assignment = await self.started(name, **fields)
        await self.attempts.fail(assignment, error, kind)
        return assignment.job.id

    async def retrying(self, name: str, error: str, kind: str) -> str:
        assignment = await self.started(name)
        await self.progress(assignment, [(80 * MB, "")], 0.3)
        await self.attempts.retry(assignment, error, kind, 120)
        return assignment.job.id

    async def cancelled(self, name: str) -> str:
        job_id = await self.queued(name)
        await self.site.queue.cancel(job_id, caller="mina")
        return job_id

    async def tried_often(self, name: str) -> str:
        """A job that has failed twice, was handed back once, and runs now."""
        job_id = await self.queued(name, max_attempts=8, labels={"branch": "main"})
        unavailable = f"{REGISTRY} answered 503 Service Unavailable"
        await self.attempts.retry(await self.start(job_id), unavailable, "registry_unavailable", 0)
        await self.attempts.release(await self.start(job_id))
        closed = f"{REGISTRY} closed the connection"
        await self.attempts.retry(await self.start(job_id), closed, "connection_lost", 0)
        await self.progress(
            await self.start(job_id), [(210 * MB, ""), (31 * MB, "")], 0.45, rate=11 * MB
        )
        await self.happened(job_id, 505, (20, 95), (110, 290), (295, 430), running_since=445)
        return job_id

    async def happened(
        self, job_id: str, ago: int, *spans: tuple[int, int], running_since: int | None = None
    ) -> None:
        """Have the job be enqueued so many seconds ago, and its attempts last from and until so
        many seconds after that."""
        redis: Redis = self.site.stores.database.redis
        keys = self.site.keys
        enqueued = datetime.now(UTC) - timedelta(seconds=ago)

        def after(seconds: int) -> str:
            return timestamp(enqueued + timedelta(seconds=seconds))

        for place, (start, end) in enumerate(spans):
            attempt = json.loads(await redis.lindex(keys.attempts(job_id), place))
            attempt |= {"started_at": after(start), "finished_at": after(end)}
            await redis.lset(keys.attempts(job_id), place, json.dumps(attempt))
        fields: dict[str, str | int] = {"enqueued_at": after(0)}
        if spans:
            fields["started_at"] = after(spans[-1][0])
            fields["seconds_run"] = sum(end - start for start, end in spans)
        if running_since is not None:
            fields["started_at"] = after(running_since)
        if spans and await redis.hexists(keys.job(job_id), "finished_at"):
            fields["finished_at"] = after(spans[-1][1])
        await redis.hset(keys.job(job_id), mapping=fields)

    async def workers(self) -> None:
        """Two, of which one has trouble."""
        trouble = "cannot delete finished jobs: Redis does not answer"
        running = [job_id_of(FRONTEND), job_id_of(BACKEND)]
        for worker, problem, jobs in zip(WORKERS, ("", trouble), (running, []), strict=True):
            info = WorkerInfo(
                id=worker,
                host=worker.partition(".")[0],
                pid=1,
                version="0.1.0",
                started_at=datetime.now(UTC) - timedelta(hours=5),
                running=len(jobs),
                jobs=tuple(jobs),
                problem=problem,
                heeds=True,
            )
            await self.site.stores.roster.report(info, ttl=DAY_SECONDS)

    async def mirror_down(self) -> None:
        """A registry that is paused, and a job that waits for it."""
        reason = f"http://{MIRROR} cannot be reached: Connection refused"
        await self.site.stores.limits.pause(MIRROR, reason, 3000)
        job_id = await self.queued("team/mirrored:1.0", registry=MIRROR)
        await self.attempts.start(job_id, 0, WORKERS[1])

    async def last_hour(self) -> None:
        """What was done before the jobs that are there."""
        rng = random.Random(3)
        redis: Redis = self.site.stores.database.redis
        keys = self.site.keys
        now = int((await redis.time())[0]) // 60
        for minute in range(now - 59, now):
            if rng.random() < 0.75:
                done = {
                    "bytes_sent": int(rng.gammavariate(2, 90) * MB),
                    "succeeded": rng.randint(0, 9),
                    "failed": int(rng.random() < 0.12),
                }
                await redis.hset(keys.minute(minute), mapping=done)

    async def everything(self) -> None:
        """Jobs in every state, workers, registries, and an hour of work."""
        await self.last_hour()
        for version in range(1, 5):
            job_id = await self.succeeded(f"team/web:1.{version}", labels={"branch": "main"})
            await self.happened(job_id, 3000 - 400 * version, (2, 5 + version))
        denied = await self.failed(
            "team/api:2.3.9",
            f"{REGISTRY} denies to push to team/api: the token may pull only",
            "denied",
            labels={"branch": "main", "commit": "9fceb02"},
        )
        await self.happened(denied, 1200, (1, 3))
        missing = "/images/team-docs-latest.tar does not exist"
        unreadable = await self.failed("team/docs:latest", missing, "source_unreadable")
        await self.happened(unreadable, 1100, (1, 2))
        await self.happened(await self.cancelled("team/experiment:2026-11"), 1000)
        answered = f"{REGISTRY} answered 502 Bad Gateway"
        retried = await self.retrying("team/search:5.0", answered, "registry_unavailable")
        await self.happened(retried, 40, (3, 24))
        await self.running(FRONTEND, f"{REGISTRY}/team/frontend:latest", labels={"branch": "main"})
        await self.running(LONG, share=0.1)
        for name, ago in ((FRONTEND, 31), (LONG, 18)):
            await self.happened(job_id_of(name), ago, running_since=1)
        await self.tried_often(BACKEND)
        await self.queued("team/nightly:2030-01-01", not_before=datetime(2030, 1, 1, 3, tzinfo=UTC))
        await self.mirror_down()
        await self.queued(
            "team/web:1.5",
            source="/images/한국어 이미지 (최종).tar",
            labels={"branch": "main", "팀": "플랫폼"},
        )
        await self.workers()
