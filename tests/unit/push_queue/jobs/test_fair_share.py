"""Teams share the workers: whose job is taken next."""

from collections import deque
from collections.abc import Iterable
from datetime import timedelta

import pytest
from arq.constants import in_progress_key_prefix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from push_queue.jobs.arq_queue import ArqQueue
from push_queue.jobs.store import Jobs
from push_queue.models.job import Priority, make_job
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from push_queue.settings.teams import FAIR_SHARE_BY
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores

KEYS = Keys("fair")
LEASE_SECONDS = 15
MOST_BANDS = 20
BAND = 2**42
MOST_TEAMS = 2000


def place_of(score: float) -> int:
    """The place in its team's queue, in milliseconds of Unix time, of a job with that score."""
    return int(score % BAND)


class Queue:
    """The queue, and the jobs that its workers run. Each take is a millisecond after the last."""

    def __init__(
        self, redis: Redis, clock: RedisClock, share_by: Iterable[str] = FAIR_SHARE_BY
    ) -> None:
        self.redis = redis
        self.clock = clock
        database = Database(redis, KEYS, share_by=share_by)
        self.jobs = Jobs(database)
        self.arq = ArqQueue(database)
        self.places: dict[str, int] = {}

    async def enqueue(
        self,
        team: str | None,
        *numbers: int,
        priority: Priority = "normal",
        caller: str | None = None,
        label: str = "team",
        delay: timedelta | None = None,
    ) -> None:
        for number in numbers:
            job = make_job(
                id=f"{team}-{number}",
                source="/a",
                targets=[f"localhost:15000/{team or 'none'}:{number}"],
                labels={label: team} if team else {},
                priority=priority,
            )
            await self.jobs.create(job, caller=caller, not_before=delay)

    async def take(self, most: int = 1) -> list[str]:
        """The ids of the jobs that a worker takes, and runs from now on."""
        taken = []
        self.clock.advance(0.001)
        for arq_id, score in await self.arq.take(most, LEASE_SECONDS):
            _, job_id, _ = arq_id.split(":")
            self.places[job_id] = score
            taken.append(job_id)
        return taken

    async def end(self, *job_ids: str) -> None:
        for job_id in job_ids:
            await self.give_back(job_id)
            await self.redis.zrem(KEYS.queue, KEYS.arq_job_id(job_id, 0))

    async def give_back(self, job_id: str) -> None:
        arq_id = KEYS.arq_job_id(job_id, 0)
        await self.arq.give_back(arq_id, self.places.pop(job_id))
        await self.redis.delete(in_progress_key_prefix + arq_id)

    async def put_off(self, job_id: str, seconds: float) -> None:
        arq_id = KEYS.arq_job_id(job_id, 0)
        await self.arq.hold(arq_id, seconds, LEASE_SECONDS)
        await self.redis.delete(in_progress_key_prefix + arq_id)

    async def renew(self, job_id: str) -> None:
        arq_id = KEYS.arq_job_id(job_id, 0)
        await self.arq.renew(arq_id, self.places[job_id], LEASE_SECONDS)

    async def drain(self, slots: int = 1) -> list[str]:
        """Run all jobs, so many at a time. Gives them in the order in which they started."""
        started: list[str] = []
        running: deque[str] = deque()
        while True:
            if len(running) == slots:
                await self.end(running.popleft())
            taken = await self.take()
            if not taken and not running:
                return started
            if not taken:
                await self.end(running.popleft())
            started += taken
            running += taken


@pytest.fixture
def queue(redis: Redis, clock: RedisClock) -> Queue:
    return Queue(redis, clock)


def teams_of(job_ids: Iterable[str]) -> str:
    return "".join(job_id[0] for job_id in job_ids)


# Between teams


@pytest.mark.parametrize("slots", [1, 2, 7])
async def test_ten_jobs_of_a_team_do_not_wait_for_those_that_another_enqueued_before(
    slots: int, queue: Queue
) -> None:
    await queue.enqueue("a", *range(100))
    await queue.enqueue("b", *range(10))
    started = await queue.drain(slots)
    last = max(number for number, job_id in enumerate(started) if job_id.startswith("b"))
    assert last < 20 + slots
    assert len(started) == 110


@pytest.mark.parametrize("apart", [timedelta(milliseconds=1), timedelta(hours=3)])
async def test_it_does_not_matter_for_how_long_the_backlog_has_been_there(
    apart: timedelta, queue: Queue, clock: RedisClock
) -> None:
    await queue.enqueue("a", *range(20))
    clock.advance(apart.total_seconds())
    await queue.enqueue("b", 0, 1)
    assert teams_of(await queue.drain()).startswith("ababa")


async def test_the_team_that_runs_fewer_jobs_is_next(queue: Queue) -> None:
    await queue.enqueue("a", *range(9))
    assert await queue.take(5) == [f"a-{number}" for number in range(5)]
    await queue.enqueue("b", *range(9))
    assert teams_of(await queue.take(5)) == "bbbbb"
    assert sorted(teams_of(await queue.take(4))) == ["a", "a", "b", "b"]


async def test_jobs_without_a_team_are_those_of_one_more(queue: Queue) -> None:
    await queue.enqueue(None, *range(9))
    await queue.take(3)
    await queue.enqueue("b", *range(9))
    assert teams_of(await queue.take(3)) == "bbb"
    assert sorted(teams_of(await queue.take(4))) == ["N", "N", "b", "b"]


async def test_a_storm_of_jobs_whose_time_has_come_gets_no_second_share(
    queue: Queue, clock: RedisClock
) -> None:
    await queue.enqueue("a", *range(200), delay=timedelta(seconds=60))
    clock.advance(60)
    await queue.enqueue("a", *range(200, 210))
    await queue.enqueue("b", *range(10))
    assert sorted(teams_of(await queue.take(8))) == ["a"] * 4 + ["b"] * 4


async def test_a_job_that_has_ended_counts_no_longer(queue: Queue) -> None:
    await queue.enqueue("a", *range(9))
    taken = await queue.take(3)
    await queue.enqueue("b", *range(9))
    await queue.take(2)
    await queue.end(*taken)
    assert teams_of(await queue.take(2)) == "aa"


async def test_a_job_that_is_put_off_counts_no_longer(queue: Queue) -> None:
    await queue.enqueue("a", *range(9))
    await queue.enqueue("b", *range(9))
    for job_id in await queue.take(4):
        if job_id.startswith("a"):
            await queue.put_off(job_id, 60)
    assert teams_of(await queue.take(2)) == "aa"


async def test_the_jobs_of_a_dead_worker_count_for_a_lease(queue: Queue, clock: RedisClock) -> None:
    await queue.enqueue("a", *range(9))
    await queue.take(2)
    clock.advance(1)
    await queue.enqueue("b", *range(9))
    b_jobs = await queue.take(2)
    assert teams_of(b_jobs) == "bb"
    clock.advance(LEASE_SECONDS - 2)
    for job_id in b_jobs:
        await queue.renew(job_id)
    clock.advance(1)
    assert teams_of(await queue.take(2)) == "aa"


async def test_of_jobs_that_no_worker_runs_nothing_is_left(
    queue: Queue, redis: Redis, clock: RedisClock
) -> None:
    await queue.enqueue("a", 0, 1)
    await queue.enqueue(None, 0, 1)
    taken = await queue.take(4)
    await redis.delete(KEYS.queue)
    clock.advance(LEASE_SECONDS - 1)
    await queue.renew(taken[0])
    clock.advance(1)
    await queue.arq.promote()
    assert await redis.zrange(KEYS.running, 0, -1) == [KEYS.arq_job_id(taken[0], 0).encode()]
    clock.advance(LEASE_SECONDS)
    await queue.arq.promote()
    assert not await redis.exists(KEYS.running)


# Within a team, and among equals


PRIORITIES = st.sampled_from(["low", "normal", "high"])
JOBS = st.lists(st.tuples(PRIORITIES, st.integers(0, 3000)), min_size=1, max_size=12)


@given(jobs=JOBS)
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
async def test_a_single_team_has_the_order_that_there_is_without_teams(
    jobs: list[tuple[Priority, int]], redis: Redis, clock: RedisClock
) -> None:
    orders = []
    begin = clock.now
    for share_by in ((), ("label:team",)):
        await redis.flushall()
        clock.now = begin
        queue = Queue(redis, clock, share_by)
        for number, (priority, seconds) in enumerate(jobs):
            await queue.enqueue("a", number, priority=priority)
            clock.advance(seconds)
        orders.append(await queue.drain())
    assert orders[0] == orders[1]
    assert len(orders[0]) == len(jobs)


@pytest.mark.parametrize(("minutes", "first"), [(14, "b"), (16, "a")])
async def test_among_equals_the_priority_leads_as_within_a_team(
    minutes: int, first: str, queue: Queue, clock: RedisClock
) -> None:
    await queue.enqueue("a", 0)
    clock.advance(minutes * 60)
    await queue.enqueue("b", 0, priority="high")
    assert teams_of(await queue.take()) == first


async def test_a_team_with_urgent_jobs_alone_starves_nobody(
    queue: Queue,
) -> None:
    await queue.enqueue("a", *range(50), priority="high")
    await queue.enqueue("b", *range(3), priority="low")
    assert teams_of(await queue.drain())[:6] == "ababab"


# What else puts a job into the queue


async def test_a_postponed_job_is_its_team_s_once_it_is_due(
    queue: Queue, clock: RedisClock
) -> None:
    await queue.enqueue("a", 0, delay=timedelta(minutes=1))
    await queue.enqueue("a", *range(1, 9))
    await queue.enqueue("b", *range(9))
    clock.advance(61)
    assert await queue.arq.promote() == 1
    await queue.end(*await queue.take(1))
    taken = await queue.take(17)
    assert sorted(taken[-2:])[0] == "a-0", "it is the last of its team, as it was due last"


async def test_a_job_that_is_enqueued_again_is_its_team_s(queue: Queue) -> None:
    await queue.enqueue("b", 0)
    await queue.jobs.cancel("b-0")
    await queue.enqueue("a", *range(9))
    await queue.take(2)
    await queue.jobs.requeue("b-0")
    assert await queue.take() == ["b-0"]


async def test_a_job_that_arq_had_lost_is_its_team_s(queue: Queue, redis: Redis) -> None:
    await queue.enqueue("b", 0)
    await redis.delete(KEYS.queue)
    await queue.enqueue("a", *range(9))
    await queue.take(2)
    assert await queue.arq.hand_over(await queue.jobs.status("b-0"))
    assert await queue.take() == ["b-0"]


async def test_a_job_that_waited_for_a_registry_is_its_team_s(
    redis: Redis, clock: RedisClock
) -> None:
    queue, stores = Queue(redis, clock), Stores(redis, KEYS)
    await queue.enqueue("b", 0)
    await RegistryLimits(Database(redis, KEYS), 1).pause("localhost:15000", "no answer", 60)
    await queue.take()
    await stores.attempts.start("b-0", 0, "worker")
    await queue.put_off("b-0", 900)
    clock.advance(60)
    await queue.enqueue("a", *range(9))
    await queue.take(2)
    assert await queue.arq.release() == 1
    assert await queue.take() == ["b-0"]


async def test_a_job_that_is_given_back_is_taken_from_the_same_place_again(queue: Queue) -> None:
    await queue.enqueue("a", *range(3))
    await queue.enqueue("b", *range(3))
    (first,) = await queue.take()
    place = queue.places[first]
    await queue.give_back(first)
    await queue.take(2)
    assert queue.places[first] == place


async def test_an_arq_worker_finds_the_jobs_of_all_teams(
    queue: Queue, redis: Redis, clock: RedisClock
) -> None:
    await queue.enqueue("a", 0)
    await queue.enqueue("b", 0)
    await queue.enqueue(None, 0)
    due = await redis.zrangebyscore(KEYS.queue, "-inf", int(clock.now * 1000), withscores=True)
    assert len(due) == 3
    assert {place_of(score) for _, score in due} == {int(clock.now - 30 * 60) * 1000}


# Many teams


async def test_none_of_very_many_teams_is_left_out(
    queue: Queue, redis: Redis, clock: RedisClock
) -> None:
    """Each has more jobs than are taken, so none leaves its place in the choice to another."""
    count, backlog = 2 * MOST_BANDS, 200
    place = int(clock.now - 3600) * 1000
    for team in range(count):
        names = [KEYS.arq_job_id(f"team{team}-{number}", 0) for number in range(backlog)]
        await redis.zadd(KEYS.queue, dict.fromkeys(names, place - team * BAND))
    started: set[str] = set()
    for number in range(count * 40):
        clock.advance(number % 1000 / 1_000_000)  # Which teams are looked at depends on it.
        taken = await queue.take()
        started |= {job_id.partition("-")[0] for job_id in taken}
        await queue.end(*taken)
        if len(started) == count:
            return
    raise AssertionError(f"only {len(started)} of {count} have started")


async def test_when_all_ranges_are_given_out_they_are_given_out_anew(
    queue: Queue, redis: Redis
) -> None:
    numbers = {f"team{number}": number for number in range(1, MOST_TEAMS + 1)}
    teams = f"{KEYS.namespace}:jobs:teams"
    await redis.hset(teams, mapping=numbers)
    await queue.enqueue("team2000", 0)
    await queue.enqueue("new", 0)
    assert await redis.hgetall(teams) == {b"new": b"1"}
    assert sorted(await queue.take(2)) == ["new-0", "team2000-0"]
    assert place_of(queue.places["new-0"]) == place_of(queue.places["team2000-0"])


# Which team


@pytest.mark.parametrize(
    ("share_by", "shares"),
    [
        (("label:team", "caller"), ["label", "label"]),
        (("caller",), ["caller"]),
        (("label:project", "caller"), ["caller"]),
        (("label:project",), []),
        ((), []),
    ],
)
async def test_the_setting_says_what_a_team_is(
    share_by: tuple[str, ...], shares: list[str], redis: Redis, clock: RedisClock
) -> None:
    queue = Queue(redis, clock, share_by)
    await queue.enqueue("label", 0, caller="caller")
    await queue.enqueue("label", 1)
    assert await redis.hkeys(f"{KEYS.namespace}:jobs:teams") == [
        team.encode() for team in dict.fromkeys(shares)
    ]


async def test_labels_that_cannot_be_read_are_no_team(
    queue: Queue, redis: Redis, clock: RedisClock
) -> None:
    await queue.enqueue("a", 0, delay=timedelta(seconds=1))
    for labels in ("[", "7", '{"team": 7}', '{"team": ""}'):
        await redis.hset(KEYS.job("a-0"), "labels", labels)
        await queue.arq.hold(KEYS.arq_job_id("a-0", 0), 1, LEASE_SECONDS)
        clock.advance(2)
        assert await queue.arq.promote() == 1
        assert await redis.zscore(KEYS.queue, KEYS.arq_job_id("a-0", 0)) > 0
