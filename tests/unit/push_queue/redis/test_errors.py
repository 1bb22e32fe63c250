"""No exception of redis-py reaches a caller."""

import inspect
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.exceptions
from redis._parsers.base import BaseParser
from redis.asyncio import Redis

from push_queue.errors import QueueError, RedisDeniedError, RedisRefusedError, RedisUnavailableError
from push_queue.figures.metrics import QueueReport
from push_queue.figures.stats import QueueFigures
from push_queue.figures.throughput import Throughput
from push_queue.jobs.arq_queue import ArqQueue
from push_queue.jobs.attempts import Attempts
from push_queue.jobs.events import START, JobEvents
from push_queue.jobs.records import JobRecords
from push_queue.jobs.sources import JobSources
from push_queue.jobs.store import Jobs
from push_queue.jobs.tag_turns import TagTurns
from push_queue.jobs.tag_writes import TagWrite, TagWrites
from push_queue.models.assignments import Assignment
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job import make_job
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobState, JobStatus
from push_queue.pauses import Pauses
from push_queue.redis.connection import connect
from push_queue.redis.database import Database
from push_queue.redis.errors import redis_errors, translate
from push_queue.redis.keys import Keys
from push_queue.redis.lease import Lease
from push_queue.registries.knowledge import RegistryKnowledge
from push_queue.registries.limits import RegistryLimits
from push_queue.registries.rates import RegistryRates
from push_queue.sessions import Sessions
from push_queue.settings import load_settings
from push_queue.settings.redis_url import RedisAddress, parse_redis_url
from push_queue.worker_roster import WorkerRoster

SECRET = "correct-horse"
JOB = make_job(id="a", source="/a", targets=["localhost/a:1"])
ASSIGNMENT = Assignment(JOB, JOB.targets, 1, 1)
STATUS = JobStatus(
    **JOB.model_dump(), state=JobState.QUEUED, sequence=1, enqueued_at=datetime.now(UTC)
)
WRITE = TagWrite("h:1/a:1", "sha256:a", 1)
WORKER = WorkerInfo(id="w", host="h", pid=1, version="1", started_at=datetime.now(UTC))

CALLS: dict[type, dict[str, tuple[Any, ...]]] = {
    Jobs: {
        "create": (JOB,),
        "create_all": ([JOB],),
        "cancel": ("a",),
        "requeue": ("a",),
        "cancel_all": (["a"],),
        "requeue_all": (["a"],),
        "purge_all": (["a"],),
        "status": ("a",),
        "statuses": (),
        "find": (JobFilter(),),
        "look_up": (["a"],),
        "running": (1,),
        "counts": (),
        "blobs": ("a",),
        "attempts": ("a",),
        "forget_expired": (),
    },
    JobEvents: {"first": (), "last": (), "after": (START,)},
    JobRecords: {
        "read": (["a"],),
        "run": ("cancel", "a"),
        "end_if_unreadable": ("a",),
        "invalidate": ("a", "damage"),
    },
    Attempts: {
        "start": ("a", 0, "worker"),
        "heartbeat": (ASSIGNMENT,),
        "progress": (ASSIGNMENT,),
        "succeed": (ASSIGNMENT, "sha256:a"),
        "fail": (ASSIGNMENT, "error", "kind"),
        "retry": (ASSIGNMENT, "error", "kind", 1.0),
        "release": (ASSIGNMENT,),
        "mark_cancelled": (ASSIGNMENT,),
        "defer": (ASSIGNMENT, "busy", 1.0),
    },
    TagTurns: {"take": (ASSIGNMENT, WRITE, 1.0), "renew": (WRITE, 1.0), "end": (ASSIGNMENT, WRITE)},
    JobSources: {
        "leave": ("id", None),
        "note_cleanup": ("id", "deleted"),
        "note": (ASSIGNMENT, "1 1"),
        "needed": (["/a"],),
    },
    TagWrites: {
        "unsettled": (),
        "take_turn": (WRITE, 1.0),
        "end_turn": (WRITE,),
        "forget": ([WRITE],),
    },
    Throughput: {"last_hour": ()},
    QueueFigures: {"read": ()},
    RegistryKnowledge: {"forget": ("h",)},
    Pauses: {"pause": ("h",), "resume": ("h",), "forget_past": (), "all": (), "of_queue": ()},
    QueueReport: {"read": ()},
    Sessions: {"begin": ("hash",), "token_of": ("secret",), "close": ("secret",)},
    WorkerRoster: {"report": (WORKER, 5), "remove": ("w",), "alive": (), "drain": ("w",)},
    ArqQueue: {
        "hand_over": (STATUS,),
        "take": (1, 15),
        "renew": ("a", 1, 15),
        "hold": ("a", 1.0, 15),
        "give_back": ("a", 1),
        "promote": (),
        "tidy_due": (),
        "release": (),
        "orphans": (JobState.QUEUED, 0, 1),
    },
    Lease: {"take": (), "renew": (), "held": (), "give_back": ()},
    RegistryRates: {"grant": ("h", "worker", 1000)},
    RegistryLimits: {
        "take_slot": ("h", "token", 1.0),
        "give_slot_back": ("h", "token"),
        "pause": ("h", "reason"),
        "held_back": (),
        "used_within": (60, 10),
        "look_at": (["h"],),
    },
}
ARGUMENTS: dict[type, tuple[Any, ...]] = {
    Lease: ("key", 10),
    RegistryLimits: (1,),
    QueueReport: (1,),
}
KEYWORDS: dict[str, dict[str, Any]] = {
    "progress": {"bytes_done": 0, "bytes_total": 0, "blobs_done": 0, "blobs_total": 0},
    "end": {"written": True},
    "after": {"limit": 1},
}


def library_errors() -> Iterator[type[Exception]]:
    for _, kind in inspect.getmembers(redis.exceptions, inspect.isclass):
        if issubclass(kind, Exception) and kind.__module__ == "redis.exceptions":
            yield kind


def methods(kind: type) -> set[str]:
    return {
        name for name, _ in inspect.getmembers(kind, inspect.iscoroutinefunction) if name[0] != "_"
    }


@pytest.fixture
async def dead() -> Redis:
    """A client of a server that is not there."""
    return Redis(host="127.0.0.1", port=1, password=SECRET)


@pytest.mark.parametrize("kind", list(library_errors()))
def test_every_error_of_the_library_is_translated(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "first line\nsecond line")
    with (
        pytest.raises(RedisUnavailableError, match="Redis at host:1") as caught,
        redis_errors("host:1"),
    ):
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [OSError, TimeoutError, ConnectionResetError])
def test_errors_of_the_system_are_translated(kind: type[Exception]) -> None:
    with pytest.raises(RedisUnavailableError, match="cannot reach Redis"), redis_errors("host:1"):
        raise kind


def test_a_server_that_hangs_is_said_not_to_answer() -> None:
    with pytest.raises(RedisUnavailableError, match=r"\(no answer\)"), redis_errors("host:1"):
        raise TimeoutError


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), redis_errors("host:1"):
        raise KeyError


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (redis.exceptions.AuthenticationError(), "check user and password"),
        (redis.exceptions.NoPermissionError(), "ACL"),
        (redis.exceptions.ReadOnlyError(), "primary"),
        (redis.exceptions.OutOfMemoryError(), "maxmemory"),
        (redis.exceptions.ResponseError("WRONGTYPE of key"), "answers: WRONGTYPE of key"),
    ],
)
def test_a_refusal_says_what_to_do(error: Exception, advice: str) -> None:
    with pytest.raises(RedisRefusedError, match=advice), redis_errors("host:1"):
        raise error


@pytest.mark.parametrize(
    "answer", ["NOPERM", "NOAUTH", "WRONGPASS", "DENIED", "OOM", "LOADING", "BUSY"]
)
def test_what_no_wait_mends_is_a_kind_of_its_own(answer: str) -> None:
    parse: Callable[[str], Exception] = BaseParser.parse_error  # without a type
    error = parse(f"{answer} says Redis")
    with pytest.raises(RedisRefusedError) as caught, redis_errors("host:1"):
        raise error
    denied = isinstance(caught.value, RedisDeniedError)
    assert denied is (answer in {"NOPERM", "NOAUTH", "WRONGPASS", "DENIED"})


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        ("DB index is out of range", "change it in PUSH_QUEUE_REDIS_URL"),
        ("unknown command 'SENTINEL', with args beginning with: 'MASTERS'", "name sentinels in"),
    ],
)
def test_a_url_that_is_wrong_is_not_waited_for(answer: str, advice: str) -> None:
    with (
        pytest.raises(RedisDeniedError, match=f"{answer}; {advice}"),
        redis_errors("host:1"),
    ):
        raise redis.exceptions.ResponseError(answer)


def test_what_is_no_redis_is_not_said_to_be_down() -> None:
    said = r"host:1 \(what answers there is no Redis\); check host and port in PUSH_QUEUE_REDIS_URL"
    with pytest.raises(RedisUnavailableError, match=said), redis_errors("host:1"):
        raise redis.exceptions.InvalidResponse('Protocol error, got "H" as reply type byte')


@pytest.mark.parametrize("kind", list(CALLS))
def test_every_method_is_tried_below(kind: type) -> None:
    assert methods(kind) == set(CALLS[kind])


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, calls in CALLS.items() for name in calls]
)
async def test_a_store_without_redis(dead: Redis, kind: type, name: str) -> None:
    store = kind(Database(dead, Keys()), *ARGUMENTS.get(kind, ()))
    if isinstance(store, Lease):
        store._lock.local.token = b"taken before"
    with pytest.raises(RedisUnavailableError, match=r"127\.0\.0\.1:1") as caught:
        await getattr(store, name)(*CALLS[kind][name], **KEYWORDS.get(name, {}))
    assert SECRET not in str(caught.value)


def test_the_reason_outlives_the_cause() -> None:
    """Raised a second time, an error loses what caused it."""
    again = redis.exceptions.ConnectionError("Error 111 connecting to host:1. Connect call failed.")
    with (
        pytest.raises(RedisUnavailableError, match=r"\(Connection refused\)"),
        redis_errors("host:1"),
    ):
        raise again


def test_a_host_that_nobody_knows_is_named_once() -> None:
    unknown = redis.exceptions.ConnectionError("Error -2 connecting to host:1. Name not known.")
    unknown.__context__ = socket.gaierror(socket.EAI_NONAME, "Name not known")
    with pytest.raises(RedisUnavailableError, match=r"at host:1 \(Name not known\)"):
        raise translate(unknown, "host:1")


PLAIN = parse_redis_url("redis://host")
TLS = parse_redis_url("rediss://host")


@pytest.mark.parametrize(
    ("address", "cause", "advice"),
    [
        (PLAIN, ConnectionRefusedError(), r"start it .* PUSH_QUEUE_REDIS_URL"),
        (PLAIN, ConnectionResetError(), r"start it .* \(rediss:// if it speaks TLS\)"),
        (TLS, ConnectionRefusedError(), r"start it .* PUSH_QUEUE_REDIS_URL"),
        (TLS, socket.gaierror(socket.EAI_NONAME, "Name not known"), "start it"),
        (TLS, TimeoutError(), r"check .* TLS \(else redis://\)"),
        (TLS, FileNotFoundError(2, "No such file"), r"named by ssl_ca_certs in PUSH_QUEUE_REDIS_"),
    ],
)
def test_where_no_connection_begins(address: RedisAddress, cause: Exception, advice: str) -> None:
    error = redis.exceptions.ConnectionError("Error connecting")
    error.__context__ = cause
    with pytest.raises(RedisUnavailableError, match=rf"^cannot reach .*; .*{advice}"):
        raise translate(error, address)


@pytest.mark.parametrize("job_ids", [(), ("a",)])
async def test_subscribing_without_redis(dead: Redis, job_ids: tuple[str, ...]) -> None:
    with pytest.raises(RedisUnavailableError):
        async with Jobs(Database(dead, Keys())).changes(*job_ids):
            pass


@pytest.mark.parametrize(
    "url", [f"redis://:{SECRET}@127.0.0.1:1/0", "unix:///no/such/socket", "rediss://127.0.0.1:1"]
)
async def test_connecting_without_redis(url: str) -> None:
    settings = load_settings(redis_url=url)
    with pytest.raises(QueueError, match="set PUSH_QUEUE_REDIS_URL") as caught:
        await connect(settings)
    assert str(settings.redis_address) in str(caught.value)
    assert SECRET not in str(caught.value)
