"""What a push consists of: each blob once, and the manifests that name them.

A manifest about a digest, such as a signature, is pushed if that digest is kept. If not, it is left
out: its subject would not exist.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..archive.image_archive import ImageArchive
from ..archive.model import ArchiveContent, Companion
from .compression import CompressionPolicy
from .content_plan import Blobs, ContentPlan, Planner
from .manifests import BuiltManifest
from .sources import BlobSource, LayerSource

_LEFT_OUT = (
    "signatures, attestations or referrers left out: {}, because the manifests that they name were "
    "not pushed unchanged; to include them, push all platforms with compression keep"
)


_Along = tuple[Companion, ContentPlan]


@dataclass(frozen=True, slots=True)
class PlannedManifests:
    """Manifests in the order of sending: what an index names comes before the index.

    ``companions`` follow ``main``. Some of them are found by ``companion_tags``.
    """

    parts: tuple[BuiltManifest, ...]
    main: BuiltManifest
    companions: tuple[BuiltManifest, ...]
    companion_tags: tuple[tuple[str, BuiltManifest], ...]


class PushPlan:
    """All that is pushed for ``content``, one choice from an archive.

    ``sources`` are its blobs. Layers are in the order of the archive, so that a compressed one is
    read once. ``notes`` tell the user what they may not expect.
    """

    def __init__(
        self, archive: ImageArchive, content: ArchiveContent, policy: CompressionPolicy
    ) -> None:
        planner = Planner(policy)
        self._main = planner.plan(content)
        self._companions = _along(archive.companions, _kept([self._main]))
        self.sources = _sources([self._main, *(plan for _, plan in self._companions)])
        self.notes = (*content.notes, *self._notes(archive, content, planner.left_out))

    def manifests(self, blobs: Blobs) -> PlannedManifests:
        """The manifests, given the blobs as they are pushed."""
        built: dict[ContentPlan, BuiltManifest] = {}
        for plan in _walk([self._main, *(plan for _, plan in self._companions)]):
            built[plan] = plan.build(blobs, built)
        *parts, main = _walk([self._main])
        return PlannedManifests(
            tuple(built[plan] for plan in parts),
            built[main],
            tuple(built[plan] for plan in _walk(plan for _, plan in self._companions)),
            tuple((one.tag, built[plan]) for one, plan in self._companions if one.tag),
        )

    def _notes(
        self, archive: ImageArchive, content: ArchiveContent, left_out: int
    ) -> Iterator[str]:
        along = {companion.digest for companion, _ in self._companions}
        named = _digests(archive, content)
        for companion in archive.companions:
            if companion.subject in named and companion.digest not in along:
                left_out += 1
        if left_out:
            yield _LEFT_OUT.format(left_out)
        lost = archive.lost_companions
        yield from (companion.reason for companion in lost if companion.subject in named)


def _along(companions: Iterable[Companion], kept: Iterable[str]) -> list[_Along]:
    """Companions of what is kept, companions of these, and so on, all unchanged."""
    about: dict[str, list[Companion]] = {}
    for companion in companions:
        about.setdefault(companion.subject, []).append(companion)
    planner, along, waiting = Planner(CompressionPolicy.KEEP), list[_Along](), deque(kept)
    while waiting:
        for companion in about.pop(waiting.popleft(), ()):
            plan = planner.plan(companion.content)
            if plan.kept:
                along.append((companion, plan))
                waiting += _kept([plan])
    return along


def _kept(plans: Iterable[ContentPlan]) -> list[str]:
    """Digests of manifests that are pushed unchanged."""
    return [plan.kept for plan in _walk(plans) if plan.kept]


def _walk(plans: Iterable[ContentPlan]) -> Iterator[ContentPlan]:
    """These plans and all below them, each once, the parts before the whole."""
    seen: set[ContentPlan] = set()

    def below(plan: ContentPlan) -> Iterator[ContentPlan]:
        if plan not in seen:
            seen.add(plan)
            for part in plan.parts:
                yield from below(part)
            yield plan

    for plan in plans:
        yield from below(plan)


def _sources(plans: Iterable[ContentPlan]) -> list[BlobSource]:
    unique = {source.key: source for plan in _walk(plans) for source in plan.sources()}
    return sorted(unique.values(), key=_place)


def _place(source: BlobSource) -> float:
    return source.member.offset if isinstance(source, LayerSource) else math.inf


def _digests(archive: ImageArchive, content: ArchiveContent) -> set[str]:
    """Digests of what is pushed, and of the indexes in the archive that lead to it."""
    digests = {digest for image in (content, *content.images) for digest in image.digests}
    for root in archive.images:
        if digests & {digest for image in root.images for digest in image.digests}:
            digests |= set(root.digests)
    return digests
