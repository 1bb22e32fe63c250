"""Real servers for integration tests: the distribution registry, Valkey, and our worker."""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import redis

from producer.errors import CannotStartError
from producer.local_system.valkey import valkey_executable
from tests.support.certificates import ServerCertificate
from tests.support.processes import ManagedProcess, free_port, require_program
from tests.support.token_server import ISSUER, SERVICE, TokenServer

StartWorker = Callable[..., ManagedProcess]
"""What the fixture `worker` is."""

WORKER_OF_FORMAT = "tests.support.worker_of_format"
REPOSITORY_ROOT = Path(__file__).resolve().parents[2]

# The registry reads bcrypt only; made once so that the tests need no bcrypt of their own.
HTPASSWD_USER = "tester"
HTPASSWD_PASSWORD = "correct horse"
HTPASSWD_LINE = "tester:$2b$05$SD2gHOpMFIMcdX6iAK2ieuinXIbDZ9HfNUnh9T27TNuG0Y38lOEXC\n"

CONFIG_FILE = "config.yml"
REGISTRY_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
  cache: {{blobdescriptor: "{cache}"}}
http:
  addr: "{host}"
  prefix: "{prefix}"
"""
TLS_CONFIG = """\
  tls: {{certificate: {chain}, key: {key}{client_authorities}}}
"""
TOKEN_CONFIG = """\
auth:
  token: {{realm: "{realm}", service: {service}, issuer: {issuer}, rootcertbundle: {bundle}}}
"""
HTPASSWD_CONFIG = """\
auth:
  htpasswd: {{realm: test, path: {path}}}
"""


@dataclass(frozen=True)
class Registry:
    """A running registry; `process` is None for one that somebody else started."""

    host: str
    process: ManagedProcess | None = None
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"


def http_answers(url: str) -> bool:
    """Whether a server answers HTTP there, with any status, or TLS with any certificate."""
    try:
        with urlopen(url, timeout=10):
            return True
    except HTTPError:
        return True
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)
    except (ConnectionError, TimeoutError):
        return False


@contextmanager
def run_registry(
    directory: Path,
    *,
    htpasswd: bool = False,
    tls: ServerCertificate | None = None,
    client_authority: Path | None = None,
    token_server: TokenServer | None = None,
    address: str = "127.0.0.1",
    prefix: str = "/",
    cache: str = "",
) -> Iterator[Registry]:
    """A distribution registry on a free port, storage in `directory`, deletes enabled.

    With `client_authority` it speaks only to clients that have a certificate of that authority.
    The API is below `prefix`, which begins and ends with a slash. `cache` is where it remembers
    blobs: `inmemory`, or nowhere.
    """
    program = require_program("docker-registry")
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    host = f"{address}:{port}"
    config = REGISTRY_CONFIG.format(
        root=directory / "storage", host=host, prefix=prefix, cache=cache
    )
    if tls:
        clients = f", clientcas: [{client_authority}]" if client_authority else ""
        config += TLS_CONFIG.format(chain=tls.chain, key=tls.key, client_authorities=clients)
    if htpasswd:
        password_file = directory / "htpasswd"
        password_file.write_text(HTPASSWD_LINE)
        config += HTPASSWD_CONFIG.format(path=password_file)
    if token_server:
        config += TOKEN_CONFIG.format(
            realm=token_server.realm, service=SERVICE, issuer=ISSUER, bundle=token_server.bundle
        )
    config_file = directory / CONFIG_FILE
    config_file.write_text(config)
    process = ManagedProcess([program, "serve", str(config_file)], directory / "registry.log")
    with process:
        registry = Registry(host, process, "https" if tls else "http")
        process.wait_ready(lambda: http_answers(f"{registry.url}{prefix}v2/"))
        yield registry


def collect_garbage(directory: Path) -> None:
    """Delete what no manifest names from the storage of `run_registry(directory)`."""
    config = directory / CONFIG_FILE
    subprocess.run(
        [require_program("docker-registry"), "garbage-collect", str(config)],
        check=True,
        capture_output=True,
        timeout=60,
    )


def redis_answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


class RedisServer:
    """Valkey from its wheel, on one port and directory, so it can be killed and come back.

    Append-only file: what was acknowledged survives `kill()`. The system outlives that, so nobody
    waits for the disk, which others may keep busy for seconds.
    """

    def __init__(self, directory: Path, **changes: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "no",
            "maxmemory-policy": "noeviction",
            **changes,
        }
        argv = [valkey_server(), *(word for k, v in options.items() for word in (f"--{k}", v))]
        self.process = ManagedProcess(argv, directory / "redis.log")

    def start(self) -> None:
        self.process.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        self.process.wait_ready(lambda: redis_answers(self.url))

    def kill(self) -> None:
        self.process.kill()

    def restart(self) -> None:
        self.kill()
        self.start()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True)


def valkey_server() -> str:
    try:
        return str(valkey_executable())
    except CannotStartError:
        return require_program("valkey-server")


@contextmanager
def run_redis(directory: Path, **changes: str) -> Iterator[RedisServer]:
    """A Valkey in that folder; `changes` are of its options."""
    server = RedisServer(directory, **changes)
    with server.process:
        server.wait_ready()
        yield server


def clean_environment(**extra: str) -> dict[str, str]:
    """This environment without settings from outside the test that our programs would read."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PUSH_QUEUE_") and name != "REDIS_URL"
    }
    return {**inherited, "PYTHONPATH": str(REPOSITORY_ROOT), "PYTHONUNBUFFERED": "1", **extra}


def worker_process(
    log_path: Path, env: Mapping[str, str], *, job_format: int | None = None
) -> ManagedProcess:
    """`python -m worker` with these settings, not yet started; of a release that knows jobs up to
    that format, if it is given.
    """
    program = ["worker"] if job_format is None else [WORKER_OF_FORMAT, str(job_format)]
    return ManagedProcess([sys.executable, "-m", *program], log_path, clean_environment(**env))


def wait_for_worker(process: ManagedProcess, redis_url: str, namespace: str) -> None:
    """Until the worker reports itself in Redis, with this process's id."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:

        def reported() -> bool:
            keys = client.scan_iter(f"{namespace}:worker:*", count=1000)
            return any(client.hget(key, "pid") == str(process.pid) for key in keys)

        process.wait_ready(reported)
