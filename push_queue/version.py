"""The release that is installed."""

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    try:
        return version("registry-push-queue")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"
