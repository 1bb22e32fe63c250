"""Which files a worker may read, and delete when a job asks for it."""

import os
from collections.abc import Sequence
from pathlib import Path

from registry_api_v2_client import ValidationError


class SourceNotAllowedError(ValidationError):
    """The source lies outside of the folders that workers may use."""

    kind = "source_not_allowed"


def allowed_source(source: str, roots: Sequence[Path], *, cleanup: bool) -> Path:
    """The real path of a job's source. Blocking.

    Raises:
        SourceNotAllowedError: it is not below one of the roots, links followed; or it is to be
            deleted and there are no roots.
    """
    if not roots:
        if cleanup:
            raise SourceNotAllowedError(
                f"{source} cannot be deleted after the push: set PUSH_QUEUE_SOURCE_ROOTS for the "
                "workers, or enqueue it without cleanup"
            )
        return Path(source)
    real = Path(os.path.realpath(source))
    # Whether the file is there is not asked: nothing is said of what lies outside of the roots.
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise SourceNotAllowedError(
            f"{source} is not below {' or '.join(map(str, roots))}, where workers read; "
            "see PUSH_QUEUE_SOURCE_ROOTS"
        )
    return real
