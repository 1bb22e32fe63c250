"""The pages, and what makes each of their generated parts."""

from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.reference import command_line, errors, http_api, job_hash, library, metrics, settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

PAGES: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    REFERENCE / "command-line.md": {
        "commands": command_line.commands,
        "worker": command_line.worker,
    },
    REFERENCE / "http-api.md": {
        "requests": http_api.requests,
        "parameters": http_api.parameters,
        "taken": http_api.taken,
        "answered": http_api.answered,
    },
    REFERENCE / "errors.md": {
        "exit-statuses": errors.exit_statuses,
        "kinds": errors.kinds,
        "problem-types": errors.problem_types,
    },
    REFERENCE / "job-hash.md": {
        "states": job_hash.states,
        "asked": job_hash.asked,
        "status": job_hash.status,
        "progress": job_hash.progress,
        "bookkeeping": job_hash.bookkeeping,
        "blobs": job_hash.blobs,
        "attempts": job_hash.attempts,
        "events": job_hash.events,
        "workers": job_hash.workers,
        "keys": job_hash.keys,
    },
    REFERENCE / "settings.md": {"settings": settings.settings},
    REFERENCE / "library.md": {"queue": library.queue, "client": library.client},
    REFERENCE / "metrics.md": {"queue": metrics.queue, "worker": metrics.worker},
}


def written(page: Path, text: str) -> str:
    """The text of a page with all generated parts as they should be.

    Raises:
        ValueError: the page has no place for a part, or several.
    """
    for name, make in PAGES[page].items():
        begin, end = f"<!-- {name}: by make reference -->", "<!-- end -->"
        before, *after = text.split(f"{begin}\n")
        if len(after) != 1:
            raise ValueError(f"{page.name} has no place, or several, for {name}")
        text = f"{before}{begin}\n\n{make()}\n\n{end}{after[0].partition(end)[2]}"
    return text
