"""Teams: who shares the workers with whom."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from push_queue.settings.values import LISTED

NOBODY = "none"
"""The setting's value for a queue without teams."""


def _without_nobody(sources: object) -> object:
    return () if sources == (NOBODY,) else sources


def _check(source: str) -> str:
    if not re.fullmatch(r"caller|label:[^,]+", source):
        raise ValueError(f"{source!r} is neither caller nor label:NAME, and {NOBODY} stands alone")
    return source


TeamSource = Annotated[str, AfterValidator(_check)]
TeamSources = Annotated[tuple[TeamSource, ...], BeforeValidator(_without_nobody), *LISTED]
"""What tells a job's team: the first that the job has."""

FAIR_SHARE_BY: TeamSources = ("label:team", "caller")
