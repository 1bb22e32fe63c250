"""A server that replays documented exchanges and fails the test on any other request.

    async with ScriptedServer(
        Exchange("HEAD", "/v2/app/blobs/sha256:aa", Reply(404)),
        Exchange("POST", "/v2/app/blobs/uploads/", Reply(202, {"Location": "/upload/1"})),
    ) as server:
        ...

Exchanges may come in any order, each once; all must have happened when the block ends.
"""

import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.support.local_server import LocalServer

_TOLD = ("Content-Length", "Content-Range", "Content-Type", "Transfer-Encoding")
"""Headers that help to see why a request is not in the script."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Exchange:
    """A request that is expected and what to answer.

    `target` is path and query as sent; `headers` must be among the request's, and those `without`
    must not; `check` looks at the body and raises AssertionError if it is wrong.
    """

    method: str
    target: str
    reply: Reply
    headers: Mapping[str, str] = field(default_factory=dict)
    without: Collection[str] = ()
    check: Callable[[bytes], None] | None = None

    def matches(self, request: web.BaseRequest) -> bool:
        return (
            request.method == self.method
            and request.raw_path == self.target
            and self.headers.items() <= dict(request.headers).items()
            and not any(name in request.headers for name in self.without)
        )


class ScriptedServer(LocalServer):
    """Answers by its script; leaving the block checks that the script was played to its end.

    Attributes:
        requests: every request that came, with its headers.
    """

    def __init__(self, *script: Exchange, tls: ssl.SSLContext | None = None) -> None:
        self._expected = list(script)
        self._problems: list[str] = []
        self.requests: list[web.BaseRequest] = []
        super().__init__(web.ServerRunner(web.Server(self._answer), shutdown_timeout=0), tls)

    def expect(self, *script: Exchange) -> None:
        """More of the script, where it needs to know the server's address."""
        self._expected += script

    async def __aexit__(self, *failure: object) -> None:
        await super().__aexit__(*failure)
        missing = [f"never asked: {e.method} {e.target}" for e in self._expected]
        if problems := [*self._problems, *missing]:
            # Over another failure too: what the server saw is most often the reason for it.
            pytest.fail("\n".join(problems), pytrace=False)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        # Not read(), which refuses bodies of more than a MiB.
        body = b"".join([data async for data in request.content.iter_any()])
        exchange = next((e for e in self._expected if e.matches(request)), None)
        if exchange is None:
            sent = {name: request.headers[name] for name in _TOLD if name in request.headers}
            self._problems.append(f"not in the script: {request.method} {request.raw_path} {sent}")
            return web.Response(status=418)
        self._expected.remove(exchange)
        if exchange.check:
            try:
                exchange.check(body)
            except AssertionError as problem:
                self._problems.append(f"{exchange.method} {exchange.target}: {problem}")
        reply = exchange.reply
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
