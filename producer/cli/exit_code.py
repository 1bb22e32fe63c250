"""The exit codes; apart from the errors, whose packages take time to load."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command's exit status says."""

    SUCCESS = 0
    PUSH_FAILED = 1
    BAD_INPUT = 2
    NO_REDIS = 3
    UNDECIDED = 4
    """Not known: jobs go on after ``--timeout``, or a registry cannot be asked."""
