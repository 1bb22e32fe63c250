"""The log of a long-running process, on standard error: lines for people or JSON for machines.

The modules log by the standard library. structlog writes every line, also those of other packages,
with what is bound to the task that logs: the worker, and the job that it runs.
"""

import logging
import os

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import EventRenamer, ExceptionRenderer, JSONRenderer, TimeStamper
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, Processor, WrappedLogger

from push_queue.settings import Settings
from push_queue.terminal import stderr_is_terminal

_ORDER = ("time", "level", "logger", "message", "event", "job", "attempt", "registry", "repository")
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def set_up_logging(settings: Settings) -> None:
    """Log to standard error from now on, in the format and from the level of the settings."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                ExtraAdder(),
                add_log_level,
                add_logger_name,
            ],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                *(_json() if settings.log_format == "json" else _text()),
            ],
        )
    )
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # arq logs every start and end of a job; the push task logs the same in the job's terms.
    logging.getLogger("arq").setLevel(max(logging.WARNING, logging.getLogger().level))


def _json() -> list[Processor]:
    """One object a line."""
    return [
        TimeStamper(fmt="iso", utc=True, key="time"),
        ExceptionRenderer(),
        EventRenamer("message"),
        _in_order,
        JSONRenderer(),
    ]


def _text() -> list[Processor]:
    """Time and level, the message, and then ``name=value``, in colours on a terminal."""
    return [
        _without_logger,
        _one_line,
        TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        _in_order,
        ConsoleRenderer(
            colors=stderr_is_terminal() and "NO_COLOR" not in os.environ,
            pad_event_to=0,
            sort_keys=False,
            # structlog's own would show local variables, which may hold secrets.
            exception_formatter=plain_traceback,
        ),
    ]


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What is bound to a context has none."""
    known = {name: event[name] for name in _ORDER if name in event}
    return {**known, **event}


def _without_logger(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """People know it from the message."""
    del event["logger"]
    return event


def _one_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What others have put into a message can neither fake a line nor drive the terminal."""
    event["event"] = str(event["event"]).translate(_ESCAPES)
    return event
