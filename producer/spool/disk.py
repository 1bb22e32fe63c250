"""What is said of a folder that is away, and of a disk that is full or fails."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from producer.errors import SpoolFullError


def check_usable(folder: Path) -> None:
    """Whether the folder is there, and can be read and written to. Blocking.

    Raises:
        OSError: it is not, or cannot.
    """
    with os.scandir(folder):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def writing_to_disk() -> Iterator[None]:
    """The time in which the disk may turn out to be full.

    Raises:
        SpoolFullError: it is, or it fails.
        FileNotFoundError: the folder is away.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SpoolFullError(
            f"the spool cannot be written to ({error.strerror}); try again later"
        ) from None
