"""The exit codes; apart from the errors, whose packages take time to load."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command's exit status says."""

    SUCCESS = 0
    """Success. Also if a newer job has written the tag instead (``superseded``)."""
    PUSH_FAILED = 1
    """A push failed, or another part of what was asked for; the error says why."""
    BAD_INPUT = 2
    """Bad input: what was typed, a setting, or the tar. The same again fails again."""
    NO_REDIS = 3
    """Redis or the server cannot be reached. Try again later."""
    UNDECIDED = 4
    """Not known: ``--timeout`` is over and jobs go on, or a registry cannot be asked."""
