import asyncio
import socket
from datetime import UTC, datetime

import pytest

from push_queue.errors import RedisUnavailableError
from push_queue.redis import arq_codec, connection
from push_queue.redis.connection import connect, redis_settings
from push_queue.redis.keys import Keys
from push_queue.settings import load_settings


def test_plain_values_survive() -> None:
    record = {"t": 1, "f": "push_image", "a": ["job-1", 0], "k": {}, "et": 1700000000000, "r": None}
    assert arq_codec.loads(arq_codec.dumps(record)) == record


@pytest.mark.parametrize(
    ("error", "name"),
    [(ValueError("bad"), "ValueError"), (asyncio.CancelledError(), "CancelledError")],
)
def test_exceptions_become_text(error: BaseException, name: str) -> None:
    assert arq_codec.loads(arq_codec.dumps({"r": error})) == {
        "r": {"exception": name, "message": str(error)}
    }


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="datetime"):
        arq_codec.dumps({"r": datetime.now(UTC)})


def test_arq_gets_every_part_of_the_url() -> None:
    arq = redis_settings(load_settings(redis_url="rediss://us%40er:p%2Fw@host:1/2"))
    assert (arq.host, arq.port, arq.database, arq.ssl) == ("host", 1, 2, True)
    assert (arq.username, arq.password) == ("us@er", "p/w")
    assert arq.ssl_check_hostname is True


def test_the_certificates_name_is_checked_unless_told_otherwise() -> None:
    arq = redis_settings(load_settings(redis_url="rediss://host?ssl_check_hostname=false"))
    assert arq.ssl_check_hostname is False


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection.CONNECT_SECONDS < 3
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)
    # It accepts by its backlog alone.
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(RedisUnavailableError, match=url.removeprefix("redis://")):
            await connect(load_settings(redis_url=url))


def test_keys_of_the_public_contract() -> None:
    keys = Keys("push")
    assert keys.job("x") == "push:job:x"
    assert keys.blobs("x") == "push:job:x:blobs"
    assert keys.attempts("x") == "push:job:x:attempts"
    assert (keys.jobs, keys.jobs_in("failed")) == ("push:jobs", "push:jobs:failed")
    assert (keys.events, keys.progress("x")) == ("push:events", "push:progress:x")
    assert keys.worker("w") == "push:worker:w"


def test_namespaces_share_no_key() -> None:
    one, other = Keys("one"), Keys("other")
    assert one.queue != other.queue
    assert one.arq_job_id("x", 0) != other.arq_job_id("x", 0)
    assert one.arq_job_id("x", 0) != one.arq_job_id("x", 1)
