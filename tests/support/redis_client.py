"""The type of redis-py's clients, both of them."""

from typing import Any, TypeAlias

Redis: TypeAlias = Any
"""redis-py types its commands once for both: mypy may neither await a reply nor do without."""
