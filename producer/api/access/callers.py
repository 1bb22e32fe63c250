"""Callers, and which jobs belong to them.

Without tokens in the settings, only this machine can call, and everybody on it is an admin.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from push_queue.settings.api_tokens import Role
from push_queue.settings.target_patterns import fits
from registry_api_v2_client.exceptions import ValidationError
from registry_api_v2_client.reference import parse_reference


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    name: str | None
    """The name of the token; None without tokens."""
    role: Role
    targets: tuple[str, ...] = ()
    """Patterns of the repositories that it may use; an admin may use all."""

    @property
    def has_all(self) -> bool:
        """Whether it may see and change every job."""
        return self.role is Role.ADMIN

    def foreign(self, targets: Iterable[str]) -> list[str]:
        """Those of the targets that it may not use."""
        if self.has_all:
            return []
        return [target for target in targets if not fits(_name_of(target), self.targets)]

    def uses_registry(self, registry: str) -> bool:
        """Whether it may use any repository of the registry."""
        hosts = (pattern.partition("/")[0] for pattern in self.targets)
        return self.has_all or fits(registry, hosts)

    def owns(self, targets: tuple[str, ...]) -> bool:
        """Whether it may see and change a job with these targets: it may use all of them."""
        return self.has_all or (bool(targets) and not self.foreign(targets))


EVERYBODY = Caller(None, Role.ADMIN)

_CALLER = web.RequestKey("caller", Caller)


def note_caller(request: web.Request, caller: Caller) -> None:
    """Keep with the request who sent it."""
    request[_CALLER] = caller


def caller_of(request: web.Request) -> Caller:
    """Who sent the request to a guarded handler."""
    return request[_CALLER]


def name_of_caller(request: web.BaseRequest) -> str | None:
    """Who sent the request, if that is known by name."""
    caller = request.get(_CALLER)
    return caller.name if caller else None


def _name_of(target: str) -> str:
    """What patterns are matched against; empty, which matches none, if it is not a target."""
    try:
        return parse_reference(target).name
    except ValidationError:
        return ""
