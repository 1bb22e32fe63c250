"""The network between workers and registry: slow, and failing by plan. Records tag writers."""

import base64
import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from tests.chaos.door import Door
from tests.chaos.plan import NetworkFault, NetworkStrike, PlannedJob, is_contended
from tests.support.proxy import (
    Fault,
    FaultProxy,
    Hold,
    Predicate,
    Request,
    is_manifest_put,
    is_patch,
    render_answer,
)

BYTES_A_SECOND = 6_000_000
USUAL_UPLOAD = 2_000_000
"""Bytes within which an upload breaks; the break waits for an upload that is so long."""

STORM = [render_answer(status, {}) for status in (502, 504)]
ASK_WHO = render_answer(401, {"WWW-Authenticate": 'Basic realm="who are you?"'})


def is_any(request: Request) -> bool:
    return True


def answer(status: int, **headers: str) -> Callable[[Request, float], Fault]:
    content = render_answer(
        status, {name.replace("_", "-"): text for name, text in headers.items()}
    )
    return lambda request, share: Fault(is_any, answer=content)


def reset(request: Request, share: float) -> Fault:
    return Fault(is_any, cut=True)


def break_upload(request: Request, share: float) -> Fault:
    return Fault(is_patch, after=1 + int(share * USUAL_UPLOAD), cut=True)


def lose_answer(request: Request, share: float) -> Fault:
    return Fault(is_any, after=int(request.headers["content-length"]), cut=True)


STRIKES: dict[NetworkFault, tuple[Predicate, Callable[[Request, float], Fault]]] = {
    NetworkFault.RESET: (is_any, reset),
    NetworkFault.BROKEN_UPLOAD: (is_patch, break_upload),
    NetworkFault.LOST_ANSWER: (is_manifest_put, lose_answer),
    NetworkFault.TOO_MANY: (is_any, answer(429)),
    NetworkFault.TOO_MANY_WAIT: (is_any, answer(429, Retry_After="1")),
    NetworkFault.ERROR: (is_any, answer(500)),
    NetworkFault.BUSY: (is_any, answer(503)),
    NetworkFault.BUSY_WAIT: (is_any, answer(503, Retry_After="1")),
}


@dataclass(frozen=True)
class TagWrite:
    """A worker's request to write a tag."""

    at: datetime
    worker: str
    """The name that the worker signs in with."""
    tag: str
    """`repository:tag`."""


class HeldWrite:
    """A write of a contended tag that the proxy holds.

    Attributes:
        hold: when it does, and how it is let go.
        worker: whose it is, by the name that it signs in with.
        tag: `repository:tag`.
    """

    hold: Hold
    worker: str
    tag: str

    def takes(self, request: Request) -> bool:
        tag = written_tag(request)
        if tag is None or not is_contended(tag):
            return False
        self.worker, self.tag = signed_in(request) or "", tag
        return True


class ChaosProxy(FaultProxy):
    """Asks every worker to sign in, and knows it by that; the registry behind it does not care.

    Through its `remote` door it is another registry, for its clients.
    """

    def __init__(self, upstream: str, strikes: Sequence[NetworkStrike]) -> None:
        super().__init__(upstream, bandwidth=BYTES_A_SECOND)
        self.remote = Door(self._accept)
        self.storm = False
        """Whether the remote registry has none behind it that works."""
        self.struck: Counter[NetworkFault] = Counter()
        self.tag_writes: list[TagWrite] = []
        self._storm_answers = itertools.cycle(STORM)
        self._passed: Counter[NetworkFault] = Counter()
        self._due = {
            fault: sorted((s for s in strikes if s.fault is fault), key=lambda s: s.ordinal)
            for fault in NetworkFault
        }

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.remote.open()
        return self

    async def __aexit__(self, *exception: Any) -> None:
        self.remote.shut()
        await super().__aexit__(*exception)

    def host_of(self, job: PlannedJob) -> str:
        """The registry of the job's targets."""
        return self.remote.host if job.remote else self.host

    def detain_tag_write(self, *, cut: bool = False) -> HeldWrite:
        """Hold the next write of a contended tag, with its client cut off or waiting."""
        held = HeldWrite()
        held.hold = self.detain(held.takes, cut=cut)
        return held

    def _take_fault(self, request: Request) -> Fault | None:
        if self.storm and request.headers["host"] == self.remote.host:
            return Fault(is_any, answer=next(self._storm_answers))
        worker = signed_in(request)
        if worker is None:
            return Fault(is_any, answer=ASK_WHO)
        if tag := written_tag(request):
            self.tag_writes.append(TagWrite(datetime.now(UTC), worker, tag))
        return super()._take_fault(request) or self._next_strike(request)

    def _next_strike(self, request: Request) -> Fault | None:
        striking = [fault for fault, (matches, _) in STRIKES.items() if matches(request)]
        self._passed.update(striking)
        for fault in striking:
            # One that is late, as another fault struck its request, strikes the next.
            due = self._due[fault]
            if due and self._passed[fault] >= due[0].ordinal:
                self.struck[fault] += 1
                _, make = STRIKES[fault]
                return make(request, due.pop(0).share)
        return None


def written_tag(request: Request) -> str | None:
    """`repository:tag` of a request that writes one."""
    repository, _, name = request.path.removeprefix("/v2/").partition("/manifests/")
    return f"{repository}:{name}" if is_manifest_put(request) and ":" not in name else None


def sign_in(worker: str, *hosts: str) -> str:
    """The setting by which a worker tells the proxy its name."""
    return json.dumps({host: {"username": worker, "password": "secret"} for host in hosts})


def signed_in(request: Request) -> str | None:
    scheme, _, pair = request.headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    return base64.b64decode(pair).decode().partition(":")[0]
