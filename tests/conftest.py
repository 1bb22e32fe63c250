"""Fixtures over real servers. A server that is not installed skips locally and fails in CI."""

import gc
import os
import re
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.certificates import Authority
from tests.support.processes import ManagedProcess, unavailable
from tests.support.servers import (
    RedisServer,
    Registry,
    StartWorker,
    http_answers,
    run_redis,
    run_registry,
    wait_for_worker,
    worker_process,
)

# Examples are drawn the same way in every CI run, so that a red build can be repeated.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take long, so that none is left when all others have ended.

    Those are the documents, then all others that need servers. Within these groups the order stays
    as it is, at random: chaos is spread among calmer tests.
    """

    def place(item: pytest.Item) -> tuple[bool, bool]:
        return item.get_closest_marker("integration") is None, item.path.parent.name != "docs"

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of tests, which stay until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def signals_of_a_terminal() -> None:
    """Let signals reach what the tests start: a shell's background jobs inherit them ignored."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            ends_the_tests = (
                signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
            )
            signal.signal(number, ends_the_tests)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of the developer's shell out of the tests."""
    for name in list(os.environ):
        if name.startswith("PUSH_QUEUE_") or name == "REDIS_URL":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's terminal can do, or is told to do, out of the tests."""
    for name in ("TERM", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_logins(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own registry logins out of the tests."""
    nothing = str(tmp_path_factory.getbasetemp() / "no-logins")
    for folder in ("DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(folder, nothing)
    # Not set to an empty value: docker-registry would read it as configuration.
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


@pytest.fixture(autouse=True)
def no_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a test's pushes from knowing those of other tests and of the developer."""
    folder = tmp_path_factory.getbasetemp() / "caches" / uuid.uuid4().hex
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))


@pytest.fixture(scope="session", autouse=True)
def system_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have the system trust one authority. With its own, each program loads more than a hundred."""
    authority = Authority(tmp_path_factory.mktemp("system"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.certificate))
        patch.setenv("SSL_CERT_DIR", str(authority.certificate.parent))
        yield


@pytest.fixture(scope="session")
def server_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


# Registry ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_registry(server_directory: Path) -> Iterator[Registry]:
    """One registry for all tests: the one that is said to be available, else one of our own."""
    if os.environ.get("REGISTRY_AVAILABLE") == "true":
        url = os.environ.get("REGISTRY_URL", "http://localhost:15000").rstrip("/")
        if not http_answers(f"{url}/v2/"):
            unavailable(f"REGISTRY_URL {url} does not answer")
        yield Registry(url.removeprefix("http://"))
        return
    with run_registry(server_directory / "registry") as registry:
        yield registry


@pytest.fixture
def registry_url(shared_registry: Registry) -> str:
    """`http://host:port` of the shared registry."""
    return shared_registry.url


@pytest.fixture
def registry_host(shared_registry: Registry) -> str:
    """`host:port` of the shared registry, as it stands in image references."""
    return shared_registry.host


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A repository name that no other test uses, in the shared registry."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60].strip("-")
    return f"tests/{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def start_registry(tmp_path: Path) -> Iterator[Callable[..., Registry]]:
    """Start registries of this test's own: `start_registry(htpasswd=True)`, see `run_registry`."""
    with ExitStack() as stack:

        def start(**options: Any) -> Registry:
            directory = tmp_path / f"registry-{uuid.uuid4().hex[:8]}"
            return stack.enter_context(run_registry(directory, **options))

        yield start


# Redis -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_redis(server_directory: Path) -> Iterator[RedisServer]:
    with run_redis(server_directory / "redis") as server:
        yield server


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """URL of the shared Valkey; take `namespace` with it."""
    return shared_redis.url


@pytest.fixture
def namespace() -> str:
    """A key prefix that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[[], RedisServer]]:
    """Start Valkey servers of this test's own, to be killed and restarted."""
    with ExitStack() as stack:

        def start() -> RedisServer:
            directory = tmp_path / f"redis-{uuid.uuid4().hex[:8]}"
            return stack.enter_context(run_redis(directory))

        yield start


# Worker ------------------------------------------------------------------------------------------


@pytest.fixture
def worker(tmp_path: Path, shared_redis: RedisServer, namespace: str) -> Iterator[StartWorker]:
    """Start worker processes: `worker(PUSH_QUEUE_MAX_JOBS="2")`, ready when it returns.

    They use the shared Valkey and this test's namespace unless the settings say otherwise.
    """
    with ExitStack() as stack:

        def start(*, job_format: int | None = None, **env: str) -> ManagedProcess:
            env = {
                "PUSH_QUEUE_REDIS_URL": shared_redis.url,
                "PUSH_QUEUE_NAMESPACE": namespace,
                **env,
            }
            log_path = tmp_path / f"worker-{uuid.uuid4().hex[:8]}.log"
            process = stack.enter_context(worker_process(log_path, env, job_format=job_format))
            wait_for_worker(process, env["PUSH_QUEUE_REDIS_URL"], env["PUSH_QUEUE_NAMESPACE"])
            return process

        yield start


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority that nothing trusts yet."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def certs_dir(tmp_path: Path) -> Path:
    """An empty folder of certificates in docker's layout."""
    folder = tmp_path / "certs.d"
    folder.mkdir()
    return folder
