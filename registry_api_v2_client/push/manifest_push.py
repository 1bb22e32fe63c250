"""Writes the manifests of a push to one repository: first by digest, at the end by tag.

By the time a tag can be seen, the signatures of its image are there, too.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

from ..api.registry import Registry
from ..exceptions import (
    DeniedError,
    DigestMismatchError,
    RegistryError,
    ServerError,
    UnauthorizedError,
    UnsupportedError,
)
from ..outages import is_outage, most_hopeful
from ..retry import Retrier
from .manifests import BuiltManifest
from .plan import PlannedManifests
from .referrers import list_referrer, subject_of
from .tag_order import TagOrder, TagTurn

_REFUSALS = (DeniedError, UnauthorizedError, UnsupportedError)
"""The errors with which a registry refuses to answer a question."""


@dataclass(frozen=True, slots=True)
class Target:
    """A repository, and the tags that the image gets in it."""

    registry: Registry
    repository: str
    tags: tuple[str, ...]

    def reference(self, tag: str) -> str:
        """``registry/repository:tag``, as references name the registry."""
        return f"{self.registry.name}/{self.repository}:{tag}"


class ManifestPush:
    """Writes manifests. ``notes`` collects what the user may not expect."""

    def __init__(self, retrier: Retrier, tag_order: TagOrder) -> None:
        self.notes: dict[str, None] = {}
        self._retrier = retrier
        self._tag_order = tag_order

    async def is_there(self, target: Target, manifests: PlannedManifests) -> bool:
        """Whether the repository has all of them. An index comes with all that it names."""
        for manifest in (manifests.main, *manifests.companions):
            if not await self._holds(target, manifest):
                return False
        return True

    async def _holds(self, target: Target, manifest: BuiltManifest) -> bool:
        """Whether the registry says that it has the manifest. If it cannot say, it is sent.

        A distribution registry that was killed while it wrote a link answers 500 until the manifest
        is written again.
        """
        try:
            return await self._digest_of(target, manifest.digest) == manifest.digest
        except _REFUSALS:
            return False
        except ServerError as error:
            if is_outage(error):
                raise
            return False

    async def write(self, target: Target, manifests: PlannedManifests) -> None:
        """Write all by digest. Their blobs are there already."""
        for manifest in (*manifests.parts, manifests.main, *manifests.companions):
            listed = await self._put(target, manifest.digest, manifest)
            if not listed and (subject := subject_of(manifest)):
                await self._list_referrer(target, subject, manifest)

    async def tag(
        self, target: Target, manifests: PlannedManifests, *, maybe_there: bool = False
    ) -> None:
        """Write the companions' own tags, then those that the image gets.

        A tag that fails does not stop the others, unless the registry is down.
        """
        for tag, manifest in manifests.companion_tags:
            await self._tag_companion(target, tag, manifest)
        failures: list[RegistryError] = []
        for tag in target.tags:
            try:
                await self._tag(target, tag, manifests.main, maybe_there=maybe_there)
            except RegistryError as error:
                failures.append(error)
                if is_outage(error):
                    break
        if failures:
            raise most_hopeful(failures)

    async def _tag(
        self, target: Target, tag: str, manifest: BuiltManifest, *, maybe_there: bool
    ) -> None:
        asked = self._tag_order.turn(target.reference(tag), manifest.digest)
        async with asked as turn:
            # Only asked in our turn: before it, another push could still write the tag.
            if turn and not (maybe_there and await self._names(target, tag, manifest)):
                await self._write_tag(turn, target, tag, manifest)
                await self._read_back(target, tag, manifest)

    async def _write_tag(
        self, turn: TagTurn, target: Target, tag: str, manifest: BuiltManifest
    ) -> None:
        async def write() -> None:
            with turn.write():
                await _put(target, tag, manifest)

        await self._retrier.run(write)

    async def _names(self, target: Target, tag: str, manifest: BuiltManifest) -> bool:
        with suppress(*_REFUSALS):  # if it cannot say, the tag is written again
            stored = await self._retrier.run(
                lambda: target.registry.manifests.stored_digest(target.repository, tag)
            )
            return stored == manifest.digest
        return False

    async def _read_back(self, target: Target, tag: str, manifest: BuiltManifest) -> None:
        """One GET by tag: the pushed bytes come back only if both tag and digest lead to them.

        If reading is not allowed, the tag stands: the registry has accepted it.
        """

        async def check() -> None:
            stored = await target.registry.manifests.stored_digest(target.repository, tag)
            if stored != manifest.digest:
                why = (
                    "does another client push this tag, too?"
                    if stored
                    else "does the registry cache what its garbage collection has deleted? "
                    "A restart empties such a cache"
                )
                raise DigestMismatchError(
                    f"{target.reference(tag)} reads back as {stored or 'nothing'} instead of "
                    f"{manifest.digest}; {why}",
                    status=200,
                )

        # Some registries show a new tag only after a moment.
        policy = self._retrier.policy
        patient = replace(self._retrier, policy=replace(policy, attempts=2 * policy.attempts))
        try:
            await patient.run(check)
        except _REFUSALS as error:
            self.notes[f"{target.reference(tag)} was written, but not read back: {error}"] = None

    async def _tag_companion(self, target: Target, tag: str, manifest: BuiltManifest) -> None:
        """Write the tag unless it names something else: maybe a newer signature.

        If the registry cannot say what it names, the archive's is written.
        """
        try:
            there = await self._digest_of(target, tag)
        except _REFUSALS as error:
            there = None
            self.notes[
                f"{target.reference(tag)} was written without knowing its old digest: {error}"
            ] = None
        if there is None:
            await self._put(target, tag, manifest)
        elif there != manifest.digest:
            self.notes[
                f"{target.reference(tag)} names {there} and was left as it is; the archive has "
                f"{manifest.digest}"
            ] = None

    async def _list_referrer(self, target: Target, subject: str, manifest: BuiltManifest) -> None:
        await self._retrier.run(
            lambda: list_referrer(target.registry, target.repository, subject, manifest)
        )

    async def _digest_of(self, target: Target, reference: str) -> str | None:
        return await self._retrier.run(
            lambda: target.registry.manifests.digest(target.repository, reference)
        )

    async def _put(self, target: Target, reference: str, manifest: BuiltManifest) -> bool:
        return await self._retrier.run(lambda: _put(target, reference, manifest))


async def _put(target: Target, reference: str, manifest: BuiltManifest) -> bool:
    return await target.registry.manifests.put(
        target.repository, reference, manifest.raw, manifest.media_type, manifest.digest
    )
