"""Brings the events of one receiver to it: each at least once, those of a job in their order.

Every worker has a courier for each receiver. The one with the lease sends. An event leaves Redis
once the receiver has it, so whoever takes the lease next begins with what is left. If a courier was
suspended and its lease ran out, the receiver may get an event twice, with the same id.
"""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from push_queue.cancelling import cancel_all
from push_queue.errors import QueueError, RedisUnavailableError
from push_queue.redis.lease import Lease
from push_queue.settings.webhooks import Webhook
from push_queue.webhook_outbox import START, FinalEvent, WebhookOutbox
from registry_api_v2_client import RetryPolicy

from ..periodic import Periodic
from .cloud_event import event_of_job, event_of_ping
from .delivery import Delivery, NotDeliveredError

logger = logging.getLogger(__name__)

_INTERVAL = 1.0
_REGISTER_SECONDS = 3600
_IN_HAND = 100
"""Events that are read before others have left, so that one that fails does not stop the rest."""
_AT_ONCE = 10
"""Requests to one receiver."""
_LAST_SECONDS = 10.0
"""How long a worker that stops waits for answers."""
_PATIENCE_SECONDS = 24 * 3600
"""An event that is older and fails is given up."""
_LONGEST_ASKED = 3600.0
"""The longest that a receiver may ask to be left alone."""


class _GoneError(QueueError):
    """The receiver wants no more events."""


class Courier:
    """``retry`` has the backoff between two tries of an event, which is tried for a day.

    ``problems`` has an entry as long as the receiver fails. That is logged when it begins and when
    it ends.
    """

    def __init__(
        self,
        name: str,
        webhook: Webhook,
        *,
        namespace: str,
        outbox: WebhookOutbox,
        delivery: Delivery,
        lease: Lease,
        retry: RetryPolicy,
        problems: dict[str, str],
    ) -> None:
        self._name = name
        self._webhook = webhook
        self._namespace = namespace
        self._outbox = outbox
        self._delivery = delivery
        self._lease = lease
        self._retry = retry
        self._problems = problems
        self._label = f"webhook {name}"
        self._rounds = Periodic(_INTERVAL, self._guarded_round)
        self._requests = asyncio.Semaphore(_AT_ONCE)
        self._in_hand: dict[str, deque[FinalEvent]] = {}
        """By job."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._pings: set[asyncio.Task[None]] = set()
        """At most one."""
        self._read_to = START
        self._stale = False
        """Whether to begin again with what Redis has."""
        self._register_at = 0.0

    async def start(self) -> None:
        """Collect events for the receiver from now on, and send them in the background."""
        try:
            await self._outbox.register(self._name, self._webhook)
        except RedisUnavailableError as error:
            self._complain(str(error))
        self._rounds.start()

    async def stop(self) -> None:
        """Send what is there, unless the receiver is slow or fails; leave the rest to others."""
        await self._rounds.stop()
        if self._label not in self._problems:
            await self._guarded_round()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)
        await cancel_all(self._pings)
        await self._let_go()
        with suppress(RedisUnavailableError):
            await self._lease.give_back()
        await self._delivery.close()

    async def _guarded_round(self) -> None:
        try:
            await self.round()
        except RedisUnavailableError as error:
            self._complain(str(error))
        except Exception as error:  # the outermost frame; the next round tries again
            if self._complain(f"unexpected error: {type(error).__name__}"):
                logger.exception("%s: unexpected error", self._label)

    async def round(self) -> None:
        """Take in hand what there is to send, if this courier has the lease."""
        if not await self._lease.renew():
            await self._let_go()
            if not await self._lease.take():
                return
            self._register_at = 0.0
        if time.monotonic() >= self._register_at:
            await self._outbox.register(self._name, self._webhook)
            self._register_at = time.monotonic() + _REGISTER_SECONDS
        wishes = await self._outbox.wishes(self._name)
        if self._stale or wishes.gone:
            await self._let_go()
        if wishes.ping and not self._pings:
            self._begin(self._ping(wishes.ping), self._pings)
        if not wishes.gone:
            await self._read_on()

    async def _read_on(self) -> None:
        room = _IN_HAND - sum(map(len, self._in_hand.values()))
        if room <= 0:
            return
        events, read_to = await self._outbox.read(self._name, after=self._read_to, limit=room)
        unwanted = [event.place for event in events if not self._webhook.wants(event.job)]
        await self._outbox.discard(self._name, unwanted)
        # Not before: if this stops here, none of them is in hand.
        self._read_to = read_to
        for event in events:
            if event.place in unwanted:
                continue
            if event.job.id in self._in_hand:
                self._in_hand[event.job.id].append(event)
            else:
                self._in_hand[event.job.id] = deque([event])
                self._begin(self._bring_all_of(event.job.id), self._tasks)

    def _begin(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(self._guarded(work))
        among.add(task)
        task.add_done_callback(among.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except QueueError as error:
            self._stale = True
            self._complain(str(error))
        except Exception:  # the task's outermost frame; the next round begins again
            self._stale = True
            logger.exception("%s: unexpected error", self._label)

    async def _let_go(self) -> None:
        """Forget what is in hand. Redis still has it."""
        await cancel_all(self._tasks)
        self._in_hand.clear()
        self._read_to = START
        self._stale = False

    async def _bring_all_of(self, job_id: str) -> None:
        events = self._in_hand[job_id]
        while events:
            await self._bring(events[0])
            events.popleft()
        del self._in_hand[job_id]

    async def _bring(self, event: FinalEvent) -> None:
        """Send the event until the receiver has it, or it is given up.

        Raises:
            RedisUnavailableError: Redis fails; the event may be sent again.
            _GoneError: the receiver wants no more events.
        """
        give_up_at = time.monotonic() + _PATIENCE_SECONDS - event.age
        body = event_of_job(event, self._namespace)
        for attempt in itertools.count(1):
            failure = await self._try(event.id, body)
            if failure is None:
                await self._outbox.delivered(self._name, event.place)
                return
            if failure.gone:
                await self._outbox.set_gone(self._name, True)
                raise _GoneError(f"{failure}; nothing is sent there until its URL is changed")
            if time.monotonic() >= give_up_at:
                await self._outbox.given_up(self._name, event.place, str(failure))
                logger.error(
                    "%s: gave up the event %s (job %s %s): %s",
                    *(self._label, event.id, event.job.id, event.job.state, failure),
                )
                return
            await asyncio.sleep(self._delay(attempt, failure.retry_after))

    async def _try(self, event_id: str, body: bytes) -> NotDeliveredError | None:
        """Send it once. Returns why the receiver has not taken it, if it has not."""
        try:
            async with self._requests:
                await self._delivery.send(event_id, body)
        except NotDeliveredError as error:
            self._complain(str(error))
            # A Redis without memory notes no failures. The event stays there.
            with suppress(RedisUnavailableError):
                await self._outbox.failed(self._name, str(error))
            return error
        if self._problems.pop(self._label, None):
            logger.info("%s: events arrive again", self._label)
        return None

    async def _ping(self, token: str) -> None:
        failure = await self._try(token, event_of_ping(token, self._namespace))
        if failure is None:
            await self._outbox.set_gone(self._name, False)
            await self._outbox.delivered(self._name)
        await self._outbox.answer_ping(self._name, token, str(failure or ""))

    def _delay(self, attempt: int, asked: float) -> float:
        return max(self._retry.backoff(attempt), min(asked, _LONGEST_ASKED))

    def _complain(self, problem: str) -> bool:
        """Log the problem if it is news. Returns whether it is."""
        if self._problems.get(self._label) == problem:
            return False
        self._problems[self._label] = problem
        logger.warning("%s: events wait: %s", self._label, problem)
        return True
