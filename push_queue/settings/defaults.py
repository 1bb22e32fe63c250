"""Defaults that other modules need, too."""

DAY_SECONDS = 24 * 3600
WEEK_SECONDS = 7 * DAY_SECONDS
REGISTRY_MAX_UPLOADS = 50
LEASE_SECONDS = 15
REGISTRY_TIMEOUT_SECONDS = 60


def tag_watch_seconds(lease_seconds: int, registry_timeout_seconds: int) -> int:
    """How long a tag's write may still arrive at the registry after its turn was last renewed.

    The worker may write until the turn, a lease, runs out. A worker that was suspended may go on
    sending for one time-out, and then gives up. A request that is under way gets another time-out
    to arrive.
    """
    return lease_seconds + 2 * registry_timeout_seconds


TAG_WATCH_SECONDS = tag_watch_seconds(LEASE_SECONDS, REGISTRY_TIMEOUT_SECONDS)
