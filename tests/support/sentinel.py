"""Valkey behind Sentinel: a primary, its replica, and a sentinel that has the replica take over."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.support.processes import ManagedProcess, free_port
from tests.support.servers import RedisServer, valkey_server

SERVICE = "uploads"
DOWN_AFTER_MS = 500
HOUR_MS = 3_600_000
FAILOVER_TIMEOUT_MS = 3000
CATCH_UP_SECONDS = 60

CONFIG = """\
port {port}
bind 127.0.0.1
sentinel monitor {service} 127.0.0.1 {primary} 1
sentinel down-after-milliseconds {service} {down_after}
sentinel failover-timeout {service} {failover_timeout}
"""


class SentinelRedis:
    """Two servers, either of which may be the primary, and one sentinel.

    A server that is gone is down for the sentinel only while `fail_over` is at work, so that a
    restart of the primary stays one. A server that is started again takes itself for the primary;
    the sentinel makes it a replica within seconds if the other has taken over.

    Attributes:
        url: for producers and workers; it names the service.
    """

    def __init__(self, directory: Path) -> None:
        self._servers = [RedisServer(directory / name) for name in ("one", "two")]
        self._port = free_port()
        self.url = f"redis+sentinel://127.0.0.1:{self._port}/{SERVICE}"
        config = directory / "sentinel.conf"
        config.write_text(
            CONFIG.format(
                port=self._port,
                service=SERVICE,
                primary=self._servers[0].port,
                down_after=HOUR_MS,
                failover_timeout=FAILOVER_TIMEOUT_MS,
            )
        )
        argv = [valkey_server(), str(config), "--sentinel"]
        self._sentinel = ManagedProcess(argv, directory / "sentinel.log")

    @property
    def primary(self) -> RedisServer:
        """The server that the sentinel names."""
        with self._asking() as sentinel:
            _, port = sentinel.sentinel_get_master_addr_by_name(SERVICE)
        return next(server for server in self._servers if server.port == int(port))

    def start(self, stack: ExitStack) -> None:
        """Leaving the stack ends all three."""
        for server in self._servers:
            stack.enter_context(server.process)
            server.wait_ready()
        primary, replica = self._servers
        with replica.client() as client:
            client.replicaof("127.0.0.1", str(primary.port))
        stack.enter_context(self._sentinel)
        self._sentinel.wait_ready(self._knows_the_replica)
        with self._asking() as sentinel:
            # Held up for two seconds by a busy machine, it would do nothing for half a minute.
            sentinel.execute_command("SENTINEL DEBUG", "tilt-trigger", HOUR_MS)

    def catch_up(self) -> None:
        """Return when the replica has all that was acknowledged; the primary takes no more writes.

        Replication is asynchronous: what a primary acknowledges just before it goes is lost in a
        failover. A test that counts what is lost begins here.
        """
        self._sentinel.wait_ready(self._replicates, CATCH_UP_SECONDS)
        with self.primary.client() as client:
            client.client_pause(CATCH_UP_SECONDS * 1000, all=False)
        self._sentinel.wait_ready(self._has_all, CATCH_UP_SECONDS)

    def hand_over(self) -> None:
        """Have the other server become the primary, and this one its replica, by order."""
        with self._asking() as sentinel:
            sentinel.sentinel_failover(SERVICE)

    def fail_over(self, strike: Callable[[ManagedProcess], None]) -> RedisServer:
        """Strike the primary's process, and return it once the other server is the primary."""
        old = self.primary
        self._is_down_after(DOWN_AFTER_MS)
        strike(old.process)
        self._sentinel.wait_ready(lambda: self.primary is not old, CATCH_UP_SECONDS)
        self._is_down_after(HOUR_MS)
        return old

    def rejoin(self, back: RedisServer) -> None:
        """Have a former primary follow the new one, which the sentinel sees to in half a minute."""
        with back.client() as client:
            client.replicaof("127.0.0.1", str(self.primary.port))
            client.client_unpause()

    def _is_down_after(self, milliseconds: int) -> None:
        with self._asking() as sentinel:
            sentinel.sentinel_set(SERVICE, "down-after-milliseconds", milliseconds)

    def _knows_the_replica(self) -> bool:
        try:
            with self._asking() as sentinel:
                return bool(sentinel.sentinel_slaves(SERVICE))
        except redis.ConnectionError:
            return False

    def _replicates(self) -> bool:
        return bool(self._replication().get("slave0", {}).get("state") == "online")

    def _has_all(self) -> bool:
        state = self._replication()
        return bool(state["slave0"]["offset"] == state["master_repl_offset"])

    def _replication(self) -> dict[str, Any]:
        with self.primary.client() as client:
            state: dict[str, Any] = client.info("replication")
            return state

    def _asking(self) -> redis.Redis:
        return redis.Redis(port=self._port, decode_responses=True)


@contextmanager
def run_sentinel_redis(directory: Path) -> Iterator[SentinelRedis]:
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        servers = SentinelRedis(directory)
        servers.start(stack)
        yield servers
