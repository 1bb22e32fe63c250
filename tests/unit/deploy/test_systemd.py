"""The units in deploy/systemd."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from producer.api.server import STOP_SECONDS
from push_queue.settings import ENV_PREFIX, Settings

FOLDER = Path(__file__).parents[3] / "deploy/systemd"
UNITS = sorted(FOLDER.glob("*.service"))
HAND_BACK_SECONDS = 15
MOST_EXPOSED = 20
"""Tenths of systemd's scale to 10, on which less is better."""

OLDEST_SYSTEMD = 250
"""The first that judges a unit without loading it."""


def systemd_version() -> int:
    """Of this machine; 0 where there is none."""
    if not shutil.which("systemd-analyze"):
        return 0
    told = analyze("--version").stdout
    return int(re.findall(r"^systemd (\d+)", told)[0])


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


needs_systemd = pytest.mark.skipif(
    systemd_version() < OLDEST_SYSTEMD, reason=f"systemd {OLDEST_SYSTEMD} is not installed"
)


@pytest.fixture(params=UNITS, ids=lambda path: path.name)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit that runs a program of this machine, and is an instance if it is a template."""
    path: Path = request.param
    here = tmp_path / path.name.replace("@.", "@1.")
    here.write_text(re.sub("^ExecStart=.*", "ExecStart=/bin/true", path.read_text(), flags=re.M))
    return here


def seconds(name: str, setting: str) -> int:
    [value] = re.findall(rf"^{setting}=(\d+)$", (FOLDER / name).read_text(), re.M)
    return int(value)


@needs_systemd
def test_systemd_accepts_it(unit: Path) -> None:
    done = analyze("verify", unit)
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, complaints) == (0, [])


@needs_systemd
def test_it_is_confined(unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_worker_has_more_time_to_stop_than_its_grace_period() -> None:
    grace = Settings.model_fields["shutdown_grace_seconds"].default
    assert seconds("push-worker@.service", "TimeoutStopSec") >= grace + HAND_BACK_SECONDS


def test_the_api_has_time_to_answer_requests_under_way() -> None:
    assert seconds("push-queue-api.service", "TimeoutStopSec") > STOP_SECONDS


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_settings_that_it_names_exist(path: Path) -> None:
    named = set(re.findall(rf"{ENV_PREFIX}\w+(?==)", path.read_text()))
    assert named <= {ENV_PREFIX + field.upper() for field in Settings.model_fields}
