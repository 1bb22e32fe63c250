"""Starts and stops workers by how many jobs there are. Needs the standard library alone.

    python examples/autoscaler.py --most 8 -- \\
        docker compose up --detach --no-recreate --scale worker={workers}

Every few seconds it asks the HTTP API (PUSH_QUEUE_SERVER, PUSH_QUEUE_TOKEN) how many jobs wait and
run, and calls the command when another number of workers would do. It adds workers at once, and
takes them away only when fewer have been enough for a while. A worker that is stopped hands back
its jobs, so that nothing is lost. On Kubernetes, take KEDA: see deploy/kubernetes/.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import deque
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

SERVER = os.environ.get("PUSH_QUEUE_SERVER", "http://127.0.0.1:15080")
TOKEN = os.environ.get("PUSH_QUEUE_TOKEN")


def read_stats() -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    with urlopen(Request(f"{SERVER}/api/v1/stats", headers=headers), timeout=30) as answer:
        return json.load(answer)


def workers_for(stats: Any, jobs_each: int) -> int:
    """How many workers the jobs would keep busy that are due or run. Others wait anyway."""
    if stats["pause"]:
        return 0
    jobs: int = stats["due"] + stats["jobs"]["running"]
    return math.ceil(jobs / jobs_each)


class Scale:
    """How many workers there should be: the most of those that the last looks asked for."""

    def __init__(self, least: int, most: int, looks: int) -> None:
        self._least, self._most = least, most
        self._wanted: deque[int] = deque(maxlen=looks)

    def after(self, wanted: int) -> int:
        self._wanted.append(wanted)
        return min(max(*self._wanted, self._least), self._most)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--least", type=int, default=1, help="workers at any time (1)")
    parser.add_argument("--most", type=int, default=8, help="workers at any time (8)")
    parser.add_argument("--jobs-each", type=int, default=10, help="PUSH_QUEUE_MAX_JOBS (10)")
    parser.add_argument("--seconds", type=float, default=5, help="between two looks (5)")
    parser.add_argument("--looks", type=int, default=24, help="before there are fewer (24)")
    parser.add_argument("command", nargs="+", help="{workers} stands for the number")
    return parser.parse_args()


def main() -> int:
    given = parse_arguments()
    scale = Scale(given.least, given.most, given.looks)
    running = None
    while True:
        try:
            workers = scale.after(workers_for(read_stats(), given.jobs_each))
        except (URLError, TimeoutError) as error:
            # It may be restarting. The workers go on meanwhile.
            print(f"autoscaler: {SERVER}: {error}", file=sys.stderr, flush=True)
        else:
            if workers != running:
                print(f"{workers} workers", flush=True)
                command = [part.replace("{workers}", str(workers)) for part in given.command]
                if subprocess.run(command).returncode == 0:
                    running = workers
        time.sleep(given.seconds)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
