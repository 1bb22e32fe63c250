"""Redis: how it is reached, its keys, and what may go wrong with it.

Whatever imports redis-py imports this package first: see below.
"""

import sys
from importlib import import_module
from types import ModuleType


class _LoadedWhenUsed(ModuleType):
    """Stands for a module with whoever has imported it."""

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(self.__name__), name)


# With PyJWT, redis-py would load much of cryptography for a kind of login that has no setting here.
if "jwt" not in sys.modules:
    sys.modules["jwt"] = _LoadedWhenUsed("jwt")
    import_module("redis.auth.token")
    del sys.modules["jwt"]
