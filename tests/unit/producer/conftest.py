import pytest
from arq.connections import ArqRedis
from pydantic import SecretStr

from producer import PushQueue
from push_queue.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(redis_url=SecretStr("redis://fake"))


@pytest.fixture
def queue(redis: ArqRedis, settings: Settings) -> PushQueue:
    return PushQueue(redis, settings)
