"""A process keeps a lease for as long as it renews it. This is how one worker leads."""

import fakeredis
import pytest
from redis.asyncio import Redis

from push_queue.errors import RedisUnavailableError
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.redis.lease import Lease
from tests.support.redis_clock import RedisClock

SECONDS = 10

pytestmark = pytest.mark.usefixtures("clock")  # Time stands still unless it is told to move.


@pytest.fixture
def workers(redis: Redis) -> tuple[Lease, Lease]:
    return candidate(redis), candidate(redis)


def candidate(redis: Redis) -> Lease:
    return Lease(Database(redis, Keys()), Keys().housekeeper, SECONDS)


async def test_one_leads(workers: tuple[Lease, Lease]) -> None:
    one, two = workers
    assert [await one.held(), await two.held(), await one.held()] == [True, False, True]


async def test_namespaces_have_their_own(redis: Redis) -> None:
    for namespace in ("push", "a.b-c"):
        keys = Keys(namespace)
        assert await Lease(Database(redis, keys), keys.housekeeper, SECONDS).held()


async def test_it_leads_for_as_long_as_it_asks(
    workers: tuple[Lease, Lease], clock: RedisClock
) -> None:
    one, two = workers
    for _ in range(3):
        assert await one.held()
        clock.advance(SECONDS - 1)
        assert not await two.held()


async def test_another_takes_over_when_it_is_silent(
    workers: tuple[Lease, Lease], clock: RedisClock
) -> None:
    one, two = workers
    assert await one.held()
    clock.advance(SECONDS + 1)
    assert [await two.held(), await one.held(), await two.held()] == [True, False, True]
    clock.advance(SECONDS + 1)
    assert await one.held(), "in its turn"


async def test_who_was_silent_and_is_alone_leads_again(
    workers: tuple[Lease, Lease], clock: RedisClock
) -> None:
    one, two = workers
    assert await one.held()
    clock.advance(SECONDS + 1)
    assert await one.held()
    assert not await two.held()


async def test_nobody_leads_without_redis(
    workers: tuple[Lease, Lease], server: fakeredis.FakeServer
) -> None:
    one, _ = workers
    assert await one.held()
    server.connected = False
    with pytest.raises(RedisUnavailableError):
        await one.held()
    server.connected = True
    assert await one.held()


async def test_what_was_never_taken_is_not_renewed(workers: tuple[Lease, Lease]) -> None:
    one, two = workers
    assert await one.take()
    assert not await two.renew()
    await two.give_back()
    assert await one.renew()


async def test_what_has_run_out_is_not_renewed(
    workers: tuple[Lease, Lease], clock: RedisClock
) -> None:
    one, two = workers
    assert await one.take()
    clock.advance(SECONDS + 1)
    assert not await one.renew()
    assert await two.take()
    assert not await one.renew()


async def test_what_is_given_back_is_free(workers: tuple[Lease, Lease], clock: RedisClock) -> None:
    one, two = workers
    assert await one.take()
    await one.give_back()
    assert await two.take()
    await one.give_back()
    assert await two.renew(), "it was another's by now"
