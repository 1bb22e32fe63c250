"""What the blocks of a document run in: a folder with image tars, a registry and a Valkey.

Documents name hosts, ports and folders of an imagined site. What runs here has them at free ports
and in a temporary folder, so the text of a block is rewritten before it runs.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.docs.pages import ROOT
from tests.support.processes import HANG_SECONDS, free_port
from tests.support.servers import run_redis, run_registry

PROGRAMS = Path(__file__).with_name("programs")
"""Stand-ins for programs, and a step that scenes share: some anywhere, some only in tests."""

TARS = ("app.tar", "web.tar", "api.tar")
TOKEN = "the-token-of-the-documents"


Replacements = tuple[tuple[str, str], ...]
"""Patterns, and what they become."""


@dataclass(frozen=True)
class World:
    """Where commands run, with what environment, and what the names in documents are here."""

    folder: Path
    records: Path
    env: dict[str, str]
    names: Replacements
    commands: Replacements

    def rewrite(self, text: str) -> str:
        """The text with the hosts, ports and folders of this world."""
        return _replace(text, self.names)

    def rewrite_command(self, text: str) -> str:
        """The command as it has to be where nobody sits before a terminal."""
        return _replace(text, self.commands)


def _replace(text: str, replacements: Replacements) -> str:
    for pattern, here in replacements:
        text = re.sub(pattern, here, text)
    return text


@contextmanager
def run_world(base: Path, sample: Path, *, with_registry: bool = True) -> Iterator[World]:
    """A world below the folder `base`, with a registry and copies of the sample tar.

    Without a registry, the blocks are to start one themselves, as in a clone.
    """
    folder = base / "work"
    folder.mkdir()
    shutil.copy(sample, folder / TARS[0])
    for name in TARS[1:]:
        os.link(folder / TARS[0], folder / name)
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / ".venv").symlink_to(sys.prefix)
    path = [PROGRAMS / "anywhere", PROGRAMS / "tests", Path(sys.executable).parent]
    with ExitStack() as stack:
        if with_registry:
            registry = stack.enter_context(run_registry(base / "registry"))
            port = int(registry.host.rpartition(":")[2])
        else:
            port = free_port()
            stack.callback(_stop_registry, ROOT, port)
        yield stack.enter_context(_run_world(base, folder, port, path))


@contextmanager
def run_clone(base: Path, python: Path) -> Iterator[World]:
    """A world whose folder is a fresh clone of this repository, with that interpreter."""
    folder = base / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    port = free_port()
    with ExitStack() as stack:
        world = stack.enter_context(_run_world(base, folder, port, [PROGRAMS / "anywhere"]))
        stack.callback(_stop_registry, folder, port)
        passed_on = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "SSL_")) or name.lower().endswith("_proxy")
        }
        yield replace(world, env={**passed_on, **world.env, "PYTHON": str(python)})


def _stop_registry(clone: Path, port: int) -> None:
    """Stop the one that blocks have started in that clone, if any."""
    subprocess.run(
        [sys.executable, clone / "scripts/registry.py", "stop"],
        env={**os.environ, "REGISTRY_PORT": str(port)},
        check=True,
        timeout=HANG_SECONDS,
    )


@contextmanager
def _run_world(base: Path, folder: Path, registry: int, path: Sequence[Path]) -> Iterator[World]:
    """With the registry at that port, and programs from that path first."""
    home, records, spool = (base / name for name in ("home", "records", "spool"))
    for new in (home, records, spool):
        new.mkdir()
    api = free_port()
    with run_redis(base / "redis") as redis, _serve_files(folder) as artifacts:
        env = {
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "110",
            "REGISTRY_PORT": str(registry),
            "PUSH_QUEUE_API_PORT": str(api),
            "PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": "1",
            "PUSH_QUEUE_SOURCE_URLS": f"{artifacts}/,127.0.0.0/8",
            "PUSH_QUEUE_SPOOL": str(spool),
            "PUSH_QUEUE_SPOOL_QUOTA": "1GB",
            "REDIS_OF_DOCUMENTS": redis.url,
            "TAR_OF_DOCUMENTS": str(folder / TARS[0]),
            "ROOT": str(ROOT),
        }
        names = (
            (r"https://push\.example\.com", f"http://127.0.0.1:{api}"),
            (r"https://(?:artifacts|ci|chat)\.example\.com", artifacts),
            (r"\bredis://localhost:6379(?:/0)?", redis.url),
            (r"\breg\.example\.com|\blocalhost:15000|\bregistry:5000", f"localhost:{registry}"),
            (r"\b15000\b", str(registry)),
            (r"\b15080\b", str(api)),
            (r"\b6379\b", str(redis.port)),
            (r"(?<![\w./-])/(?:images|builds)\b", str(folder)),
            (r"/home/alice\b", str(home)),
            (r"PUSH_QUEUE_TOKEN=…", f"PUSH_QUEUE_TOKEN={TOKEN}"),
        )
        yield World(folder, records, env, names, _commands(api))


def _commands(api: int) -> Replacements:
    """What is run in place of commands that somebody types, with an API at that port."""
    return (
        # A terminal asks, a script has to say that it means it.
        (
            r"\bpush-queue (cancel|retry|purge) (?=--)(?!.*--(?:yes|dry-run))",
            r"push-queue \1 --yes ",
        ),
        # Whoever runs jobs again has seen them end.
        (
            r"\bpush-queue retry ((?:build-\d+ ?)+)",
            r"push-queue watch \1; push-queue retry \1",
        ),
        # Whoever types the next command comes later.
        (r"(?m)^push-queue serve(?: &)?$", f"push-queue serve & {_until_it_answers(api)}"),
        (r"\bbuilder-1660-3f2a\b", "$(push-queue workers --json | jq -r '.[0].id')"),
    )


def _until_it_answers(port: int) -> str:
    return f"until curl --output /dev/null http://127.0.0.1:{port}/; do sleep 0.05; done"


class _QuietHandler(SimpleHTTPRequestHandler):
    def do_POST(self) -> None:
        """An event of a webhook, which is welcome."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A reader that goes away has seen enough."""


@contextmanager
def _serve_files(folder: Path) -> Iterator[str]:
    """The URL of a server of the files in a folder."""

    with _QuietServer(("127.0.0.1", 0), partial(_QuietHandler, directory=folder)) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
