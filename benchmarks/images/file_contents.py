"""File contents as image layers hold them: text, binaries, and a third that does not compress.

Made from a seed alone, at a few hundred MB/s, so that every machine measures the same bytes. How
often content repeats, and at what distance, decides how well each compressor does. It is chosen so
that zlib (level 6) and ISA-L (level 2) reach about the ratios of real files::

    text      0.26  0.31    Python's standard library          0.25  0.29
    binaries  0.43  0.48    the executables of Python and bash 0.39  0.44 and 0.48  0.53
"""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import accumulate

POOL_BYTES = 8 << 20
"""Files are cut from pools of this size, far beyond the 32 KiB that gzip looks back."""

SMALLEST_FILE, LARGEST_FILE = 1 << 10, 4 << 20

_LETTERS = "etaoinshrdlucmfwypvbgk"  # by their frequency in English
_SEPARATORS = (" ", " ", " ", " ", "(", ")", "\n    ", "\n        ", ", ", ".", " = ", "_", "_")
_OPCODES = (
    *(b"\x48\x89", b"\x48\x8b\x45", b"\x48\x83\xec", b"\xe8", b"\x0f\x84", b"\x74", b"\xc3"),
    *(b"\x55\x48", b"\x85\xc0", b"\x5d", b"\x89\x45", b"\x31\xc0", b"\x4c\x8d\x25", b"\xff\x15"),
)

_ZIPF_EXPONENT = 0.9
_RECENT_TOKENS = 2000
_LONGEST_PHRASE = 6


class FileContents:
    """An endless run of files; the three kinds hold the same share of the bytes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._kinds: list[Callable[[int], bytes]] = [
            self._cut_from(_text_pool()),
            self._cut_from(_binary_pool()),
            self._random.randbytes,
        ]

    def files(self, total: int) -> Iterator[bytes]:
        """Files of ``total`` bytes together; most are small, most bytes are in large ones."""
        written = [0] * len(self._kinds)
        largest = min(LARGEST_FILE, max(total // len(self._kinds), 1))
        while (left := total - sum(written)) > 0:
            kind = written.index(min(written))
            size = min(self._log_uniform(min(SMALLEST_FILE, largest), largest), left)
            written[kind] += size
            yield self._kinds[kind](size)

    def _log_uniform(self, low: int, high: int) -> int:
        return int(low * (high / low) ** self._random.random())

    def _cut_from(self, pool: bytes) -> Callable[[int], bytes]:
        def cut(size: int) -> bytes:
            start = self._random.randrange(len(pool) - size + 1)
            return pool[start : start + size]

        return cut


@cache
def _text_pool() -> bytes:
    """Something like source code: words by frequency, punctuation, indentation."""
    rng = random.Random("text")
    weights = [1 / (rank + 2) for rank in range(len(_LETTERS))]
    words = ["".join(rng.choices(_LETTERS, weights, k=rng.randint(2, 9))) for _ in range(20_000)]
    tokens = [(word + rng.choice(_SEPARATORS)).encode() for word in words for _ in range(3)]
    return _phrases(rng, tokens, repeated=0.2, recalled=0.2)


@cache
def _binary_pool() -> bytes:
    """Something like machine code: opcodes with operands, the frequent ones over and over."""
    rng = random.Random("binary")
    operands = [rng.randbytes(rng.choice((1, 1, 2, 4))) for _ in range(5000)]
    instructions = [code + operand for operand in operands for code in rng.sample(_OPCODES, 4)]
    return _phrases(rng, instructions, repeated=0.1, recalled=0.3)


def _phrases(
    rng: random.Random, tokens: Sequence[bytes], *, repeated: float, recalled: float
) -> bytes:
    """Tokens by Zipf's law, the first being the most frequent.

    A share of them, ``repeated``, are phrases from shortly before, and another, ``recalled``, are
    single tokens from there.
    """
    weights = list(accumulate(rank**-_ZIPF_EXPONENT for rank in range(1, len(tokens) + 1)))
    history = rng.choices(tokens, cum_weights=weights, k=_RECENT_TOKENS)
    size = sum(map(len, history))
    while size < POOL_BYTES:
        for token in rng.choices(tokens, cum_weights=weights, k=4096):
            phrase = [token]
            fate = rng.random()
            if fate < repeated + recalled:
                start = len(history) - 1 - int(rng.random() * (_RECENT_TOKENS - 1))
                length = 1 + int(rng.random() * _LONGEST_PHRASE) if fate < repeated else 1
                phrase = history[start : start + length]
            history += phrase
            size += sum(map(len, phrase))
    return b"".join(history)[:POOL_BYTES]
