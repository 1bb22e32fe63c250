"""Settings, the same for producers and workers; the only place that reads the environment."""

from push_queue.settings.defaults import (
    DAY_SECONDS,
    LEASE_SECONDS,
    REGISTRY_MAX_UPLOADS,
    TAG_WATCH_SECONDS,
    WEEK_SECONDS,
    tag_watch_seconds,
)
from push_queue.settings.loading import load_settings
from push_queue.settings.mistyped import doubts
from push_queue.settings.model import Settings
from push_queue.settings.sources import ENV_PREFIX, REDIS_URL_VARIABLES

__all__ = [
    "DAY_SECONDS",
    "ENV_PREFIX",
    "LEASE_SECONDS",
    "REDIS_URL_VARIABLES",
    "REGISTRY_MAX_UPLOADS",
    "TAG_WATCH_SECONDS",
    "WEEK_SECONDS",
    "Settings",
    "doubts",
    "load_settings",
    "tag_watch_seconds",
]
