"""Tars that are uploaded to the spool, to be named by jobs."""

from collections.abc import Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import web

from producer.api.access.callers import caller_of
from producer.api.access.keys import LIMITS
from producer.api.answers import answer
from producer.api.context import QUEUE, SPOOL
from producer.api.inputs import no_body
from producer.api.models.uploads import UploadStatus
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from producer.api.uploads.requests import (
    COMPLETE,
    LENGTH,
    OFFSET,
    REPR_DIGEST,
    Part,
    blocks,
    flag,
    is_range,
    length_of,
    part_of,
    repr_digest,
)
from producer.errors import OffsetError, SpoolUnavailableError, UnknownUploadError
from producer.spool.spool import Spool, Upload
from producer.spool.writer import UploadWriter
from push_queue.models.uploads import is_upload_id, source_of, tar_of

TAR = "application/x-tar"


async def create_upload(request: web.Request) -> web.Response:
    """Begin an upload, whose bytes follow by PATCH. ``Upload-Length`` says how many, if known."""
    spool, length = spool_of(request), length_of(request)
    await no_body(request, f"; to upload a tar at once, PUT it to {request.path}/app.tar")
    upload = await spool.run(spool.create, caller_of(request).name, length)
    return _answer(spool, upload, HTTPStatus.CREATED, {"Location": f"{request.path}/{upload.id}"})


async def put_upload(request: web.Request) -> web.Response:
    """Upload a tar in one request, or the rest of one by ``Content-Range``."""
    spool, part = spool_of(request), part_of(request)
    with request.app[LIMITS].upload(caller_of(request)):
        if is_range(request) or await _is_there(request):
            upload = await _receive(request, spool, (await _upload_of(request)).id, part)
        else:
            upload = await _receive_new(request, spool, part)
    # An escaped slash in the name is no folder.
    folder = request.rel_url.raw_path.rpartition("/")[0]
    return _answer(spool, upload, HTTPStatus.CREATED, {"Location": f"{folder}/{upload.id}"})


async def append_to_upload(request: web.Request) -> web.Response:
    """Go on with an upload at ``Upload-Offset``; ``Upload-Complete: ?1`` says that this is all."""
    spool, part = spool_of(request), part_of(request)
    with request.app[LIMITS].upload(caller_of(request)):
        upload = await _receive(request, spool, (await _upload_of(request)).id, part)
    return _answer(spool, upload)


async def read_upload(request: web.Request) -> web.Response:
    """The progress of an upload: ``Upload-Offset`` is where to continue."""
    return _answer(spool_of(request), await _upload_of(request))


async def delete_upload(request: web.Request) -> web.Response:
    """Delete an upload, complete or not. Jobs that name it fail."""
    spool, upload = spool_of(request), await _upload_of(request)
    await no_body(request)
    await spool.run(spool.discard, upload.id)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def read_content(request: web.Request) -> web.StreamResponse:
    """The tar of a complete upload, or the ``Range`` of it that is asked for. For workers."""
    spool, upload = spool_of(request), await _complete_upload_of(request)
    tar = tar_of(spool.folder, upload.id)
    return web.FileResponse(tar, headers={"Content-Type": TAR})


async def delete_content(request: web.Request) -> web.Response:
    """Delete a complete upload that no unfinished job names. For workers that have pushed it."""
    spool, upload = spool_of(request), await _complete_upload_of(request)
    await no_body(request)
    source = source_of(upload.id)
    if await request.app[QUEUE].needed_sources([source]):
        raise ProblemError(
            ProblemType.UPLOAD_NEEDED,
            f"a job that is not finished names {source}; wait for it, or cancel it",
        )
    await spool.run(spool.discard, upload.id)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def own_upload(request: web.Request, upload_id: str) -> Upload:
    """An upload of the caller.

    Raises:
        UnknownUploadError: there is none, or it is another's.
        ProblemError: the server has no spool.
    """
    spool, caller = spool_of(request), caller_of(request)
    if not is_upload_id(upload_id):
        raise UnknownUploadError(upload_id)
    upload = await spool.run(spool.find, upload_id)
    if not (caller.has_all or upload.owner == caller.name):
        raise UnknownUploadError(upload_id)
    return upload


def spool_of(request: web.Request) -> Spool:
    """The server's spool.

    Raises:
        ProblemError: it has none.
    """
    spool = request.app[SPOOL]
    if spool is None:
        raise ProblemError(
            ProblemType.NO_SPOOL,
            "this server takes no uploads: set PUSH_QUEUE_SPOOL for it and the workers",
        )
    return spool


async def _upload_of(request: web.Request) -> Upload:
    """The caller's upload that the path names."""
    return await own_upload(request, request.match_info["upload_id"])


async def _complete_upload_of(request: web.Request) -> Upload:
    """The upload that the path names, whoever owns it."""
    spool, upload_id = spool_of(request), request.match_info["upload_id"]
    if not is_upload_id(upload_id):
        raise UnknownUploadError(upload_id)
    return await spool.run(spool.find_complete, upload_id)


async def _is_there(request: web.Request) -> bool:
    try:
        await _upload_of(request)
    except UnknownUploadError:
        return False
    return True


async def _receive_new(request: web.Request, spool: Spool, part: Part) -> Upload:
    upload = await spool.run(spool.create, caller_of(request).name, part.length)
    try:
        return await _receive(request, spool, upload.id, part)
    except BaseException:
        # Nobody knows its id, so nobody can continue it.
        with suppress(UnknownUploadError, SpoolUnavailableError):
            await spool.run(spool.discard, upload.id)
        raise


async def _receive(request: web.Request, spool: Spool, upload_id: str, part: Part) -> Upload:
    """Write the body, as far as it arrives."""
    with request.app[LIMITS].stream(caller_of(request)), spool.writing():
        await _write(request, spool, upload_id, part)
    return await spool.run(spool.find, upload_id)


async def _write(request: web.Request, spool: Spool, upload_id: str, part: Part) -> None:
    writer = await spool.run(UploadWriter, spool, upload_id)
    try:
        try:
            await spool.run(writer.begin, part.offset, part.length, part.size)
        except OffsetError as error:
            headers = {OFFSET: str(error.expected)}
            raise ProblemError(
                ProblemType.MISMATCHING_UPLOAD_OFFSET, str(error), headers=headers
            ) from None
        async with aclosing(blocks(request)) as body:
            async for block in body:
                await spool.run(writer.write, block)
        if part.last or writer.all_here:
            await spool.run(writer.finish, part.digest)
    finally:
        await spool.run(writer.close)


def _answer(
    spool: Spool,
    upload: Upload,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    model = UploadStatus(
        id=upload.id,
        source=source_of(upload.id),
        offset=upload.offset,
        length=upload.length,
        complete=upload.complete,
        digest=upload.digest,
        expires_at=datetime.fromtimestamp(upload.needed_at + spool.keep_seconds, UTC),
    )
    fields = {OFFSET: str(upload.offset), COMPLETE: flag(upload.complete), **(headers or {})}
    if upload.length is not None:
        fields[LENGTH] = str(upload.length)
    if upload.digest:
        fields[REPR_DIGEST] = repr_digest(upload.digest)
    return answer(model, status, headers=fields)
