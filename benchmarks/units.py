"""Decimal units, as registries and disks use them."""

KB, MB, GB = 10**3, 10**6, 10**9

_UNITS = ((GB, "GB"), (MB, "MB"), (KB, "KB"), (1, "B"))


def size_name(size: int) -> str:
    """``150 MB``, ``5 GB``: three digits in the largest unit that fits; ``size`` is positive."""
    unit, name = next((unit, name) for unit, name in _UNITS if size >= unit)
    return f"{size / unit:.3g} {name}"
