"""Commands on a Redis in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import fakeredis
import pytest
from arq.connections import ArqRedis

from producer.cli import app
from producer.queue import PushQueue
from push_queue.redis.connection import arq_options
from push_queue.redis.keys import Keys
from push_queue.settings import Settings
from tests.support.stores import Stores

Result = TypeVar("Result")


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit status."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the lines below the headings."""
        return [line.split("\t") for line in self.out.splitlines()[1:]]


class CommandLine:
    """Runs commands, and what a test prepares for them."""

    def __init__(
        self, server: fakeredis.FakeServer, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._server = server
        self._settings = settings
        self._capsys = capsys

    def run(self, *arguments: str) -> Done:
        self._capsys.readouterr()
        code = app.run([*arguments])
        captured = self._capsys.readouterr()
        return Done(code, captured.out, captured.err)

    def fails(self, *arguments: str, code: int = 2) -> str:
        """The one line that such a command ends in."""
        done = self.run(*arguments)
        assert (done.code, done.out) == (code, "")
        (line,) = done.err.splitlines()
        assert line.startswith("push-queue: error: ")
        return line.removeprefix("push-queue: error: ")

    def prepare(self, work: Callable[[Stores], Awaitable[Result]]) -> Result:
        """The result of what is done with the stores."""

        async def main() -> Result:
            async with self.redis() as redis:
                return await work(Stores(redis))

        return asyncio.run(main())

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[ArqRedis]:
        async with fakeredis.FakeAsyncRedis(server=self._server) as fake:
            yield ArqRedis(fake.connection_pool, default_queue_name=Keys().queue, **arq_options())

    @asynccontextmanager
    async def connect(self, *_: object, **__: object) -> AsyncIterator[PushQueue]:
        """In place of ``PushQueue.connect``."""
        async with self.redis() as redis:
            yield PushQueue(redis, self._settings)


@pytest.fixture
def cli(
    server: fakeredis.FakeServer,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> CommandLine:
    line = CommandLine(server, settings, capsys)
    monkeypatch.setattr(PushQueue, "connect", line.connect)
    return line
