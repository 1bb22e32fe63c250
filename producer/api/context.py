"""What handlers find in the application."""

from aiohttp import web

from producer.api.event_hub import EventHub
from producer.queue import PushQueue

QUEUE = web.AppKey("queue", PushQueue)
EVENTS = web.AppKey("events", EventHub)
