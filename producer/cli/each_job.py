"""Do something with each of the jobs that were named."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from producer.cli.exit_code import ExitCode
from producer.cli.exits import code_of_error
from producer.cli.output import print_error, print_json
from producer.cli.queues import JobQueue, Opening
from producer.cli.signals import run
from push_queue.errors import SourceGoneError, UnknownJobError, UnreadableJobError

Result = TypeVar("Result")


def with_each(
    opening: Opening,
    job_ids: Sequence[str],
    use: Callable[[JobQueue, str], Awaitable[Result]],
) -> tuple[list[Result], ExitCode]:
    """The result of each job; one that fails is reported, and does not affect the others."""

    async def each(queue: JobQueue) -> tuple[list[Result], ExitCode]:
        found, code = [], ExitCode.SUCCESS
        for job_id in dict.fromkeys(job_ids):
            try:
                found.append(await use(queue, job_id))
            except (SourceGoneError, UnknownJobError, UnreadableJobError) as error:
                print_error(str(error))
                # A damaged job outweighs a wrong id, as a failed push does bad input.
                if code is not ExitCode.PUSH_FAILED:
                    code = code_of_error(error)
        return found, code

    return with_queue(opening, each)


def with_queue(opening: Opening, use: Callable[[JobQueue], Awaitable[Result]]) -> Result:
    async def main() -> Result:
        async with opening as queue:
            return await use(queue)

    return run(main())


def print_json_of(found: Sequence[dict[str, Any]], job_ids: Sequence[str]) -> None:
    """An object where one job was asked for, else an array."""
    if len(job_ids) > 1:
        print_json(found)
    elif found:
        print_json(found[0])
