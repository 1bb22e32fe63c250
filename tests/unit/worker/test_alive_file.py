"""The file of a worker that is alive."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from push_queue.errors import InvalidSettingsError
from tests.support.waiting import becomes
from worker.alive_file import FRESH_SECONDS, AliveFile, is_fresh


async def test_it_is_there_from_the_start_to_the_stop(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    file = AliveFile(path)
    assert not is_fresh(path)
    file.start()
    assert is_fresh(path)
    await file.stop()
    assert not path.exists()


async def test_it_is_touched_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.alive_file._INTERVAL", 0.001)
    path = tmp_path / "alive"
    file = AliveFile(path)
    file.start()
    for _ in range(3):
        await _touched_after_long_ago(path)
    await file.stop()


async def _touched_after_long_ago(path: Path) -> None:
    long_ago = time.time() - FRESH_SECONDS - 1
    os.utime(path, (long_ago, long_ago))
    assert not is_fresh(path)
    await becomes(partial(_is_fresh, path))


async def _is_fresh(path: Path) -> bool:
    return is_fresh(path)


def test_a_worker_that_cannot_write_it_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "alive"
    with pytest.raises(InvalidSettingsError, match=r"PUSH_QUEUE_ALIVE_FILE.*cannot be written"):
        AliveFile(path).start()
