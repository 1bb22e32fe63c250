"""Teams: who shares the workers with whom."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

NOBODY = "none"
"""The setting's value for a queue without teams."""


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    sources = tuple(part for item in value.split(",") if (part := item.strip()))
    return () if sources == (NOBODY,) else sources


def _check(source: str) -> str:
    if not re.fullmatch(r"caller|label:[^,]+", source):
        raise ValueError(f"{source!r} is neither caller nor label:NAME, and {NOBODY} stands alone")
    return source


TeamSource = Annotated[str, AfterValidator(_check)]
TeamSources = Annotated[tuple[TeamSource, ...], NoDecode, BeforeValidator(_split)]
"""What tells a job's team: the first that the job has."""

FAIR_SHARE_BY: TeamSources = ("label:team", "caller")
