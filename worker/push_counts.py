"""Tells the worker's observer how much a push sends, and how its blobs come to be there."""

from registry_api_v2_client import BlobProgress

from .observer import WorkerObserver


class PushCounts:
    """The blobs of one attempt; ``update`` is an ``OnProgress``."""

    def __init__(self, observer: WorkerObserver) -> None:
        self._observer = observer
        self._sent: dict[tuple[str, str], int] = {}
        self._done: set[tuple[str, str]] = set()

    def update(self, progress: BlobProgress) -> None:
        blob = progress.digest, progress.repository
        new = progress.sent - self._sent.get(blob, 0)
        if new > 0:
            self._sent[blob] = progress.sent
            self._observer.bytes_sent(new)
        if progress.state.final and blob not in self._done:
            self._done.add(blob)
            self._observer.blob_done(progress.how, progress.size)
