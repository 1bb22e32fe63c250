"""Decimal units, as registries and disks are sold."""

KB, MB, GB = 10**3, 10**6, 10**9


def size_name(size: int) -> str:
    """``150 MB``, ``5 GB``: whole units of three digits at most."""
    unit, name = next((u, n) for u, n in ((GB, "GB"), (MB, "MB"), (KB, "KB"), (1, "B")) if size >= u)
    return f"{size / unit:.3g} {name}"
