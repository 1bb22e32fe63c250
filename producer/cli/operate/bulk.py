"""Change all jobs that match: ask first, then page by page."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import typer

from producer.bulk import BulkAction, checked
from producer.cli.exit_code import ExitCode
from producer.cli.operate.consent import agreed, check_can_ask, tell
from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.output import printing
from producer.counted import how_many
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobStatus

PAGE = 200
"""Jobs that are changed before they are told."""
COUNTED_AT_ONCE = 1000
PAST = {
    BulkAction.CANCEL: "cancelled",
    BulkAction.RETRY: "enqueued again",
    BulkAction.PURGE: "forgotten",
}


class Bulk(NamedTuple):
    """Which jobs are to be changed, and how."""

    action: BulkAction
    wanted: JobFilter
    dry_run: bool
    yes: bool
    """Whether nobody needs to be asked."""


class Found(NamedTuple):
    """How many jobs match, and the place of the one that was enqueued last."""

    jobs: int
    newest: int


def change_all(
    context: typer.Context, server: str | None, token_file: Path | None, bulk: Bulk, *, json: bool
) -> ExitCode:
    """Change the jobs that match, and print each as it is then.

    Who is asked first is told how many there are, and those that are enqueued meanwhile stay.

    Raises:
        BadInputError: there is no terminal to ask at.
        InvalidFilterError: it is not said which jobs, or no job in that state can be changed.
    """
    checked(bulk.action, bulk.wanted)
    before = None
    if not (bulk.dry_run or bulk.yes):
        check_can_ask(f"{bulk.action} with a filter may change many jobs")
        found = operate(context, server, token_file, lambda operator: _count(operator, bulk))
        if not _agreed(bulk, found.jobs):
            return ExitCode.SUCCESS
        before = found.newest + 1

    async def change(operator: AnyOperator) -> int:
        jobs = _pages(operator, bulk, before, PAGE, dry_run=bulk.dry_run)
        return await _print(jobs, json=json)

    number = operate(context, server, token_file, change)
    tell(f"{how_many(number, 'job')} {'would be ' if bulk.dry_run else ''}{PAST[bulk.action]}")
    return ExitCode.SUCCESS


def _agreed(bulk: Bulk, number: int) -> bool:
    if number:
        return agreed(f"{how_many(number, 'job')} would be {PAST[bulk.action]}")
    tell("no job matches")
    return False


async def _count(operator: AnyOperator, bulk: Bulk) -> Found:
    number, newest = 0, 0
    async for page in _pages(operator, bulk, None, COUNTED_AT_ONCE, dry_run=True):
        if page and not number:
            newest = page[0].sequence
        number += len(page)
    return Found(number, newest)


async def _pages(
    operator: AnyOperator, bulk: Bulk, before: int | None, limit: int, *, dry_run: bool
) -> AsyncIterator[tuple[JobStatus, ...]]:
    while True:
        page = await operator.change(
            bulk.action, bulk.wanted, before=before, limit=limit, dry_run=dry_run
        )
        yield page.jobs
        before = page.next
        if before is None:
            return


async def _print(pages: AsyncIterator[tuple[JobStatus, ...]], *, json: bool) -> int:
    """Print each job as it comes; returns how many there were."""
    number = 0
    with printing(json=json) as print_one:
        async for page in pages:
            for job in page:
                print_one(job)
            number += len(page)
    return number
