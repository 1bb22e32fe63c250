"""What handlers find in the application."""

from collections.abc import Mapping

from aiohttp import web

from producer.api.event_hub import EventHub
from producer.api.limits import CallerLimits
from producer.api.oidc import OidcCallers
from producer.queue import PushQueue
from producer.spool.spool import Spool
from push_queue.api_tokens import ApiToken
from push_queue.sessions import Sessions

QUEUE = web.AppKey("queue", PushQueue)
TOKENS: web.AppKey[Mapping[str, ApiToken]] = web.AppKey("tokens", Mapping)
SPOOL: web.AppKey[Spool | None] = web.AppKey("spool", Spool)
SESSIONS = web.AppKey("sessions", Sessions)
OIDC: web.AppKey[OidcCallers | None] = web.AppKey("oidc", OidcCallers)
OPEN = web.AppKey("open", bool)
"""Whether everybody may call, without a token."""
LIMITS = web.AppKey("limits", CallerLimits)
EVENTS = web.AppKey("events", EventHub)
