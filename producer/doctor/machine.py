"""Whether a worker on this machine finds what it is to push."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from rich.filesize import decimal as size

from producer.doctor.finding import Finding, ok, problem, warning
from push_queue.settings import Settings

STORES = ("s3://", "gs://", "az://")


def check(settings: Settings) -> Iterator[Finding]:
    """What is found of the folders and packages of the settings. Blocking."""
    for root in settings.source_roots:
        yield _of_root(root)
    if settings.spool:
        yield from _of_spool(settings.spool, settings)
    if any(str(entry).startswith(STORES) for entry in settings.source_urls) and not find_spec(
        "obstore"
    ):
        yield problem(
            "sources",
            "PUSH_QUEUE_SOURCE_URLS names a bucket, but what reads buckets is not installed",
            "install the extra `stores`",
        )


def _of_root(root: Path) -> Finding:
    subject = f"sources in {root}"
    try:
        count = sum(1 for _ in os.scandir(root))
    except FileNotFoundError:
        return problem(
            subject, "there is no such folder", "mount it here, or change PUSH_QUEUE_SOURCE_ROOTS"
        )
    except OSError as error:
        return problem(subject, f"cannot be read: {error.strerror}", "let this user read it")
    return ok(subject, f"can be read ({count} entries)")


def _of_spool(spool: Path, settings: Settings) -> Iterator[Finding]:
    subject = f"spool in {spool}"
    try:
        with tempfile.TemporaryFile(dir=spool):
            free = shutil.disk_usage(spool).free
    except FileNotFoundError:
        yield problem(subject, "there is no such folder", "make it, or change PUSH_QUEUE_SPOOL")
        return
    except OSError as error:
        yield problem(subject, f"cannot be written: {error.strerror}", "let this user write there")
        return
    left = free - settings.spool_keep_free
    if left <= 0:
        yield problem(
            subject,
            f"only {size(free)} are free on its disk, and uploads leave "
            f"{size(settings.spool_keep_free)}",
            "free some, or lower PUSH_QUEUE_SPOOL_KEEP_FREE",
        )
    elif left < settings.spool_quota:
        yield warning(
            subject,
            f"{size(left)} are left for uploads, less than their quota of "
            f"{size(settings.spool_quota)}",
            "lower PUSH_QUEUE_SPOOL_QUOTA, or give it a larger disk",
        )
    else:
        yield ok(subject, f"{size(left)} are left for uploads")
