"""Whether what the jobs say is what the registry has."""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tests.compose.client import Client
from tests.compose.stack import Stack

MANIFEST_PUT = re.compile(r'"PUT /v2/load/([\w-]+)/manifests/1 HTTP/1\.1" 201 ')


def problems(stack: Stack, client: Client, pushed: Iterable[dict[str, Any]]) -> list[str]:
    """What is wrong, a line each; and a summary on standard output."""
    found = {job["id"]: job for job in client.jobs()}
    if missing := [job["id"] for job in pushed if job["id"] not in found]:
        return [f"{job} is not there" for job in missing]
    jobs = {job["id"]: found[job["id"]] for job in pushed}
    tags = {name: client.tags(name) for name in client.repositories()}
    ends = successes(stack)
    writes = Counter(MANIFEST_PUT.findall(stack.compose("logs", "--no-log-prefix", "registry")))
    again = sum(job["attempt"] > 1 for job in jobs.values())
    sys.stdout.write(
        f"{dict(Counter(job['state'] for job in jobs.values()))},"
        f" {again} of them in several attempts; {len(tags)} repositories with"
        f" {sum(map(len, tags.values()))} tags, {sum(writes.values())} manifests written\n"
    )
    return [
        *(() if again else ("no job ran again, so the worker that was killed had none",)),
        *lost(jobs, tags),
        *(f"{name} belongs to no job" for name in tags.keys() - set(map(repository, jobs))),
        *wrong_figures(client, len(jobs)),
        *(f"{job} succeeded {ends[job]} times" for job in jobs if ends[job] != 1),
        *(
            f"{name} was written {times} times by a job that ran once"
            for name, times in writes.items()
            if times > 1 and jobs[name]["attempt"] == 1
        ),
    ]


def lost(
    jobs: dict[str, dict[str, object]], tags: dict[str, dict[str, str | None]]
) -> Iterator[str]:
    for job_id, job in jobs.items():
        if job["state"] != "succeeded":
            yield f"{job_id} {job['state']}: {job['error']}"
        elif tags.get(repository(job_id)) != {"1": job["digest"]}:
            yield f"{job_id} says {job['digest']}, the registry {tags.get(repository(job_id))}"


def wrong_figures(client: Client, pushed: int) -> Iterator[str]:
    names = ("push_queue_jobs", "push_queue_jobs_ended_total")
    stats = client.stats()
    told = {
        **{name: client.metric(name, state="succeeded") for name in names},
        "stats, of the jobs,": stats["jobs"]["succeeded"],
        "stats, of the last hour,": stats["last_hour"]["succeeded"],
    }
    for name, number in told.items():
        if number != pushed:
            yield f"{name} says {number:g} of {pushed} jobs"


def repository(job_id: str) -> str:
    return f"load/{job_id}"


def successes(stack: Stack) -> Counter[str]:
    """How often each job came to success, by the stream of events."""
    events = stack.redis("xrange", "push:events", "-", "+")
    fields = [dict(zip(entry[::2], entry[1::2], strict=True)) for _, entry in events]
    return Counter(event["id"] for event in fields if event["state"] == "succeeded")
