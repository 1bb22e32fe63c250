"""What the program and the description of the API have to know of a path."""

from dataclasses import dataclass
from http import HTTPMethod, HTTPStatus

from aiohttp.typedefs import Handler
from pydantic import BaseModel

from push_queue.settings.api_tokens import Role

V1 = "/api/v1"

Models = tuple[type[BaseModel], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; its handler's docstring says what it does."""

    method: HTTPMethod
    path: str
    handler: Handler
    answers: Models
    """One of these is the answer; there is no body if there are none."""
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[str, ...] = ()
    """The headers that it reads."""
    answered: tuple[str, ...] = ()
    """The headers that its answer has, as far as they are known."""
    query: type[BaseModel] | None = None
    takes: Models = ()
    """The body is one of these; empty if the request has no body."""
    stream: bool = False
    """Whether the answers are the data of server-sent events."""
    may_be_empty: bool = False
    """Whether 204 may be the answer."""
    gives_tar: bool = False
    """Whether the answer is a tar, or the range of one that was asked for."""
    takes_tar: bool = False
    """Whether the body is a tar, or a part of one."""
    role: Role | None = Role.READ
    """Who may; anybody at all if None."""
    refusals: tuple[HTTPStatus, ...] = ()
    """What it may answer besides what routes of its kind do."""
