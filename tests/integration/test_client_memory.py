"""Memory of a push does not grow with the image."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.big_images import write_big_archive
from tests.support.servers import clean_environment

pytestmark = pytest.mark.integration

MIB = 1 << 20

# In a process of its own, and not by getrusage: its peak includes that of the parent at the fork.
PUSH = """
import asyncio, pathlib, sys
from registry_api_v2_client import push_docker_tar
path, url, repository, compression = sys.argv[1:]
asyncio.run(push_docker_tar(path, url, repository, "1", compression=compression))
print(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def peak_bytes(path: Path, url: str, repository: str, compression: str) -> int:
    command = [sys.executable, "-c", PUSH, str(path), url, repository, compression]
    done = subprocess.run(command, capture_output=True, check=True, env=clean_environment())
    return int(done.stdout) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("compression", ["gzip", "keep"])
def test_ten_times_the_image_takes_no_more_memory(
    compression: str, tmp_path: Path, registry_url: str, repository: str
) -> None:
    sizes = {"small": 24 * MIB, "large": 240 * MIB}
    peaks = {}
    for name, size in sizes.items():
        big = write_big_archive(tmp_path / f"{name}.tar", [size])
        peaks[name] = peak_bytes(big.path, registry_url, f"{repository}-{name}", compression)
        big.path.unlink()
    assert peaks["large"] < peaks["small"] + 24 * MIB
    assert peaks["large"] < 150 * MIB
