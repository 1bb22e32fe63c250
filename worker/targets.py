"""Where workers may push to."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from registry_api_v2_client import Reference, ValidationError


class TargetNotAllowedError(ValidationError):
    """A target is none of those that these workers push to."""

    kind = "target_not_allowed"


def check_targets(references: Iterable[Reference], patterns: Sequence[str]) -> None:
    """Hold targets against patterns of ``registry/repository``; anything goes if there are none.

    ``*`` stands for anything, slashes included.

    Raises:
        TargetNotAllowedError: naming the first that matches no pattern.
    """
    for reference in references if patterns else ():
        if not any(fnmatchcase(reference.name, pattern) for pattern in patterns):
            raise TargetNotAllowedError(
                f"{reference.name} is none of {', '.join(patterns)}, where workers push to; "
                "see PUSH_QUEUE_TARGETS"
            )
