"""What a worker counts, under which names, and that no label grows without end."""

import subprocess
import sys
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from push_queue.settings import Settings
from registry_api_v2_client import (
    BlobProgress,
    BlobState,
    EndedRequest,
    RateLimitedError,
)
from tests.support.metrics import Samples, parse_metrics
from tests.support.processes import free_port
from worker.metrics.counting import CountingObserver
from worker.metrics.endpoint import served_metrics
from worker.metrics.routes import route_of
from worker.metrics.specs import MOST_REGISTRIES, SPECS
from worker.push_counts import PushCounts

REGISTRY = URL("https://reg.example.com")
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def observer() -> CountingObserver:
    return CountingObserver()


def samples(observer: CountingObserver) -> Samples:
    return parse_metrics(generate_latest(observer.registry).decode())


def request(
    path: str = "/v2/", status: int | None = 200, registry: URL = REGISTRY, method: str = "GET"
) -> EndedRequest:
    return EndedRequest(method, registry.with_path(path), registry, status, 0.02)


def test_attempts_are_counted_by_outcome_and_kind(observer: CountingObserver) -> None:
    observer.attempt_ended("succeeded", "", 2)
    observer.attempt_ended("succeeded", "", 4)
    observer.attempt_ended("failed", "denied", 1)
    observer.attempt_ended("lost", "", 1)
    found = samples(observer)
    assert found.of("push_queue_worker_attempts_total") == {
        ("", "succeeded"): 2,
        ("denied", "failed"): 1,
        ("", "lost"): 1,
    }
    assert found["push_queue_worker_attempt_duration_seconds_sum", "succeeded"] == 6
    assert found["push_queue_worker_leases_lost_total"] == 1


def test_requests_are_counted_by_route_and_class_of_status(observer: CountingObserver) -> None:
    for status in (201, 202, 404, None):
        observer.request_ended(request("/v2/app/blobs/uploads/", status, method="POST"))
    found = samples(observer)
    assert found.of("push_queue_worker_registry_requests_total") == {
        ("POST", "reg.example.com", "upload", "2xx"): 2,
        ("POST", "reg.example.com", "upload", "4xx"): 1,
        ("POST", "reg.example.com", "upload", "error"): 1,
    }
    of_requests = ("POST", "reg.example.com", "upload")
    assert found["push_queue_worker_registry_request_duration_seconds_count", *of_requests] == 4


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("https://reg.example.com/v2/", "base"),
        ("https://reg.example.com/prefix/v2", "base"),
        (f"https://reg.example.com/v2/team/app/blobs/{DIGEST}", "blob"),
        ("https://reg.example.com/v2/app/blobs/uploads/", "upload"),
        ("https://reg.example.com/v2/app/blobs/uploads/1234?_state=secret", "upload"),
        ("https://reg.example.com/v2/blobs/uploads/manifests/1.0", "manifest"),
        ("https://reg.example.com/v2/app/tags/list?n=10", "tags"),
        (f"https://reg.example.com/v2/app/referrers/{DIGEST}", "referrers"),
        ("https://reg.example.com/v2/_catalog", "catalog"),
        ("https://reg.example.com/artifactory/upload/1", "other"),
        ("https://auth.example.com/token?scope=push", "elsewhere"),
        ("http://reg.example.com/v2/", "elsewhere"),
    ],
)
def test_every_url_has_a_route(url: str, route: str) -> None:
    assert route_of(URL(url), REGISTRY) == route


def test_registries_beyond_the_first_are_others(observer: CountingObserver) -> None:
    for number in range(MOST_REGISTRIES + 5):
        observer.request_ended(request(registry=URL(f"https://r{number}.example")))
    error = RateLimitedError("slow down", status=429)
    error.registry = "one-more.example"
    observer.tried_again(error)
    found = samples(observer)
    requests = found.of("push_queue_worker_registry_requests_total")
    assert len(requests) == MOST_REGISTRIES + 1
    assert requests["GET", "other", "base", "2xx"] == 5
    assert found.of("push_queue_worker_registry_retries_total") == {("rate_limited", "other"): 1}


def test_what_is_read_and_what_it_becomes_is_counted_by_encoding(
    observer: CountingObserver,
) -> None:
    observer.encoded("gzip", 1000, 400, 0.5)
    observer.encoded("gzip", 500, 100, 0.25)
    observer.encoded("none", 70, 70, 0)
    found = samples(observer)
    assert found.of("push_queue_worker_read_bytes_total") == {("gzip",): 1500, ("none",): 70}
    assert found["push_queue_worker_encoded_bytes_total", "gzip"] == 500
    assert found["push_queue_worker_encoding_seconds_total", "gzip"] == 0.75


def test_blobs_are_counted_once_and_bytes_as_they_are_sent(observer: CountingObserver) -> None:
    counts = PushCounts(observer)

    def report(state: BlobState, sent: int = 0, repository: str = "app") -> None:
        counts.update(BlobProgress(repository, DIGEST, 900, 0, state, sent))

    report(BlobState.UPLOADING)
    report(BlobState.UPLOADING, 100)
    report(BlobState.UPLOADING, 250)
    report(BlobState.UPLOADED, 300)
    report(BlobState.UPLOADED, 300)
    report(BlobState.MOUNTED, repository="other")
    found = samples(observer)
    assert found["push_queue_worker_sent_bytes_total"] == 300
    assert found.of("push_queue_worker_blobs_total") == {("uploaded",): 1, ("mounted",): 1}
    assert found["push_queue_worker_blob_bytes_total", "mounted"] == 900


def test_running_jobs_are_asked_for_at_each_scrape(observer: CountingObserver) -> None:
    running = [1]
    observer.watch_jobs(lambda: len(running), 10)
    assert samples(observer)["push_queue_worker_running_jobs"] == 1
    running.append(2)
    found = samples(observer)
    assert found["push_queue_worker_running_jobs"] == 2
    assert found["push_queue_worker_max_jobs"] == 10


def test_every_spec_is_a_metric_as_it_says(observer: CountingObserver) -> None:
    observer.attempt_ended("lost", "", 1)
    observer.request_ended(request())
    observer.encoded("gzip", 1, 1, 1)
    observer.blob_done("exists", 1)
    observer.tried_again(RateLimitedError("slow down", status=429))
    text = generate_latest(observer.registry).decode()
    families = {one.name: one for one in text_string_to_metric_families(text)}
    for spec in SPECS:
        family = families.pop(spec.name.removesuffix("_total"))
        assert (family.type, family.documentation) == (spec.kind, spec.help)
        labels = {name for sample in family.samples for name in sample.labels}
        assert labels - {"le"} == set(spec.labels)
    assert all(name.startswith("process_") for name in families)


@pytest.fixture
def served() -> Iterator[str]:
    port = free_port()
    with served_metrics(Settings(metrics_port=port)) as observer:
        observer.bytes_sent(7)
        yield f"http://127.0.0.1:{port}/metrics"


def test_they_are_served(served: str) -> None:
    with urlopen(served, timeout=60) as response:
        assert parse_metrics(response.read().decode())["push_queue_worker_sent_bytes_total"] == 7


def test_a_worker_without_metrics_loads_no_prometheus() -> None:
    code = "import sys, worker.cli.worker_run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "worker.runtime" in done.stdout
    assert "prometheus_client" not in done.stdout
