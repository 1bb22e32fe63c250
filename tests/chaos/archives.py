"""The images of a chaos run, each of them unique; some belong to two jobs."""

import random
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.plan import Fault, Plan, PlannedJob
from tests.support.images import (
    layer_tar,
    make_image,
    oci_blobs,
    sha256_digest,
    write_archive,
)

BASE_BYTES = 2_000_000
"""Of the layer that all big images share."""


@dataclass(frozen=True)
class JobImage:
    """Where a job's archive is, and the config by which its image is recognised in a registry."""

    path: Path
    config_digest: str


def write_images(plan: Plan, directory: Path) -> dict[str, JobImage]:
    """The image of each job, by its id; that of a broken job is not on disk."""
    base = random_layer(f"{plan.seed} base", BASE_BYTES)
    own = [job for job in plan.jobs if job.source == job.number]
    images = {
        job.number: write_image(directory, job, base, f"{plan.seed} layer {job.number}")
        for job in own
    }
    for job in own:
        if job.broken:
            images[job.number].path.unlink()
    return {job.id: images[job.source] for job in plan.jobs}


def write_next_builds(plan: Plan, directory: Path) -> dict[str, JobImage]:
    """What replaces the tars of jobs, by their ids."""
    base = random_layer(f"{plan.seed} base", BASE_BYTES)
    replaced = {strike.subject for strike in plan.strikes if strike.fault is Fault.REPLACE}
    return {
        plan.jobs[number].id: write_image(
            directory, plan.jobs[number], base, f"{plan.seed} next layer {number}"
        )
        for number in replaced
    }


def write_image(directory: Path, job: PlannedJob, base: bytes, seed: str) -> JobImage:
    layer = random_layer(seed, job.layer_bytes)
    layers = (base, layer) if job.big else (layer,)
    image = make_image(*layers, config={"Labels": {"build": job.id}})
    path = directory / f"{job.id}.tar"
    write_archive(path, oci_blobs, image)
    return JobImage(path, sha256_digest(image.config))


def random_layer(seed: str, size: int) -> bytes:
    return layer_tar({"data": random.Random(seed).randbytes(size)})
