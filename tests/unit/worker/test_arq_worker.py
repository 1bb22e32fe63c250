"""arq's worker, as far as it needs no process of its own."""

import signal
from typing import Any

import fakeredis
import pytest
from arq.connections import ArqRedis
from arq.worker import func

from worker.arq_worker import QueueWorker


async def never(_: dict[str, Any]) -> None:
    raise AssertionError("it was to be stopped")


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's
async def test_a_job_that_is_stopped_before_it_begins_is_no_error() -> None:
    async with fakeredis.FakeAsyncRedis() as fake:
        worker = QueueWorker(
            on_hand_back=lambda: None,
            functions=[func(never, name="never")],
            queue_name="queue",
            redis_pool=ArqRedis(fake.connection_pool),
            handle_signals=False,
        )
        worker._start("queue:job:0", 1)
        worker.handle_sig(signal.SIGTERM)
        await worker.close()
