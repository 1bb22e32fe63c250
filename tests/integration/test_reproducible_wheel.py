"""The same sources make the same wheel, wherever and whenever they are laid out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE")
PACKAGES = ("registry_api_v2_client", "push_queue", "producer", "worker")
COMMIT_TIME = "1700000000"


def build_wheel(folder: Path, *, changed_at: int) -> Path:
    """Build from a copy of the sources whose files changed at that Unix time."""
    for name in SOURCES:
        (folder / "src").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "src")
    for name in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / "src" / name, ignore=ignore)
    for path in (folder / "src").rglob("*"):
        os.utime(path, (changed_at, changed_at))
    command = ["wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    subprocess.run(
        [sys.executable, "-m", "pip", *command],
        cwd=folder / "src",
        env=os.environ | {"SOURCE_DATE_EPOCH": COMMIT_TIME},
        check=True,
        timeout=120,
    )
    [wheel] = folder.glob("*.whl")
    return wheel


def test_two_builds_make_the_same_bytes(tmp_path: Path) -> None:
    first = build_wheel(tmp_path / "first", changed_at=1_600_000_000)
    second = build_wheel(tmp_path / "second", changed_at=1_650_000_001)
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
