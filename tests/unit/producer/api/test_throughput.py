from push_queue.models.assignments import Assignment
from tests.support.api import Api
from tests.support.stores import Stores


async def test_the_last_hour_minute_by_minute(api: Api, stores: Stores) -> None:
    await api.enqueue(id="a")
    assignment = await stores.attempts.start("a", 0, "worker")
    assert isinstance(assignment, Assignment)
    await stores.attempts.progress(
        assignment, bytes_done=1, bytes_total=9, blobs_done=0, blobs_total=1, bytes_sent=7
    )
    await stores.attempts.fail(assignment, "no", "denied")
    minutes = (await api.get("/api/v1/throughput")).body["minutes"]
    assert len(minutes) == 60
    # The minute may change meanwhile.
    assert sum(minute["bytes_sent"] for minute in minutes) == 7
    assert sum(minute["failed"] for minute in minutes) == 1
    assert all(minute["at"].endswith(":00Z") for minute in minutes)
