"""Load on the HTTP API: pipelines that enqueue at a fixed rate, dashboards that follow all jobs.

It speaks HTTP through bare sockets, because a client library would take more of the processor than
the server.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import ContenderError

CONNECTIONS = 20
TICK_SECONDS = 0.005
READ_BYTES = 64 * 1024
EVENT = b"id: "
"""What each event has once."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Load:
    """What the server answered."""

    latencies: list[float] = field(default_factory=list)
    """Seconds from when a job was to be enqueued until the answer."""
    seconds: float = 0.0
    refused: int = 0


async def follow(port: int, streams: int, events: int) -> list[asyncio.Task[None]]:
    """Begin to follow all jobs, on that many streams. Each task ends after that many events."""
    connections = [await _request(port, "GET", "/api/v1/events", b"") for _ in range(streams)]
    return [asyncio.create_task(_hear(connection, events)) for connection in connections]


async def _hear(connection: Connection, events: int) -> None:
    reader, writer = connection
    rest = b""
    try:
        while events > 0:
            read = await reader.read(READ_BYTES)
            if not read:
                raise ContenderError("a stream of events broke off")
            unseen = rest + read
            events -= unseen.count(EVENT)
            rest = unseen[1 - len(EVENT) :]
    finally:
        writer.close()


async def enqueue_at(port: int, job: object, *, rate: int, count: int) -> Load:
    """Enqueue the job ``count`` times, ``rate`` times a second, each time as a new job.

    Raises:
        ContenderError: the server closes a connection.
    """
    load, due = Load(), asyncio.Queue[float | None]()
    body = json.dumps(job).encode()
    started = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(_pipeline(port, body, due, load))
            await _keep_time(due, rate, count)
    except* (OSError, EOFError) as errors:
        raise ContenderError(f"the server hangs up: {errors.exceptions[0]}") from None
    load.seconds = time.perf_counter() - started
    return load


async def _keep_time(due: asyncio.Queue[float | None], rate: int, count: int) -> None:
    started, number = time.perf_counter(), 0
    while number < count:
        while number < count and time.perf_counter() >= (moment := started + number / rate):
            due.put_nowait(moment)
            number += 1
        await asyncio.sleep(TICK_SECONDS)
    for _ in range(CONNECTIONS):
        due.put_nowait(None)


async def _pipeline(port: int, body: bytes, due: asyncio.Queue[float | None], load: Load) -> None:
    connection = None
    while (moment := await due.get()) is not None:
        connection = await _request(port, "POST", "/api/v1/jobs", body, connection)
        status = await _answer(connection[0])
        load.latencies.append(time.perf_counter() - moment)
        load.refused += status != 202
    if connection:
        connection[1].close()


async def _request(
    port: int, method: str, path: str, body: bytes, connection: Connection | None = None
) -> Connection:
    reader, writer = connection or await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    return reader, writer


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status; the body is read."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r")[0]))
    return int(head.split()[1])


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]
