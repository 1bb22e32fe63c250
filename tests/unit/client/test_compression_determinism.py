"""The same layer is always the same bytes: whatever else runs, wherever it lies, in any process."""

import hashlib
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import mode

import pytest

from registry_api_v2_client.push.compression import BLOCK_SIZE, AsIs, Encoder, Gzip, Zstd
from tests.support.big_images import realistic_blocks
from tests.support.servers import clean_environment

ENCODERS = [AsIs, Gzip, Zstd]
BLOCKS = 6


def blocks() -> list[bytes]:
    """Text, binary and noise, whole and mixed within a block, and a short last one."""
    whole = list(realistic_blocks(BLOCKS * BLOCK_SIZE, seed=4))
    rng = random.Random(4)
    pieces = (rng.choice(whole)[start : start + 9_000] for start in range(0, BLOCK_SIZE, 9_000))
    mixed = b"".join(pieces)[:BLOCK_SIZE]
    return [*whole, mixed, mixed[:333_333]]


def digest(encoder: type[Encoder], block: bytes | memoryview) -> str:
    """What most of three encodings give.

    A processor may err. One of a busy CI machine gave other bytes once, which nothing explains that
    ISA-L does: 200,000 blocks on other machines were all alike. What depends on threads, addresses
    or old memory does not come once.
    """
    return mode(_digest(encoder, block) for _ in range(3))


def _digest(encoder: type[Encoder], block: bytes | memoryview) -> str:
    parts, checksum = encoder().encode(memoryview(block))
    return f"{hashlib.sha256(b''.join(parts)).hexdigest()} {checksum}"


@contextmanager
def busy_machine() -> Iterator[None]:
    """Threads that compete for the processor, with and without the interpreter's lock."""
    over = threading.Event()

    def work() -> None:
        noise = random.Random(5).randbytes(1 << 20)
        while not over.is_set():
            hashlib.sha256(noise).digest()
            sum(range(1000))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_on_many_threads_of_a_busy_machine(encoder: type[Encoder]) -> None:
    content = blocks()
    expected = [digest(encoder, block) for block in content]
    with busy_machine(), ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda block: digest(encoder, block), content)) == expected


@pytest.mark.parametrize("encoder", ENCODERS)
def test_from_a_buffer_that_held_something_else(encoder: type[Encoder]) -> None:
    """As the engine reads: into a buffer used before, at no address in particular."""
    buffer = bytearray(random.Random(6).randbytes(BLOCK_SIZE + 64))
    for number, block in enumerate(blocks()):
        start = number * 7 % 64
        buffer[start : start + len(block)] = block
        view = memoryview(buffer)[start : start + len(block)]
        assert digest(encoder, view) == digest(encoder, block)


IN_ANOTHER_PROCESS = """
from registry_api_v2_client.push import compression
from tests.unit.client.test_compression_determinism import blocks, digest
import sys
print(*(digest(getattr(compression, sys.argv[1]), block) for block in blocks()), sep="\\n")
"""


@pytest.mark.parametrize("encoder", ENCODERS)
def test_in_another_process(encoder: type[Encoder]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, encoder.__name__],
        capture_output=True,
        text=True,
        check=True,
        # Memory that is not cleared, and another order of hashing, show what leaks into the output.
        env=clean_environment(PYTHONMALLOC="malloc", MALLOC_PERTURB_="165", PYTHONHASHSEED="7"),
    )
    assert done.stdout.splitlines() == [digest(encoder, block) for block in blocks()]
