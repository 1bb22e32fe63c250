"""What each worker of `push-queue up` is started with."""

from producer.local_system.system import _worker
from push_queue.settings import Settings


def test_each_worker_has_a_port_for_metrics_of_its_own() -> None:
    settings = Settings(metrics_port=9200)
    ports = [(_worker(settings, number).env or {})["PUSH_QUEUE_METRICS_PORT"] for number in (1, 2)]
    assert ports == ["9200", "9201"]


def test_without_metrics_none_has() -> None:
    assert "PUSH_QUEUE_METRICS_PORT" not in (_worker(Settings(), 1).env or {})
