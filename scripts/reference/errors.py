"""The errors: exit statuses, kinds of a job's error, and types of problems of the HTTP API."""

from producer.api.problem_types import ProblemType
from producer.cli.exit_code import ExitCode
from push_queue.docstrings import described
from push_queue.error_kinds import BAD_INPUT, ErrorKind
from registry_api_v2_client import exceptions
from scripts.reference.markdown import code, prose, table


def exit_statuses() -> str:
    """What the exit status of a command says."""
    meanings = described(ExitCode)
    return table(
        ("status", "meaning"), ((f"{one:d}", prose(meanings[one.name])) for one in ExitCode)
    )


def kinds() -> str:
    """What ``error_kind`` of a job may be."""
    meanings, retried = described(ErrorKind), _retried()
    return table(
        ("error_kind", "tried again", "exit status", "what it means, and what to do"),
        (
            (
                code(kind),
                "yes" if kind in retried else "no",
                f"{ExitCode.BAD_INPUT if kind in BAD_INPUT else ExitCode.PUSH_FAILED:d}",
                prose(meanings[kind.name]),
            )
            for kind in ErrorKind
        ),
    )


def problem_types() -> str:
    """How the HTTP API refuses a request."""
    meanings = described(ProblemType)
    return table(
        ("status", "type", "what it means, and what to do"),
        ((f"{one.status:d}", code(one.kind), prose(meanings[one.name])) for one in ProblemType),
    )


def _retried() -> set[str]:
    """Kinds for which a further attempt may help."""
    errors = [getattr(exceptions, name) for name in exceptions.__all__]
    final = {error.kind for error in errors if not error.retryable}
    return {ErrorKind.WORKER_LOST, *(error.kind for error in errors)} - final
