"""The log of a worker: every line says which job it is about."""

import json
from pathlib import Path

import pytest

from producer import PushQueue
from tests.support.images import ARCHIVES
from tests.support.servers import StartWorker

pytestmark = pytest.mark.integration


async def test_every_line_of_a_job_names_it_and_where_it_goes(
    tmp_path: Path, queue: PushQueue, worker: StartWorker, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"not a tar" * 1000)
    process = worker(PUSH_QUEUE_LOG_FORMAT="json")
    good = await queue.enqueue(
        archive.path, [f"{registry_host}/{repository}/{name}:1" for name in ("a", "b")]
    )
    bad = await queue.enqueue(broken, f"{registry_host}/{repository}/c:1")
    for job in (good, bad):
        await queue.wait(job.id, timeout=60)
    assert process.terminate() == 0
    lines = [json.loads(line) for line in process.log.splitlines()]
    assert {line["worker"] for line in lines if "job" in line or "ready" in line["message"]} == {
        (await queue.status(good.id)).worker
    }
    of_good, of_bad = ([line for line in lines if line.get("job") == job.id] for job in (good, bad))
    assert [line["message"].split(":")[0] for line in of_good] == ["started", "succeeded"]
    assert [line["message"].split(":")[0] for line in of_bad] == ["started", "failed"]
    places = [(line["registry"], line["repository"], line["attempt"]) for line in of_good + of_bad]
    assert places == [
        *[(registry_host, f"{repository}/a, {repository}/b", 1)] * 2,
        *[(registry_host, f"{repository}/c", 1)] * 2,
    ]
