"""How values of settings are written: lists, paths, ports."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part for item in value.split(",") if (part := item.strip()))


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _check_path(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def _check_paths(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    if not all(path.is_absolute() for path in paths):
        raise ValueError("must be absolute paths")
    return paths


LISTED = (NoDecode, BeforeValidator(_split))
"""Separated by commas in the environment, instead of JSON."""
LOWER = BeforeValidator(_lower)
"""In any case."""

Names = Annotated[tuple[str, ...], *LISTED]
Paths = Annotated[tuple[Path, ...], *LISTED, AfterValidator(_check_paths)]
AbsolutePath = Annotated[Path, AfterValidator(_check_path)]
Port = Annotated[int, Field(ge=0, le=65535)]
