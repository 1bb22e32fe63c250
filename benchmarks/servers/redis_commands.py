"""Counts the commands that clients send to Redis, and those that scripts run inside it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

_END = "the end of the count"


@dataclass
class CommandCount:
    """Commands; complete when the block that counts them has ended."""

    sent: int = 0
    in_scripts: int = 0


@contextmanager
def counted_commands(redis_url: str, observer: redis.Redis) -> Iterator[CommandCount]:
    """Count all commands but the observer's, by MONITOR, which slows Redis down."""
    count = CommandCount()
    info: Any = observer.client_info()  # typed for redis-py's asynchronous client as well
    own = info["addr"]
    with redis.Redis.from_url(redis_url) as client, client.monitor() as monitor:

        def read() -> None:
            for command in monitor.listen():
                address = f"{command['client_address']}:{command['client_port']}"
                if command["command"] == f"ECHO {_END}":
                    return
                if command["client_type"] == "lua":
                    count.in_scripts += 1
                elif address != own:
                    count.sent += 1

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield count
        finally:
            observer.echo(_END)
            reader.join(timeout=30)
