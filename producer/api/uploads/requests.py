"""What a request with bytes of an upload says: where they go, and what they are.

The words are those of "Resumable Uploads for HTTP":
https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload/
"""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from http import HTTPMethod

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from producer.api.inputs import bad_request, not_compressed, query_of
from producer.api.models.uploads import UploadQuery
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from producer.spool.writer import BLOCK_BYTES

STILL_SECONDS = 30.0
"""How long no byte may arrive before a body is given up."""

OFFSET = "Upload-Offset"
COMPLETE = "Upload-Complete"
LENGTH = "Upload-Length"
REPR_DIGEST = "Repr-Digest"
CONTENT_DIGEST = "Content-Digest"
CONTENT_RANGE = "Content-Range"

TRUE, FALSE = "?1", "?0"
NUMBER_PATTERN = "[0-9]{1,16}"
CONTENT_RANGE_PATTERN = r"bytes ([0-9]{1,16})-([0-9]{1,16})/([0-9]{1,16}|\*)"
_NUMBER = re.compile(NUMBER_PATTERN)
_CONTENT_RANGE = re.compile(CONTENT_RANGE_PATTERN)
_SHA256 = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes that a request brings for an upload."""

    offset: int
    """Where they go."""
    size: int | None
    """None if the request does not say."""
    last: bool
    """Whether the upload is complete with them, whatever its length."""
    length: int | None
    """Of the whole upload, as far as the request says."""
    digest: str | None
    """Of the whole upload: ``sha256:…``."""


def part_of(request: web.Request) -> Part:
    """What the head of the request says.

    Raises:
        ProblemError: naming the header that is malformed.
    """
    not_compressed(request)
    offset, last, length = (
        _by_offset(request) if request.method == HTTPMethod.PATCH else _by_range(request)
    )
    size = request.content_length
    if last and length is None and size is not None:
        length = offset + size
    whole = last and not offset
    return Part(offset, size, last, length, _digest(request, whole=whole))


def length_of(request: web.Request) -> int | None:
    """The length of the upload that is to be.

    Raises:
        ProblemError: it is not a number.
    """
    return _number(request, LENGTH)


def is_range(request: web.Request) -> bool:
    """Whether the request brings a part, so that there has to be an upload already."""
    return CONTENT_RANGE in request.headers


async def blocks(request: web.Request) -> AsyncGenerator[bytes, None]:
    """The body in blocks; all that arrived, also if it breaks off then.

    Raises:
        ProblemError: it broke off, or stalled for too long.
    """
    gathered = bytearray()
    while True:
        failure: ProblemError | None = None
        piece = b""
        try:
            async with asyncio.timeout(STILL_SECONDS):
                piece = await request.content.readany()
        except TimeoutError:
            failure = ProblemError(
                ProblemType.REQUEST_TIMEOUT,
                f"no byte arrived for {STILL_SECONDS:g} s; go on where the upload ends",
            )
        except (ConnectionError, HttpProcessingError, web.RequestPayloadError):
            failure = bad_request("the body broke off; go on where the upload ends")
        gathered += piece
        if gathered and (len(gathered) >= BLOCK_BYTES or not piece):
            yield bytes(gathered)
            gathered.clear()
        if failure:
            raise failure
        if not piece:
            return


def repr_digest(digest: str) -> str:
    """``sha256:…`` as RFC 9530 has it."""
    raw = bytes.fromhex(digest.removeprefix("sha256:"))
    return f"sha-256=:{base64.b64encode(raw).decode()}:"


def flag(value: bool) -> str:
    """A boolean of RFC 9651."""
    return TRUE if value else FALSE


def _by_offset(request: web.Request) -> tuple[int, bool, int | None]:
    offset = _number(request, OFFSET)
    if offset is None:
        raise bad_request(f"{OFFSET} is missing; HEAD says where the upload ends")
    complete = request.headers.get(COMPLETE, FALSE)
    if complete not in (TRUE, FALSE):
        raise bad_request(f"{COMPLETE}: must be {TRUE} or {FALSE}")
    return offset, complete == TRUE, length_of(request)


def _by_range(request: web.Request) -> tuple[int, bool, int | None]:
    text = request.headers.get(CONTENT_RANGE)
    if text is None:
        return 0, True, None
    match = _CONTENT_RANGE.fullmatch(text)
    if not match:
        raise bad_request("Content-Range: must be such as bytes 1000-1999/5000")
    first, end = int(match[1]), int(match[2]) + 1
    length = None if match[3] == "*" else int(match[3])
    if request.content_length not in (None, end - first) or (length is not None and end > length):
        raise bad_request("Content-Range: does not fit the body")
    return first, end == length, length


def _number(request: web.Request, name: str) -> int | None:
    text = request.headers.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise bad_request(f"{name}: must be a number of bytes")
    return int(text)


def _digest(request: web.Request, *, whole: bool) -> str | None:
    """The digest that is meant. Algorithms other than SHA-256 are not looked at."""
    given = {query_of(request, UploadQuery).digest, _field(request, REPR_DIGEST)}
    if content := _field(request, CONTENT_DIGEST):
        if not whole:
            raise bad_request(
                f"{CONTENT_DIGEST}: is checked of a whole upload only; send {REPR_DIGEST}"
            )
        given.add(content)
    given.discard(None)
    if len(given) > 1:
        raise bad_request("the digests differ; send one of them")
    return given.pop() if given else None


def _field(request: web.Request, name: str) -> str | None:
    text = request.headers.get(name, "")
    if "sha-256=" not in text:
        return None
    match = _SHA256.search(text)
    if not match:
        raise bad_request(f"{name}: must be such as sha-256=:BASE64:")
    return f"sha256:{base64.b64decode(match[1]).hex()}"
