"""The commands: where each is, and the first line of its help."""

from typing import NamedTuple

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


class Entry(NamedTuple):
    """Where a command is, and the first line of its help."""

    module: str
    function: str
    summary: str


COMMANDS = {
    "up": Entry("up", "up", "Run the whole system on this machine, until Ctrl-C or SIGTERM."),
    "push": Entry("push", "push", "Push an image tar now and show the progress."),
    "enqueue": Entry("enqueue", "enqueue", "Enqueue image tars for pushing and return at once."),
    "status": Entry("jobs", "status", "Show jobs: state, targets, progress, attempts."),
    "list": Entry("jobs", "list_jobs", "List jobs, the last enqueued first."),
    "watch": Entry(
        "jobs", "watch", "Show jobs live, until they end; without ids all, until Ctrl-C."
    ),
    "cancel": Entry(
        "changes", "cancel", "Cancel jobs; those that run are stopped by their workers."
    ),
    "retry": Entry("changes", "retry", "Enqueue finished jobs again."),
    "purge": Entry(
        "operate.purge",
        "purge",
        "Forget finished jobs, emptied registries, uploads, webhooks.",
    ),
    "workers": Entry(
        "operate.workers", "workers", "Show the live workers, and what each of them does."
    ),
    "drain": Entry(
        "operate.drain", "drain", "Have workers finish their jobs, take no more, and stop."
    ),
    "registries": Entry(
        "operate.registries", "group", "Show the registries in use; pause or resume one."
    ),
    "pause": Entry(
        "operate.pauses", "pause", "Have workers take no new job; jobs can still be enqueued."
    ),
    "resume": Entry("operate.pauses", "resume", "Have workers take jobs again."),
    "stats": Entry(
        "operate.stats", "stats", "Show how the queue is doing, now and in the last hour."
    ),
    "webhooks": Entry(
        "operate.webhooks", "webhooks", "Show the receivers of webhooks, and whether events arrive."
    ),
    "doctor": Entry(
        "operate.doctor", "doctor", "Look for what is wrong with the set-up, and say what to do."
    ),
    "serve": Entry("serve", "serve", "Serve the queue's HTTP API."),
    "token": Entry("token", "make_token", "Make a token for the HTTP API."),
    "verify": Entry(
        "verify", "verify", "Check an image in a registry against a tar, layer by layer."
    ),
}
