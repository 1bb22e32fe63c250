"""A team's storm of jobs beside a few of another team, with a real worker."""

import asyncio
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from producer import JobState, PushQueue, load_settings
from tests.support.images import ARCHIVES
from tests.support.processes import HANG_SECONDS
from tests.support.servers import StartWorker, clean_environment

pytestmark = pytest.mark.integration

STORM, FEW = 30, 5


async def first_start(queue: PushQueue, job_id: str) -> datetime:
    return (await queue.attempts(job_id))[0].started_at


@pytest.mark.parametrize(
    ("setting", "before"),
    [("label:team,caller", range(2 * FEW)), ("none", range(STORM, STORM + 1))],
)
async def test_a_storm_of_one_team_does_not_hold_up_another(
    setting: str,
    before: range,
    tmp_path: Path,
    worker: StartWorker,
    registry_host: str,
    repository: str,
    redis_url: str,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PUSH_QUEUE_FAIR_SHARE_BY", setting)
    settings = load_settings(redis_url=redis_url, namespace=namespace)
    source = ARCHIVES["guide"](tmp_path).path
    async with PushQueue.connect(settings) as queue:
        jobs = [
            await queue.enqueue(
                source, f"{registry_host}/{repository}:{number}", labels={"team": team}
            )
            for number, team in enumerate(["storm"] * STORM + ["few"] * FEW)
        ]
        # It has one place, so that the order does not depend on how long a job takes.
        worker(PUSH_QUEUE_MAX_JOBS="1", PUSH_QUEUE_FAIR_SHARE_BY=setting)
        done = [await queue.wait(job.id, timeout=60) for job in jobs]
        assert {job.state for job in done} == {JobState.SUCCEEDED}
        starts = [await first_start(queue, job.id) for job in jobs]
    last = max(starts[STORM:])
    assert sum(start < last for start in starts[:STORM]) in before


async def test_a_worker_that_knows_no_teams_runs_the_jobs_of_all(
    tmp_path: Path,
    queue: PushQueue,
    registry_host: str,
    repository: str,
    redis_url: str,
    namespace: str,
) -> None:
    """arq's own, which reads the queue by score, as workers from before there were teams do."""
    source = ARCHIVES["guide"](tmp_path).path
    jobs = [
        await queue.enqueue(
            source,
            f"{registry_host}/{repository}:{number}",
            labels={"team": team} if team else None,
        )
        for number, team in enumerate(["a", "b", "", "a", "b"])
    ]
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "arq", "worker.WorkerSettings", "--burst"],
        check=True,
        timeout=HANG_SECONDS,
        env=clean_environment(PUSH_QUEUE_REDIS_URL=redis_url, PUSH_QUEUE_NAMESPACE=namespace),
    )
    states = [(await queue.status(job.id)).state for job in jobs]
    assert states == [JobState.SUCCEEDED] * len(jobs)
