"""What leaves no uploads that no job can need."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from producer.cli.enqueue_remotely import enqueue_remotely, refused_as_a_whole
from producer.cli.requests import Request
from producer.errors import ServerRefusedError, UploadError
from producer.remote.queue import RemoteQueue
from push_queue.errors import InvalidJobError, JobConflictError
from push_queue.settings import Settings


@pytest.mark.parametrize(
    ("error", "whole"),
    [
        (ServerRefusedError("x", "target-not-allowed"), True),
        (InvalidJobError("x"), True),
        # Jobs before it in the batch may be enqueued.
        (JobConflictError("x"), False),
        # They are, but the server is of another release.
        (ServerRefusedError("x", "answer"), False),
    ],
)
def test_an_upload_stays_where_a_job_may_name_it(
    error: InvalidJobError | ServerRefusedError, whole: bool
) -> None:
    assert refused_as_a_whole(error) is whole


class OneUpload:
    """A server that takes one upload."""

    def __init__(self, ended_by: BaseException) -> None:
        self.taken: list[str] = []
        self._ended_by = ended_by

    async def upload(self, *_: Any) -> str:
        if self.taken:
            raise self._ended_by
        self.taken.append("upload:1")
        return "upload:1"

    async def discard(self, source: str) -> None:
        self.taken.remove(source)


@pytest.mark.parametrize("ended_by", [asyncio.CancelledError(), UploadError("no room")])
async def test_a_tar_that_does_not_arrive_leaves_none_of_the_others(
    ended_by: BaseException, tmp_path: Path
) -> None:
    server = OneUpload(ended_by)
    tars = [tmp_path / "a.tar", tmp_path / "b.tar"]
    for tar in tars:
        tar.write_bytes(b"")
    requests = [Request(tar, ("localhost:15000/app:1",)) for tar in tars]
    with pytest.raises(type(ended_by)):
        await enqueue_remotely(
            cast(RemoteQueue, server), Settings(), requests, {}, None, upload=True
        )
    assert server.taken == []


async def test_a_tar_that_is_refused_has_the_name_that_was_typed(tmp_path: Path) -> None:
    class Refusing(OneUpload):
        async def enqueue_many(self, _: Any) -> Any:
            raise self._ended_by

    server = Refusing(InvalidJobError("upload:1 is not a readable tar"))
    tar = tmp_path / "a.tar"
    tar.write_bytes(b"")
    with pytest.raises(InvalidJobError) as caught:
        await enqueue_remotely(
            cast(RemoteQueue, server),
            Settings(),
            [Request(tar, ("localhost:15000/app:1",))],
            {},
            None,
            upload=True,
        )
    assert str(caught.value) == f"{tar} is not a readable tar"
    assert server.taken == []
