"""Uploads."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class UploadQuery(BaseModel):
    """Parameters of an upload."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """The SHA-256 of the whole upload, which is refused if its bytes are others."""


class UploadStatus(BaseModel):
    """A tar in the spool, or as much of it as has arrived."""

    id: str
    """Its id, which the server has given it."""
    source: str
    """What a job that pushes it has as its source."""
    offset: int
    """Bytes that have arrived."""
    length: int | None
    """Bytes that it will have in all; null while unknown."""
    complete: bool
    """Whether all of it is here."""
    digest: str | None
    """The SHA-256 of a complete one, ``sha256:…``; null before."""
    expires_at: datetime
    """When it is deleted unless it is continued, or an unfinished job needs it."""
