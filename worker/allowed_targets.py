"""Where workers may push to."""

from collections.abc import Iterable, Sequence

from push_queue.error_kinds import ErrorKind
from push_queue.settings.target_patterns import fits
from registry_api_v2_client import Reference, ValidationError


class TargetNotAllowedError(ValidationError):
    """These workers do not push to the target."""

    kind = ErrorKind.TARGET_NOT_ALLOWED


def check_targets(references: Iterable[Reference], patterns: Sequence[str]) -> None:
    """Check targets against patterns of ``registry/repository``. Without patterns all are allowed.

    ``*`` matches anything, also slashes.

    Raises:
        TargetNotAllowedError: names the first target that matches no pattern.
    """
    for reference in references if patterns else ():
        if not fits(reference.name, patterns):
            raise TargetNotAllowedError(
                f"{reference.name} matches none of {', '.join(patterns)}; workers push only where "
                "PUSH_QUEUE_TARGETS allows it"
            )
