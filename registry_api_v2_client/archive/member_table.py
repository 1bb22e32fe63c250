"""The members of a tar by name, as docker would extract them."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..exceptions import TarReadError
from .files import HEAD_SIZE, Member, is_outside, normal_name
from .tar_header import BrokenTarError, Kind, TarMember

_MAX_LINKS = 16


class MemberTable:
    """Members by name. If several have the same name, the last counts."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._members: dict[str, Member | _Link] = {}

    def add(self, entry: TarMember, read: Callable[[int, int], bytes]) -> Member | None:
        """Note an entry. Returns the member if it is a file, whose head is read.

        Raises:
            BrokenTarError: its path leads out of the tar.
        """
        name = normal_name(entry.name)
        if is_outside(name):
            raise BrokenTarError(f"its member {entry.name} has a path outside it")
        # Even a directory or a device replaces an earlier member of that name.
        self._members.pop(name, None)
        match entry.kind:
            case Kind.SYMLINK:
                folder = posixpath.dirname(name)
                self._members[name] = _Link(normal_name(posixpath.join(folder, entry.target)))
            case Kind.HARD_LINK:
                self._members[name] = _Link(normal_name(entry.target))
            case Kind.FILE | Kind.SPARSE:
                head = read(entry.offset, min(HEAD_SIZE, entry.size))
                sparse = entry.kind is Kind.SPARSE
                member = Member(name, entry.offset, entry.size, head, sparse)
                self._members[name] = member
                return member
        return None

    def find(self, name: str) -> Member | None:
        """The member of that name, through symbolic and hard links, or None.

        Raises:
            TarReadError: its links form a loop or lead out of the tar, or it is stored sparse.
        """
        place = normal_name(name)
        for _ in range(_MAX_LINKS):
            found = self._members.get(place)
            if not isinstance(found, _Link):
                break
            place = found.target
        else:
            raise TarReadError(f"the links of {name} in {self._path} form a loop")
        if is_outside(place):
            raise TarReadError(f"{name} in {self._path} links to a path outside the tar")
        if found and found.sparse:
            raise TarReadError(
                f"{name} in {self._path} is stored as a sparse file; pack the tar without --sparse"
            )
        return found


@dataclass(frozen=True, slots=True)
class _Link:
    target: str
