"""A dashboard that reads nothing but Redis: the keys of jobs are a public contract.

    pip install redis rich
    python examples/dashboard.py redis://localhost:6379/0

Shows the latest jobs and redraws them at each change, until Ctrl-C. With --once it shows them once.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any

import redis
from rich.console import Console
from rich.live import Live
from rich.table import Table

SHOWN = 20
REDRAW_SECONDS = 0.5
"""Changes come faster than anybody reads."""
WAIT_MS = 2000
"""Progress is no event, so look again after that even if there is none."""


def percent(job: Mapping[str, str]) -> str:
    total = int(job.get("bytes_total", 0))
    return f"{100 * int(job.get('bytes_done', 0)) // total} %" if total else ""


def table_of_jobs(client: redis.Redis) -> Table:
    """The jobs that were enqueued last, the newest first."""
    table = Table("job", "state", "done", "attempt", "source", "error")
    # Any, since the package redis declares its answers as those of asyncio, too.
    ids: Any = client.zrange("push:jobs", 0, SHOWN - 1, desc=True)
    with client.pipeline(transaction=False) as pipeline:
        for job_id in ids:
            pipeline.hgetall(f"push:job:{job_id}")
        for job_id, job in zip(ids, pipeline.execute(), strict=True):
            # One that expired between the two questions is empty.
            if job:
                table.add_row(
                    job_id,
                    job["state"],
                    percent(job),
                    job.get("attempt", ""),
                    job["source"],
                    job.get("error", ""),
                )
    return table


def follow(client: redis.Redis, console: Console) -> None:
    """Redraw at each change of a job's state. Every change is an entry of push:events."""
    last = "$"
    with Live(table_of_jobs(client), console=console, auto_refresh=False) as live:
        while True:
            changes: Any = client.xread({"push:events": last}, block=WAIT_MS)
            for _, entries in changes or []:
                last = entries[-1][0]
            live.update(table_of_jobs(client), refresh=True)
            time.sleep(REDRAW_SECONDS)


def main() -> int:
    once = "--once" in sys.argv
    url = next((each for each in sys.argv[1:] if "://" in each), "redis://localhost:6379/0")
    console = Console()
    try:
        client = redis.Redis.from_url(url, decode_responses=True)
        if once:
            console.print(table_of_jobs(client))
        else:
            follow(client, console)
    except KeyboardInterrupt:
        return 130
    except redis.RedisError as error:
        print(f"dashboard: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
