"""What a worker tells while it works, to whoever counts it."""

from collections.abc import Callable

from registry_api_v2_client import Observer


class WorkerObserver(Observer):
    """Hears what a worker does. It ignores everything; ``worker.metrics`` counts it."""

    def attempt_ended(self, outcome: str, error_kind: str, seconds: float) -> None:
        """An attempt at a job is over.

        ``outcome`` is the state that the job went to, or: ``deferred`` if it is put off,
        ``released`` if the worker stops and hands it back, ``lost`` if it runs elsewhere.
        """

    def bytes_sent(self, count: int) -> None:
        """So many bytes of blobs, compressed, were sent to a registry."""

    def blob_done(self, how: str, size: int) -> None:
        """A registry has a blob, of ``size`` bytes in the archive: see ``BlobState``."""

    def watch_jobs(self, running: Callable[[], int], most: int) -> None:
        """From now on ``running`` says how many jobs run, of at most that many."""
