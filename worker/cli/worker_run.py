"""One run of a worker, from its connection to Redis to its end."""

import asyncio
import logging

from arq.connections import ArqRedis

from push_queue.errors import RedisDeniedError, RedisRefusedError
from push_queue.event_loop import new_event_loop
from push_queue.log_setup import set_up_logging
from push_queue.redis.connection import connect
from push_queue.redis.errors import redis_errors
from push_queue.redis.keys import Keys
from push_queue.redis.retries import Patience
from push_queue.settings import Settings

from ..arq_options import worker_options
from ..arq_worker import QueueWorker
from ..tracing import set_up_tracing

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 1.0


def run_worker(settings: Settings, *, burst: bool) -> None:
    """Run a worker until it is told to stop, or, in a burst, until the queue is empty.

    Raises:
        RedisDeniedError: Redis does not accept the login, or a right is missing.
        RedisUnavailableError: nothing answers there.
    """
    set_up_logging(settings)
    set_up_tracing()
    # Closes what is open, also after Ctrl-C; arq handles signals by itself.
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        redis = runner.run(_connect(settings))
        asyncio.set_event_loop(runner.get_loop())
        patience = Patience()
        options = worker_options(settings, patience, heeds=True) | {
            "burst": burst,
            "redis_pool": redis,
        }
        with redis_errors(settings.redis_address):
            keys = Keys(settings.namespace)
            QueueWorker(keys=keys, on_hand_back=patience.end, **options).run()


async def _connect(settings: Settings) -> ArqRedis:
    """Connect to Redis, and wait while it loads its data or is busy.

    Raises:
        RedisDeniedError: it does not accept the login.
        RedisUnavailableError: nothing answers there.
    """
    told = False
    while True:
        try:
            return await connect(settings)
        except RedisDeniedError:
            raise
        except RedisRefusedError as error:
            if not told:
                logger.warning("%s", error)
                told = True
        await asyncio.sleep(_AGAIN_SECONDS)
