"""What the checks of callers find in the application."""

from collections.abc import Mapping

from aiohttp import web

from producer.api.access.limits import CallerLimits
from producer.api.access.oidc import OidcCallers
from push_queue.sessions import Sessions
from push_queue.settings.api_tokens import ApiToken

TOKENS: web.AppKey[Mapping[str, ApiToken]] = web.AppKey("tokens", Mapping)
SESSIONS = web.AppKey("sessions", Sessions)
OIDC: web.AppKey[OidcCallers | None] = web.AppKey("oidc", OidcCallers)
OPEN = web.AppKey("open", bool)
"""Whether everybody may call, without a token."""
LIMITS = web.AppKey("limits", CallerLimits)
