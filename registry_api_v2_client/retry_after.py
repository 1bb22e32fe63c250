"""When a server wants to be asked again.

Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
"""

import time
from email.utils import parsedate_to_datetime


def parse_retry_after(value: str | None, longest: float) -> float | None:
    """The seconds from now, at most ``longest``; None if the header is missing or says no time.

    No push waits for years, even if a server asks for it.
    """
    value = (value or "").strip()
    try:
        seconds = float(value) if value.isdecimal() else _seconds_until(value)
    except (ValueError, OverflowError, OSError):
        return None
    return min(max(0.0, seconds), longest)


def _seconds_until(date: str) -> float:
    return parsedate_to_datetime(date).timestamp() - time.time()
