"""Which Redis has the jobs for a target, where there are several."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr

from push_queue.settings.redis_url import parse_redis_url
from push_queue.settings.target_patterns import TargetPattern


def check_redis_url(url: SecretStr) -> SecretStr:
    """The URL as it is.

    Raises:
        ValueError: it is none of a Redis.
    """
    parse_redis_url(url.get_secret_value())
    return url


RedisUrl = Annotated[SecretStr, AfterValidator(check_redis_url)]
RedisRoutes = dict[TargetPattern, RedisUrl]
"""By patterns of ``registry/repository``. The first that fits decides."""
