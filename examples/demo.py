"""The whole path of an image: from a tar through the queue into a registry, and read back.

Uses the registry at REGISTRY_URL (http://localhost:15000) if one answers, else starts one; starts
`push-queue up`, whose jobs go with it; ends all that it started. Run it with `make demo`.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sample_image import LAYERS, TAG, build_image

from registry_api_v2_client import (
    check_registry_connectivity,
    get_image_info,
    list_repositories,
    list_tags,
)

ROOT = Path(__file__).resolve().parent.parent
REGISTRY_SCRIPT = [sys.executable, str(ROOT / "scripts" / "registry.py")]
REDIS_URL = "PUSH_QUEUE_REDIS_URL"
REGISTRY_URL = os.environ.get("REGISTRY_URL") or "http://localhost:15000"


def main() -> int:
    # A plain SIGTERM would skip the clean-up that Ctrl-C gets.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="push-queue-demo-")))
        headline("1. A registry, and the queue: a Valkey, a worker, the HTTP API")
        host = stack.enter_context(registry())
        print(f"Registry {host}")
        # Every command below finds the queue by this one setting.
        os.environ[REDIS_URL] = stack.enter_context(push_queue_up(folder))

        headline("2. An image tar, as `docker save` writes it")
        image = folder / "demo.tar"
        build_image(image)
        print(f"{image}: {len(LAYERS)} layers, {image.stat().st_size:,} bytes, {TAG}")

        headline("3. Two push jobs: one with two tags, one that keeps the image's own tag")
        tags = [f"{host}/demo/app:1.0", f"{host}/demo/app:latest"]
        push_queue("enqueue", image, "--to", tags[0], "--to", tags[1], "--id", "two-tags")
        push_queue("enqueue", image, "--original-tags", "--registry", host, "--id", "own-tag")

        headline("4. How the jobs end")
        push_queue("watch", "two-tags", "own-tag")
        push_queue("status", "two-tags")
        push_queue("status", "own-tag")

        headline("5. What the registry holds now")
        digests = asyncio.run(read_back(host, "demo/"))
        confirm_with_skopeo(digests)

    headline("Done; nothing is left running. To go on:")
    if not answers(f"http://{host}"):
        print(f"  make start-registry REGISTRY_PORT={host.rpartition(':')[2]}")
    print(f"  .venv/bin/push-queue push YOUR.tar --to {host}/your/app:1.0")
    return 0


def headline(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def push_queue(*arguments: str | Path) -> None:
    """Run the command line as a user would; a failure ends the demo with its message."""
    words = [str(argument) for argument in arguments]
    print(f"$ push-queue {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "producer", *words], check=True)


# What runs meanwhile -----------------------------------------------------------------------------


@contextmanager
def registry() -> Iterator[str]:
    """`host:port` of the registry that answers already, else of one for the demo alone."""
    if answers(REGISTRY_URL):
        yield urlsplit(REGISTRY_URL).netloc
        return
    port = free_port(preferred=urlsplit(REGISTRY_URL).port or 15000)
    environment = os.environ | {"REGISTRY_PORT": str(port)}
    try:
        subprocess.run([*REGISTRY_SCRIPT, "start"], env=environment, check=True)
        yield f"localhost:{port}"
    finally:
        subprocess.run([*REGISTRY_SCRIPT, "stop"], env=environment, check=True)


def answers(url: str) -> bool:
    return asyncio.run(check_registry_connectivity(url, timeout=5))


def free_port(preferred: int) -> int:
    """The preferred port, or any other when something listens on that one."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", preferred)) != 0:
            return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def push_queue_up(folder: Path) -> Iterator[str]:
    """`push-queue up`, until the demo ends; what to set PUSH_QUEUE_REDIS_URL to.

    Its log is shown when something went wrong.
    """
    print("$ push-queue up &", flush=True)
    log_path = folder / "up.log"
    environment = os.environ | {"XDG_DATA_HOME": str(folder)}
    # It would use a Redis that is named there, or in an .env where it runs.
    for name in (REDIS_URL, "REDIS_URL"):
        environment.pop(name, None)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "producer", "up", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            cwd=folder,
            text=True,
        )
    try:
        yield announced_url(process)
    except subprocess.CalledProcessError:
        print(f"push-queue up said:\n{log_path.read_text()}", file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait()


def announced_url(process: subprocess.Popen[str]) -> str:
    """What it says to export once it is up; what it says is shown."""
    assert process.stdout
    url = None
    for line in process.stdout:
        print(line, end="", flush=True)
        url = url or line.partition(f"export {REDIS_URL}=")[2].strip()
        if "push-queue enqueue" in line:
            return url
    raise subprocess.CalledProcessError(process.wait(), process.args)


# The outcome -------------------------------------------------------------------------------------


async def read_back(host: str, prefix: str) -> dict[str, str]:
    """Print the repositories below the prefix through the library; image reference to digest."""
    url = f"http://{host}"
    digests = {}
    for repository in await list_repositories(url):
        if not repository.startswith(prefix):
            continue
        for tag in await list_tags(url, repository):
            info = await get_image_info(url, repository, tag)
            reference = f"{host}/{repository}:{tag}"
            digests[reference] = info["digest"]
            print(f"{reference}  {info['layer_count']} layers, {info['size']:,} bytes")
            print(f"  {info['digest']}")
    return digests


def confirm_with_skopeo(digests: dict[str, str]) -> None:
    """Let a program that is not ours read the same references, where it is installed."""
    if not shutil.which("skopeo"):
        print("(skopeo is not installed, so nobody else confirms these digests)")
        return
    for reference, digest in digests.items():
        command = ["skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"]
        seen = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        if seen["Digest"] != digest:
            sys.exit(f"skopeo sees {seen['Digest']} at {reference}, not {digest}")
        print(f"$ {' '.join(command)}\n  {digest}: the same")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; all that was started has been stopped.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"The demo stopped: {' '.join(map(str, error.cmd))} failed ({error.returncode})")
