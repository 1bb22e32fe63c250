"""The images of a chaos run, one for each job and like no other."""

import random
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.plan import Plan, PlannedJob
from tests.support.images import (
    Image,
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
    """Where a job's archive is, and by which config its image is known again in a registry."""

    path: Path
    config_digest: str


def write_images(plan: Plan, directory: Path) -> dict[str, JobImage]:
    """The image of each job, by its id; that of a broken job is not on disk."""
    base = random_layer(f"{plan.seed} base", BASE_BYTES)
    images = {}
    for job in plan.jobs:
        image = make_job_image(plan, job, base)
        path = directory / f"{job.id}.tar"
        if not job.broken:
            write_archive(path, oci_blobs, image)
        images[job.id] = JobImage(path, sha256_digest(image.config))
    return images


def make_job_image(plan: Plan, job: PlannedJob, base: bytes) -> Image:
    own = random_layer(f"{plan.seed} layer {job.number}", job.layer_bytes)
    layers = (base, own) if job.big else (own,)
    return make_image(*layers, config={"Labels": {"build": job.id}})


def random_layer(seed: str, size: int) -> bytes:
    return layer_tar({"data": random.Random(seed).randbytes(size)})
