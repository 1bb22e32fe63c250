"""JSON from archives and registries, which may be built to exhaust its reader."""

from typing import Any

from pydantic_core import from_json

MAX_JSON = 4 << 20
"""Bytes of the largest manifest, index or config that registries and skopeo take."""

MAX_VALUES = 250_000
"""Values in one document, counted by their punctuation: at 100 bytes of memory each, 25 MB."""


class JsonDocumentError(ValueError):
    """The document cannot be read. The message completes a sentence that begins with its name."""


def parse_json(content: bytes) -> Any:
    """The value of a JSON document in UTF-8, nested at most 200 deep, which is the parser's limit.

    Strings have no lone surrogates, so they can be encoded again. NaN is not a number.

    Raises:
        JsonDocumentError: not JSON, nested too deep, or with too many values.
    """
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise JsonDocumentError(f"has more than {MAX_VALUES} values")
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise JsonDocumentError(f"is not valid JSON: {error}") from error
