"""One fuzz target in this process, for some seconds; the outcome as JSON on standard output."""

import faulthandler
import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.target import Target

HANG_SECONDS = 10
"""An example that takes longer counts as hung; the watchdog ends the process with a traceback."""
ROUND = 300
"""Examples that Hypothesis makes up from one seed."""
MOST_GROWTH = 64 << 20
"""How many bytes memory may grow after the first round."""


def targets() -> dict[str, Target]:
    from tests.fuzz.targets import (
        challenge,
        docker_config,
        image_archive,
        reference,
        registry_answers,
        tar_index,
    )

    modules = (tar_index, image_archive, reference, challenge, docker_config, registry_answers)
    return {module.TARGET.name: module.TARGET for module in modules}


def fuzz(target: Target, seconds: float) -> dict[str, Any]:
    """Rounds of examples until the time is over or something is found."""
    examples, findings, report = 0, 0, ""

    def one(example: Any) -> None:
        nonlocal examples
        examples += 1
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        target.check(example)

    end = time.monotonic() + seconds
    base = 0
    while time.monotonic() < end and not findings:
        number = random.randrange(1 << 32)
        play = given(target.inputs)(one)
        rounds = settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        try:
            seed(number)(rounds(play))()
        except Exception:  # noqa: BLE001 - whatever it is, it is what we are looking for
            findings, report = 1, f"seed {number}\n{traceback.format_exc()}"
        base = base or _peak()
    faulthandler.cancel_dump_traceback_later()
    growth = _peak() - base
    if growth > MOST_GROWTH:
        findings, report = findings + 1, f"{report}memory grew by {growth} bytes"
    return {"examples": examples, "findings": findings, "growth": growth, "report": report}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        tempfile.tempdir = os.environ["DOCKER_CONFIG"] = scratch
        print(json.dumps(fuzz(targets()[sys.argv[1]], float(sys.argv[2]))))
