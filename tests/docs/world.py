"""What the blocks of a document run in: a folder with image tars, a registry and a Valkey.

Documents name hosts, ports and folders of an imagined site. What runs here has them at free ports
and in a temporary folder, so the text of a block is rewritten before it runs.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.docs.pages import ROOT
from tests.support.processes import free_port
from tests.support.servers import run_redis, run_registry

PROGRAMS = Path(__file__).with_name("programs")
TARS = ("app.tar", "web.tar", "api.tar", "worker.tar")
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
def run_world(base: Path, sample: Path) -> Iterator[World]:
    """A world below the folder `base`, with a registry, a Valkey and copies of the sample tar."""
    home, images, folder, records = (base / name for name in ("home", "images", "work", "records"))
    spool = base / "spool"
    for path in (home, images, folder, records, spool):
        path.mkdir(parents=True)
    shutil.copy(sample, images / TARS[0])
    for tar in [*(folder / name for name in TARS[:2]), *(images / name for name in TARS[1:])]:
        os.link(images / TARS[0], tar)
    with ExitStack() as stack:
        registry = stack.enter_context(run_registry(base / "registry"))
        redis = stack.enter_context(run_redis(base / "redis"))
        artifacts = stack.enter_context(_serve_files(images))
        port, api_port = registry.host.rpartition(":")[2], str(free_port())
        names = (
            (r"https://push\.example\.com", f"http://127.0.0.1:{api_port}"),
            (r"https://(?:artifacts|ci|chat)\.example\.com", artifacts),
            (r"\bredis://localhost:6379(?:/0)?", redis.url),
            (r"\breg\.example\.com|\blocalhost:15000|\bregistry:5000", f"localhost:{port}"),
            (r"\b15000\b", port),
            (r"\b15080\b", api_port),
            (r"\b6379\b", str(redis.port)),
            (r"(?<![\w./-])/images\b", str(images)),
            (r"(?<![\w./-])/builds\b", str(folder)),
            (r"/home/alice\b", str(home)),
            (r"PUSH_QUEUE_TOKEN=…", f"PUSH_QUEUE_TOKEN={TOKEN}"),
        )
        commands = (
            # A terminal asks, a script has to say that it means it.
            (
                r"\bpush-queue (cancel|retry|purge) (?=--)(?!.*--(?:yes|dry-run))",
                r"push-queue \1 --yes ",
            ),
            # Whoever types the next command comes later.
            (r"(?m)^push-queue serve &$", f"push-queue serve & {_until_it_answers(api_port)}"),
            (r"\bbuilder-1660-3f2a\b", "$(push-queue workers --json | jq -r '.[0].id')"),
        )
        env = {
            "PATH": os.pathsep.join(
                [str(PROGRAMS), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "110",
            "PUSH_QUEUE_API_PORT": api_port,
            "PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": "1",
            "PUSH_QUEUE_SOURCE_URLS": f"{artifacts}/,127.0.0.0/8",
            "PUSH_QUEUE_SPOOL": str(spool),
            "PUSH_QUEUE_SPOOL_QUOTA": "1GB",
            "REDIS_OF_DOCUMENTS": redis.url,
            "ROOT": str(ROOT),
        }
        yield World(folder, records, env, names, commands)


def _until_it_answers(port: str) -> str:
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
