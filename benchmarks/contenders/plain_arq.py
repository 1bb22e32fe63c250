"""arq by itself, doing what our worker does: run by ``arq``, which reads ``WorkerSettings``."""

import asyncio
import os
from typing import Any, ClassVar

from arq.connections import RedisSettings

from registry_api_v2_client import RegistryClient, parse_reference

REDIS_URL = "BENCHMARK_REDIS_URL"
SLOTS = "BENCHMARK_SLOTS"
TIMEOUT = "BENCHMARK_TIMEOUT"


async def sleep(ctx: dict[str, Any], seconds: float) -> None:
    """A job of known length."""
    await asyncio.sleep(seconds)


async def push(ctx: dict[str, Any], archive: str, target: str) -> str:
    """The push that our worker does, without its status, progress and ledger."""
    pushed = await ctx["client"].push(archive, [parse_reference(target)])
    return str(pushed.digest)


async def open_client(ctx: dict[str, Any]) -> None:
    ctx["client"] = RegistryClient()


async def close_client(ctx: dict[str, Any]) -> None:
    await ctx["client"].close()


class WorkerSettings:
    """Every setting has arq's default; the environment gives what a benchmark is about."""

    functions: ClassVar = [sleep, push]
    on_startup = open_client
    on_shutdown = close_client
    redis_settings = RedisSettings.from_dsn(os.environ.get(REDIS_URL, "redis://localhost"))
    max_jobs = int(os.environ.get(SLOTS, "10"))
    job_timeout = int(os.environ.get(TIMEOUT, "300"))
