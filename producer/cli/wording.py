"""How values read: sizes, times, jobs on one line."""

from datetime import UTC, datetime, timedelta

from rich.filesize import decimal

from push_queue.models.job_status import JobState, JobStatus
from push_queue.models.pause import Pause
from push_queue.models.source_urls import shown

STATE_COLORS = {
    JobState.QUEUED: "yellow",
    JobState.RUNNING: "cyan",
    JobState.RETRYING: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "magenta",
    JobState.SUPERSEDED: "blue",
}


def printable(text: str) -> str:
    """``text`` with characters escaped that would break the line or control the terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def size(count: int) -> str:
    """``12.3 MB``."""
    return decimal(count)


def moment(time: datetime) -> str:
    """``2026-01-31 09:30:00 UTC``."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(start: datetime, end: datetime) -> str:
    """``42.0 s`` or ``3 min 20 s``."""
    return span(end - start)


def span(time: timedelta) -> str:
    """``42.0 s`` or ``3 min 20 s``."""
    seconds = max(0.0, time.total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def percent(job: JobStatus) -> str:
    """``42 %``; empty while the total is unknown."""
    return f"{job.bytes_done * 100 // job.bytes_total} %" if job.bytes_total else ""


def progress(job: JobStatus) -> str:
    """``42 %, 12.3 MB of 29.0 MB, 2 of 6 blobs``; empty before the first report."""
    if not job.blobs_total:
        return ""
    return ", ".join(
        part
        for part in (
            percent(job),
            f"{size(job.bytes_done)} of {size(job.bytes_total)}",
            f"{job.blobs_done} of {job.blobs_total} blobs",
        )
        if part
    )


def sent(job: JobStatus) -> str:
    """``5.1 MB, 24.0 MB saved``; empty while nothing was sent or saved."""
    saved = f"{size(job.bytes_saved)} saved" if job.bytes_saved else ""
    if not (job.bytes_sent or saved):
        return ""
    return ", ".join(filter(None, (size(job.bytes_sent), saved)))


def reason(job: JobStatus) -> str:
    """What went wrong: ``localhost:5000 refuses connections (registry_unavailable)``."""
    return f"{job.error} ({job.error_kind})"


def _patience(job: JobStatus) -> str:
    return f"; tried again until {moment(job.give_up_at)}" if job.give_up_at else ""


def headline(job: JobStatus) -> str:
    """The state with what explains it: ``failed: … (registry_unavailable)``; one line."""
    match job.state:
        case JobState.QUEUED | JobState.RETRYING if job.waiting_for:
            detail = f": {job.waiting_for}{_patience(job)}"
        case JobState.QUEUED if job.next_attempt_at:
            detail = f" until {moment(job.next_attempt_at)}"
        case JobState.QUEUED:
            detail = f": {shown(job.source)} to {', '.join(job.targets)}"
        case JobState.RUNNING if job.cancel_requested:
            detail = ": its worker was asked to stop"
        case JobState.RUNNING:
            detail = f" on {job.worker} (attempt {job.attempt} of {job.max_attempts})"
        case JobState.SUCCEEDED:
            detail = f": {job.digest}"
        case JobState.SUPERSEDED:
            detail = f": newer jobs have written {', '.join(job.targets)}"
        case JobState.RETRYING | JobState.FAILED:
            detail = f": {reason(job)}"
        case _:
            detail = ""
    return f"{job.state}{printable(detail)}"


def how_paused(pause: Pause) -> str:
    """``is paused by alice until 2026-01-31 09:30:00 UTC: it is being repaired``."""
    by = f" by {pause.by}" if pause.by else ""
    until = f" until {moment(pause.until)}" if pause.until else f" since {moment(pause.since)}"
    return f"is paused{by}{until}{f': {pause.reason}' if pause.reason else ''}"
