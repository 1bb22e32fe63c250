"""What the checks of callers find in the application."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from producer.api.access.limits import CallerLimits
from push_queue.sessions import Sessions
from push_queue.settings.api_tokens import ApiToken

if TYPE_CHECKING:
    from producer.api.access.oidc import OidcCallers

TOKENS: web.AppKey[Mapping[str, ApiToken]] = web.AppKey("tokens", Mapping)
SESSIONS = web.AppKey("sessions", Sessions)
OIDC: web.AppKey["OidcCallers | None"] = web.AppKey("oidc")
OPEN = web.AppKey("open", bool)
"""Whether everybody may call, without a token."""
LIMITS = web.AppKey("limits", CallerLimits)
