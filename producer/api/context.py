"""What handlers find in the application."""

from aiohttp import web

from producer.api.events.hub import EventHub
from producer.operator import Operator
from producer.queue import PushQueue
from producer.spool.spool import Spool
from push_queue.figures.metrics import QueueReport

OPERATOR = web.AppKey("operator", Operator)
QUEUE = web.AppKey("queue", PushQueue)
SPOOL: web.AppKey[Spool | None] = web.AppKey("spool", Spool)
REPORT = web.AppKey("report", QueueReport)
EVENTS = web.AppKey("events", EventHub)
