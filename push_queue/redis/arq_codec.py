"""How arq's own records are written: JSON, never pickle.

Besides plain values, arq puts exceptions into results. They become
``{"exception": "ValueError", "message": "…"}``.
"""

import json
from typing import Any


def dumps(value: dict[str, Any]) -> bytes:
    """Serializer for arq.

    Raises:
        TypeError: the value holds something that is neither JSON nor an exception.
    """
    return json.dumps(value, default=_encode_exception, separators=(",", ":")).encode()


def loads(data: bytes) -> dict[str, Any]:
    """Deserializer for arq."""
    value: dict[str, Any] = json.loads(data)
    return value


def _encode_exception(value: object) -> dict[str, str]:
    if isinstance(value, BaseException):
        return {"exception": type(value).__name__, "message": str(value)}
    raise TypeError(f"a {type(value).__name__} cannot be part of a job")
