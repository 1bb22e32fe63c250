"""Patterns of ``registry/repository``, such as ``reg.example.com/team/*``."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator


def check_pattern(pattern: str) -> str:
    """The pattern in lower case, as it is held against names.

    Raises:
        ValueError: it is no such pattern.
    """
    registry, _, repository = pattern.partition("/")
    if not (registry and repository) or set(":@") & set(repository) or "//" in pattern:
        raise ValueError(
            f"{pattern!r} is not a pattern of registry/repository such as reg.io/team/*"
        )
    return pattern.lower()


TargetPattern = Annotated[str, AfterValidator(check_pattern)]


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether the ``registry/repository`` is one of these; ``*`` is anything, slashes included."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
