"""Call the HTTP API, and look at its answers."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient

from producer.api.access.keys import OPEN
from tests.support.documented import check_documented

JOBS = "/api/v1/jobs"
TARGET = "localhost:15000/team/app:1"
NEW_JOB = {"source": "/images/app.tar", "targets": [TARGET]}
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Answer:
    """An answer that was read to its end."""

    status: int
    headers: Any
    body: Any

    @property
    def problem(self) -> str:
        """The problem's detail; fails unless the answer is a problem."""
        assert self.headers["Content-Type"] == PROBLEM
        assert self.body["status"] == self.status
        detail: str = self.body["detail"]
        assert detail
        assert "\n" not in detail
        return detail

    @property
    def kind(self) -> str:
        """Which problem it is."""
        assert self.problem
        kind: str = self.body["type"].removeprefix("urn:push-queue:problem:")
        return kind


class Api:
    """A client of the API, which fails where an answer is not documented."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self.client = client

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        return await self.ask("POST", path, **options)

    async def enqueue(self, **fields: Any) -> Any:
        """The job that is enqueued."""
        answer = await self.post(JOBS, json={**NEW_JOB, **fields})
        assert answer.status == 202, answer.body
        return answer.body

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        async with self.client.request(method, path, **options) as response:
            text = await response.text()
            app = self.client.app
            if app:
                check_documented(
                    method, response.url.raw_path, response.status, with_tokens=not app[OPEN]
                )
            return Answer(response.status, response.headers, json.loads(text) if text else None)
