#!/usr/bin/env python3
"""Run a throw-away distribution registry on this machine, for demos and tests.

The port is REGISTRY_PORT, else 15000. The registry comes from Docker where a daemon answers and
has (or can pull) the image, else from the `docker-registry` binary, which is installed by apt when
this runs as root on Debian or Ubuntu. Its storage lasts until it is stopped.

Needs the standard library alone, so that it works before anything is installed.
"""

import argparse
import fcntl
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tools
from tools import UnavailableError

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "registry:2"
PULL_SECONDS = 60
START_SECONDS = 30


def state_dir(port: int) -> Path:
    """Where the registry on this port keeps its pid or container id, its log and its data."""
    return ROOT / ".run" / f"registry-{port}"


def answers(port: int) -> bool:
    """Whether a registry (and not just any web server) answers on the port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/v2/")
        response = connection.getresponse()
        return response.getheader("Docker-Distribution-Api-Version") == "registry/2.0"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return once a registry answers; UnavailableError when its process ends or time runs out."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(port):
        if process is not None and process.poll() is not None:
            raise UnavailableError(last_words((state_dir(port) / "log").read_text()))
        if time.monotonic() > deadline:
            raise UnavailableError(f"no registry answered on port {port} within {START_SECONDS} s")
        time.sleep(0.05)


def last_words(log: str) -> str:
    """Why the registry ended: the line that says so, else all that it wrote."""
    fatal = re.search(r'level=fatal msg="(.*?)"( |$)', log, re.MULTILINE)
    return fatal[1] if fatal else log.strip() or "it ended at once"


def docker(*args: str, timeout: float) -> str:
    """Output of a docker command; UnavailableError with docker's last word when it fails."""
    try:
        done = subprocess.run(
            ["docker", *args], capture_output=True, text=True, timeout=timeout, check=True
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"docker {args[0]} did not end within {timeout:g} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or ["it gave no reason"]
        raise UnavailableError(f"docker {args[0]} failed: {said[-1]}") from None
    return done.stdout


def start_in_docker(port: int) -> None:
    if not shutil.which("docker"):
        raise UnavailableError("there is no docker command")
    docker("version", timeout=10)  # fails when no daemon answers
    if not docker("image", "ls", "--quiet", IMAGE, timeout=10):
        docker("pull", "--quiet", IMAGE, timeout=PULL_SECONDS)
    container = docker(
        *("run", "--detach", "--rm"),
        *("--publish", f"127.0.0.1:{port}:5000"),
        *("--env", "REGISTRY_STORAGE_DELETE_ENABLED=true"),
        IMAGE,
        timeout=30,
    )
    (state_dir(port) / "container").write_text(container)
    wait(port)


def start_binary(port: int) -> None:
    tools.ensure(["docker-registry"])
    state = state_dir(port)
    settings = {
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(state / "data"),
    }
    with (state / "pid").open("w") as pid_file, (state / "log").open("wb") as log:
        # The registry inherits the lock and holds it as long as it lives: `stop` then knows that
        # the pid is still this process, and when it has ended.
        fcntl.flock(pid_file, fcntl.LOCK_EX)
        process = subprocess.Popen(
            ["docker-registry", "serve", str(ROOT / "scripts" / "registry.yml")],
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[pid_file.fileno()],
            start_new_session=True,  # a Ctrl-C in the terminal is not meant for it
        )
        pid_file.write(str(process.pid))
    wait(port, process)


def launch(port: int, provider: Callable[[int], None]) -> None:
    """Start from one provider; what it started is stopped again if it does not come up."""
    stop(port)  # a former one that no longer answers
    state_dir(port).mkdir(parents=True)
    try:
        provider(port)
    except BaseException:
        stop(port)
        raise


def start(port: int) -> bool:
    """Start the registry; False when one answers there already."""
    if answers(port):
        print(f"A registry answers at http://localhost:{port}", flush=True)
        return False
    if is_taken(port):
        raise UnavailableError(
            f"port {port} is taken by something else; set REGISTRY_PORT to another"
        )
    try:
        launch(port, start_in_docker)
    except UnavailableError as reason:
        print(f"No registry from Docker, so docker-registry is run: {reason}", flush=True)
        launch(port, start_binary)
    print(f"Registry started at http://localhost:{port}", flush=True)
    return True


def stop(port: int) -> None:
    """End the registry that `start` started, and drop its storage; no error when there is none."""
    state = state_dir(port)
    container, pid = state / "container", state / "pid"
    if container.exists():
        docker("rm", "--force", "--volumes", container.read_text().strip(), timeout=30)
    if pid.exists():
        with pid.open() as pid_file:
            try:
                fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(int(pid_file.read()), signal.SIGTERM)
                fcntl.flock(pid_file, fcntl.LOCK_EX)
    shutil.rmtree(state, ignore_errors=True)


def run(port: int, command: Sequence[str]) -> int:
    """Run a command with a registry around it; its exit status."""
    environment = {"REGISTRY_URL": f"http://localhost:{port}", "REGISTRY_AVAILABLE": "true"}
    started = start(port)
    try:
        return subprocess.run(command, env=os.environ | environment, check=False).returncode
    finally:
        if started:
            stop(port)


def chosen_port() -> int:
    port = os.environ.get("REGISTRY_PORT") or "15000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UnavailableError(f"REGISTRY_PORT has to be a number from 1 to 65535, not {port}")
    return int(port)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start", help="in the background; a second start changes nothing")
    commands.add_parser("stop", help="end what start started, and drop its storage")
    commands.add_parser("wait", help="until a registry answers")
    runner = commands.add_parser("run", help="a command, with a registry around it")
    runner.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so `run` cleans up
    try:
        port = chosen_port()
        match arguments.command:
            case "start":
                start(port)
            case "stop":
                stop(port)
            case "wait":
                wait(port)
            case "run":
                return run(port, arguments.argv)
    except UnavailableError as reason:
        print(f"registry: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
