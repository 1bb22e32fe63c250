"""Which files a worker may read, and delete when a job asks for it."""

from collections.abc import Sequence
from pathlib import Path

from registry_api_v2_client import SourceUnreadableError, ValidationError


class SourceNotAllowedError(ValidationError):
    """The source lies outside of the folders that workers may use."""

    kind = "source_not_allowed"


def allowed_source(source: str, roots: Sequence[Path], *, cleanup: bool) -> Path:
    """The real path of a job's source. Blocking.

    Raises:
        SourceNotAllowedError: it is not below one of the roots, links followed; or it is to be
            deleted and there are no roots.
        SourceUnreadableError: there is no such file.
    """
    if not roots:
        if cleanup:
            raise SourceNotAllowedError(
                f"{source} cannot be deleted after the push: set PUSH_QUEUE_SOURCE_ROOTS for the "
                "workers, or enqueue it without cleanup"
            )
        return Path(source)
    try:
        real = Path(source).resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, up to Python 3.12
        # Nothing is said of what lies outside of the roots, not even whether it is there.
        if _below(Path(source), roots):
            raise SourceUnreadableError(f"{source} does not exist") from None
        real = Path(source)
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise SourceNotAllowedError(
            f"{source} is not below {' or '.join(map(str, roots))}, where workers read; "
            "see PUSH_QUEUE_SOURCE_ROOTS"
        )
    return real


def _below(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots) and ".." not in path.parts
