"""Looks at everything that the settings name, and goes on after what fails."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack

from producer.doctor import fleet, machine, redis, registry, server, webhooks
from producer.doctor.finding import Finding, problem
from producer.doctor.registry import Place
from producer.operator import Operator
from producer.registries import open_client
from producer.routed_queue import Place as RedisPlace
from producer.routed_queue import places_of
from push_queue.errors import RedisUnavailableError
from push_queue.settings import Settings
from registry_api_v2_client.exceptions import RegistryError


async def examine(
    settings: Settings, places: Sequence[Place], api: tuple[str, str | None] | None = None
) -> AsyncIterator[Finding]:
    """Findings as they are made. Without ``places``, the registries that are known are asked.

    ``api`` is the URL of a server of the HTTP API, and the token for it. Who has it needs no Redis.
    """
    used: list[str] = []
    if api:
        async for finding in server.check(*api):
            yield finding
    if settings.redis_configured or not api:
        async for finding in _queues(settings, used):
            yield finding
    for finding in await asyncio.to_thread(list, machine.check(settings)):
        yield finding
    async for finding in _registries(settings, places or _known(settings, used)):
        yield finding


async def _queues(settings: Settings, used: list[str]) -> AsyncIterator[Finding]:
    """What is found of each Redis, named by its address where there are several."""
    async with AsyncExitStack() as stack:
        places = places_of(settings, stack).values()
        for place in places:
            async for finding in _queue(place, used):
                subject = f"{finding.subject} at {place.address}"
                yield finding.model_copy(update={"subject": subject} if len(places) > 1 else {})


async def _queue(place: RedisPlace, used: list[str]) -> AsyncIterator[Finding]:
    """What is found of Redis and of what is in it. The registries in use are added to ``used``."""
    try:
        with place.errors():
            queue = await place.queue()
        async for finding in redis.check(queue):
            yield finding
        operator = Operator(queue)
        async for finding in fleet.check(operator):
            yield finding
        async for finding in webhooks.check(queue):
            yield finding
        used += [found.name for found in await operator.registries()]
    except RedisUnavailableError as error:
        yield problem(redis.SUBJECT, str(error))


async def _registries(settings: Settings, places: Iterable[Place]) -> AsyncIterator[Finding]:
    try:
        client = open_client(settings)
    except RegistryError as error:
        yield problem("registries", str(error))
        return
    async with client:
        for place in places:
            async for finding in registry.check(client, place):
                yield finding


def _known(settings: Settings, used: Iterable[str]) -> list[Place]:
    """The registries in use, and those for which there is a login as a whole."""
    hosts = [*used, *(name for name in settings.registry_auth if "/" not in name)]
    return [Place(host) for host in dict.fromkeys(hosts)]
