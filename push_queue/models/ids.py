"""Ids of jobs and uploads: 26 characters that sort by the time at which they were made."""

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u.
JOB_ID_PATTERN = r"^[A-Za-z0-9._-]{1,128}$"
UPLOAD_ID_PATTERN = r"^[0-9a-hjkmnp-tv-z]{26}$"

_TIME_BITS, _RANDOM_BITS, _CHARACTER_BITS = 48, 80, 5


def new_upload_id() -> str:
    """One that nobody guesses."""
    return new_job_id()


def new_job_id() -> str:
    """48 bits of milliseconds, then 80 random bits, in base 32."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    characters = -(-(_TIME_BITS + _RANDOM_BITS) // _CHARACTER_BITS)
    shifts = range(_CHARACTER_BITS * (characters - 1), -1, -_CHARACTER_BITS)
    return "".join(ALPHABET[number >> shift & 31] for shift in shifts)
