"""``push-queue purge``: forget jobs, emptied registries, unneeded uploads, old webhooks."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from pydantic import BaseModel

from producer.bulk import BulkAction
from producer.cli.exit_code import ExitCode
from producer.cli.exits import BadInputError
from producer.cli.filters import (
    OPTIONS,
    ErrorKindOption,
    LabelOption,
    RegistryOption,
    RepositoryOption,
    SinceOption,
    StateOption,
    filter_of,
)
from producer.cli.operate.bulk import Bulk, change_all
from producer.cli.operate.consent import agreed, check_can_ask, tell
from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.options import ServerOption, TokenFileOption
from producer.cli.output import print_json
from producer.cli.wording import size
from producer.counted import how_many
from producer.spool.purge import PurgedUploads
from push_queue.registries.knowledge import ForgottenKnowledge
from push_queue.webhook_outbox import ForgottenWebhook

EXAMPLES = """
Examples:

    push-queue purge --state failed --label team=a

    push-queue purge --registry-knowledge reg.example.com --dry-run

    push-queue purge --uploads

    push-queue purge --webhook old-chat

Finished jobs expire by themselves. Without --state, those in every final state that match
all options are forgotten.

--registry-knowledge is for a registry that was emptied: where its blobs are, and uploads
that were interrupted. It can be forgotten while jobs run.

--uploads deletes those that no unfinished job needs and nobody has used for ten minutes.
Jobs that failed then cannot be retried.

--webhook is for a receiver that no worker has in PUSH_QUEUE_WEBHOOKS any more. Otherwise
events are collected for it for a week.
"""

Purge = Callable[[AnyOperator, bool], Awaitable[BaseModel]]
"""What is done by the operator, or only counted."""


def purge(
    context: typer.Context,
    state: StateOption = None,
    error_kind: ErrorKindOption = None,
    registry: RegistryOption = None,
    repository: RepositoryOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    registry_knowledge: Annotated[
        str | None,
        typer.Option(
            "--registry-knowledge", metavar="HOST", help="Forget what is known of this registry."
        ),
    ] = None,
    uploads: Annotated[
        bool, typer.Option("--uploads", help="Delete uploads that nobody needs.")
    ] = False,
    webhook: Annotated[
        str | None,
        typer.Option("--webhook", metavar="NAME", help="Forget this receiver and its events."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be forgotten.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Write JSON: an array of jobs, else an object.")
    ] = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Forget finished jobs, emptied registries, uploads, webhooks."""
    wanted = filter_of(state, error_kind, registry, repository, label, since)
    others = _others(registry_knowledge, webhook, uploads=uploads)
    if (not wanted.selects_all) + len(others) != 1:
        raise BadInputError(
            f"say one thing to forget: jobs, by {', '.join(OPTIONS)}; "
            "or --registry-knowledge HOST; or --uploads; or --webhook NAME"
        )
    if not others:
        bulk = Bulk(BulkAction.PURGE, wanted, dry_run, yes)
        return change_all(context, server, token_file, bulk, json=json)
    (forget,) = others

    def run(only_count: bool) -> BaseModel:
        return operate(context, server, token_file, lambda operator: forget(operator, only_count))

    if not (dry_run or yes):
        check_can_ask("purge may delete much")
        if not agreed(f"{_wording(run(True))} would be deleted"):
            return ExitCode.SUCCESS
    done = run(dry_run)
    if json:
        print_json(done.model_dump(mode="json"))
    tell(f"{_wording(done)} {'would be ' if dry_run else ''}deleted")
    return ExitCode.SUCCESS


def _others(host: str | None, webhook: str | None, *, uploads: bool) -> list[Purge]:
    """What is to be forgotten besides jobs."""
    chosen: list[Purge] = []
    if host is not None:
        chosen.append(lambda operator, dry: operator.forget_registry(host, dry_run=dry))
    if webhook is not None:
        chosen.append(lambda operator, dry: operator.forget_webhook(webhook, dry_run=dry))
    if uploads:
        chosen.append(lambda operator, dry: operator.purge_uploads(dry_run=dry))
    return chosen


def _wording(found: BaseModel) -> str:
    match found:
        case ForgottenKnowledge(blobs=blobs, uploads=uploads):
            return (
                f"places of {how_many(blobs, 'blob')} and {how_many(uploads, 'interrupted upload')}"
            )
        case PurgedUploads(uploads=uploads, bytes=count):
            return f"{how_many(uploads, 'upload')} ({size(count)})"
        case ForgottenWebhook(events=events):
            return f"a receiver and {how_many(events, 'event')} that it does not have"
        case _:
            raise TypeError(type(found))
