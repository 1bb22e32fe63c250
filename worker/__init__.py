"""The arq worker that runs push jobs: ``push-worker``, or ``arq worker.WorkerSettings``."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Built when arq asks for it: importing a module of this package must not read the environment.
    if name == "WorkerSettings":
        from push_queue import load_settings

        from .options import arq_worker_options

        return type(name, (), arq_worker_options(load_settings()))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
