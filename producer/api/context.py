"""What handlers find in the application."""

from collections.abc import Mapping

from aiohttp import web

from producer.api.event_hub import EventHub
from producer.queue import PushQueue
from push_queue.api_tokens import ApiToken

QUEUE = web.AppKey("queue", PushQueue)
TOKENS: web.AppKey[Mapping[str, ApiToken]] = web.AppKey("tokens", Mapping)
EVENTS = web.AppKey("events", EventHub)
