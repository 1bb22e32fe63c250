"""Numbers of things, in words."""


def how_many(number: int, one: str) -> str:
    """``1 job`` or ``3 jobs``."""
    return f"{number} {one}{'' if number == 1 else 's'}"


def waiting(number: int, one: str) -> str:
    """``1 job waits`` or ``3 jobs wait``."""
    return f"{how_many(number, one)} wait{'s' if number == 1 else ''}"
