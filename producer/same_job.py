"""Whether a job that is enqueued again is the job that has the id."""

from push_queue.errors import JobConflictError
from push_queue.models.job import PushJob
from push_queue.models.source_urls import shown

NOT_COMPARED = frozenset({"labels"})
"""The fields that may differ when the same job is enqueued again."""


def check_same(there: PushJob, asked: PushJob) -> None:
    """Check that the job that has the id is the one asked for, labels apart.

    Raises:
        JobConflictError: names the fields that differ, without the query of a URL.
    """
    fields = [name for name in PushJob.model_fields if name not in NOT_COMPARED]
    differences = [
        f"{name} {_shown(getattr(there, name))}, not {_shown(getattr(asked, name))}"
        for name in fields
        if getattr(there, name) != getattr(asked, name)
    ]
    if differences:
        raise JobConflictError(
            f"job {there.id} exists, with {'; '.join(differences)}; use another id"
        )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    text = str(value)
    # The query of a URL may be secret.
    return text if shown(text) == text else f"{shown(text)}?…"
