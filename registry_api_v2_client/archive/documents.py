"""The JSON documents in an archive: manifests, indexes, configs."""

from typing import Any, TypeGuard

from ..exceptions import TarReadError
from ..json_document import JsonDocumentError, parse_json


def parse_document(content: bytes, what: str) -> Any:
    """
    Raises:
        TarReadError: not JSON, or too large; ``what`` names the document.
    """
    try:
        return parse_json(content)
    except JsonDocumentError as error:
        raise TarReadError(f"{what} {error}") from error


def parse_object(content: bytes, what: str) -> dict[str, Any]:
    """
    Raises:
        TarReadError: not JSON, or not an object.
    """
    document = parse_document(content, what)
    if not isinstance(document, dict):
        raise TarReadError(f"{what} is not a JSON object")
    return document


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_string_list(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_object_list(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
