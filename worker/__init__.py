"""The arq worker that runs push jobs: ``push-worker``, or ``arq worker.WorkerSettings``."""


def __getattr__(name: str) -> type[object]:
    # Built when arq asks for it: importing a module of this package must not read the environment.
    if name == "WorkerSettings":
        from .arq_settings import arq_settings

        return type(name, (), arq_settings())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
