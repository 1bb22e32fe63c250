"""What must not be left in Redis once all jobs are final and their workers idle."""

import re

import redis

STUCK = (
    r"arq:.*|{ns}:queue|{ns}:jobs:(queued|running|retrying)"
    r"|{ns}:claim:.*|{ns}:source:.*|{ns}:tag:.*:writer|{ns}:writes|{ns}:registry:.*:slots"
)
"""Keys of work that is waiting or under way."""

FOR_EVER = r"{ns}:(jobs|jobs:\w+|finished|events|seq|workers|writes)"
"""The indexes, which are trimmed; every other key expires."""


def leftovers(client: redis.Redis, namespace: str) -> list[str]:
    """Keys that hold up a job, or that nothing would ever remove."""
    stuck, for_ever = (
        re.compile(pattern.format(ns=re.escape(namespace))) for pattern in (STUCK, FOR_EVER)
    )
    keys = sorted(client.scan_iter(count=1000))
    return [
        key
        for key in keys
        if stuck.fullmatch(key) or not (for_ever.fullmatch(key) or client.ttl(key) != -1)
    ]
