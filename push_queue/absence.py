"""Imports without a package that others load wherever it is installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(package: str) -> Iterator[None]:
    """Have what is imported inside find no such package, unless it is loaded already."""
    loaded = package in sys.modules
    if not loaded:
        # With None, importing it fails.
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not loaded:
            del sys.modules[package]
