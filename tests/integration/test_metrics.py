"""What Prometheus learns of a queue is true: it scrapes a server and a worker that push."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from producer import PushQueue
from push_queue.models.job_status import JobStatus
from tests.support.api_server import ApiServer, Serve
from tests.support.big_images import write_big_archive
from tests.support.metrics import parse_metrics
from tests.support.monitoring import ALERT_TESTS, ALERTS, alerts, dashboard_queries, for_prometheus
from tests.support.processes import HANG_SECONDS, free_port
from tests.support.prometheus import Prometheus, promtool, run_prometheus
from tests.support.servers import RedisServer, StartWorker
from tests.support.skopeo import raw_manifest
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

LAYERS = [2_500_000, 300_000]

Values = dict[tuple[tuple[str, str], ...], float]


def text_of(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        text: str = response.read().decode()
        return text


@dataclass(frozen=True)
class Site:
    """A server and a worker that has run jobs, which are over."""

    server: ApiServer
    metrics_port: int
    jobs: list[JobStatus]


@pytest.fixture
async def site(
    serve: Serve,
    worker: StartWorker,
    queue: PushQueue,
    spool: Path,
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> Site:
    """Two jobs have pushed the same image, the tar of a third is missing, a fourth is for later."""
    server, port = serve(PUSH_QUEUE_SPOOL=str(spool)), free_port()
    worker(PUSH_QUEUE_METRICS_PORT=str(port))
    tar = write_big_archive(tmp_path / "app.tar", LAYERS).path
    jobs = []
    for path, tag in ((tar, "1"), (tmp_path / "missing.tar", "2"), (tar, "3")):
        job = await queue.enqueue(path, f"{registry_host}/{repository}:{tag}")
        jobs.append(await queue.wait(job.id, timeout=HANG_SECONDS))
    await queue.enqueue(tar, f"{registry_host}/{repository}:4", not_before=timedelta(hours=1))
    return Site(server, port, jobs)


@pytest.fixture
def prometheus(site: Site, tmp_path: Path) -> Iterator[Prometheus]:
    ports = {"push_queue": site.server.port, "push_queue_worker": site.metrics_port}
    with run_prometheus(tmp_path / "prometheus", **ports) as prometheus:
        yield prometheus


def blob_bytes(target: str) -> int:
    """The bytes of the image's blobs, as the registry says."""
    manifest = json.loads(raw_manifest(target))
    return sum(blob["size"] for blob in (manifest["config"], *manifest["layers"]))


def labelled(**values: float) -> Callable[[str], Values]:
    return lambda label: {((label, name),): value for name, value in values.items()}


def truth(site: Site, registry_host: str) -> dict[str, Values]:
    """What queries have to find, as the jobs and the registry say."""
    first, failed, again = site.jobs
    sent = blob_bytes(first.targets[0])
    assert [job.state for job in site.jobs] == ["succeeded", "failed", "succeeded"]
    assert (first.bytes_sent, again.bytes_sent) == (sent, 0)
    kind = failed.error_kind or ""
    blobs = len(LAYERS) + 1
    return {
        "up": {(): 1},
        "push_queue_redis_up": {(): 1},
        'push_queue_jobs{state=~"queued|running|succeeded|failed"}': labelled(
            queued=1, running=0, succeeded=2, failed=1
        )("state"),
        'push_queue_later_jobs{priority="normal"}': labelled(normal=1)("priority"),
        "push_queue_due_jobs": labelled(low=0, normal=0, high=0)("priority"),
        "push_queue_jobs_ended_total > 0": {
            (("state", "succeeded"),): 2,
            (("error_kind", kind), ("state", "failed")): 1,
        },
        "push_queue_sent_bytes_total": {(): sent},
        "push_queue_worker_sent_bytes_total": {(): sent},
        "push_queue_worker_attempts_total": {
            (("outcome", "succeeded"),): 2,
            (("error_kind", kind), ("outcome", "failed")): 1,
        },
        "push_queue_worker_blobs_total": labelled(uploaded=blobs, exists=blobs)("how"),
        "push_queue_housekeeper_held": {(): 1},
        "sum(push_queue_workers)": {(): 1},
        "push_queue_workers_max_jobs": {(): 10},
        "push_queue_worker_running_jobs": {(): 0},
        "push_queue_registry_uploads": {(("registry", registry_host),): 0},
        "push_queue_registry_max_uploads": {(("registry", registry_host),): 50},
        "push_queue_spool_used_bytes": {(): 0},
        # The first push puts the manifest by its digest and by its tag, the second by its tag.
        'sum(push_queue_worker_registry_requests_total{method="PUT", route="manifest"})': {(): 3},
    }


async def test_prometheus_learns_what_happened(
    prometheus: Prometheus, site: Site, registry_host: str
) -> None:
    expected = truth(site, registry_host)
    found: dict[str, Values] = {}

    async def agrees() -> bool:
        found.update({query: prometheus.query(query) for query in expected})
        return found == expected

    try:
        await becomes(agrees)
    except TimeoutError:
        assert found == expected


async def test_alerts_and_panels_find_what_they_ask_for(prometheus: Prometheus) -> None:
    async def evaluated() -> bool:
        (group,) = prometheus.ask("rules")["groups"]
        return all(rule["health"] == "ok" for rule in group["rules"])

    await becomes(evaluated)
    (group,) = prometheus.ask("rules")["groups"]
    states = {rule["name"]: rule["state"] for rule in group["rules"]}
    assert states.keys() == alerts().keys()
    assert "firing" not in states.values()

    # What is only there in trouble cannot be found here.
    queries = [
        for_prometheus(query)
        for _, query in dashboard_queries()
        if not any(name in query for name in ("> 0", "retries", "webhook"))
    ]

    async def all_found() -> bool:
        return all(prometheus.query(query) for query in queries)

    try:
        await becomes(all_found)
    except TimeoutError:
        assert [query for query in queries if not prometheus.query(query)] == []


async def test_promtool_finds_nothing_to_better(site: Site) -> None:
    for port in (site.server.port, site.metrics_port):
        checked = promtool("check", "metrics", text=text_of(port))
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_worker_that_serves_metrics_stops_like_any_other(worker: StartWorker) -> None:
    port = free_port()
    process = worker(PUSH_QUEUE_METRICS_PORT=str(port))
    assert parse_metrics(text_of(port))["push_queue_worker_max_jobs"] == 10
    assert f"http://127.0.0.1:{port}/metrics" in process.log
    assert process.terminate() == 0
    assert "Traceback" not in process.log


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    assert promtool("check", "rules", str(ALERTS)).returncode == 0
    tested = promtool("test", "rules", str(ALERT_TESTS))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    # The tests would notice other alerts.
    never = ALERTS.read_text().replace("> 900", "> 9000").replace("== 0", "== -1")
    (tmp_path / ALERTS.name).write_text(never)
    (tmp_path / ALERT_TESTS.name).write_text(ALERT_TESTS.read_text())
    assert promtool("test", "rules", str(tmp_path / ALERT_TESTS.name)).returncode == 1


@pytest.mark.parametrize("trouble", [signal.SIGKILL, signal.SIGSTOP])
def test_a_scrape_without_redis_succeeds_and_says_so(
    start_redis: Callable[[], RedisServer], serve: Serve, trouble: signal.Signals
) -> None:
    redis = start_redis()
    server = serve(PUSH_QUEUE_REDIS_URL=redis.url)
    assert parse_metrics(text_of(server.port))["push_queue_redis_up"] == 1
    redis.process.signal(trouble)
    found = parse_metrics(text_of(server.port))
    assert found["push_queue_redis_up"] == 0
    assert "push_queue_jobs" not in found.names
    assert found["process_open_fds"] > 0
