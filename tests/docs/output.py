"""Whether a command says what a document shows, but for what differs from run to run."""

import re

_SAME = None
"""It may be whatever it could be in the document."""

VARYING: tuple[tuple[str, str | None], ...] = (
    (r"sha256:[0-9a-f]{6,64}", _SAME),
    (r"\b01[0-9a-hjkmnp-tv-z]{24}\b", _SAME),  # The id of a job, a ULID.
    (r"\bbuilder\b(?:-[\w-]+)?", r"[\w.-]+"),  # A worker, or its host.
    (r"\b1660\b", r"\d+"),  # Its process.
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?", _SAME),
    (r"\d+(?:\.\d+)? (?:B|KB|MB|GB)\b(?:/s)?", _SAME),
    (r"\d+(?:\.\d+)? (?:ms|s|min|h)\b", r"(?:\d+(?:\.\d+)? (?:ms|s|min|h) ?)+"),
    (r"^(?:…|\.\.\.)\n", r"(?:.*\n)*?"),  # Any lines.
    (r"…|\.\.\.", r".*?"),  # The rest of a line.
    (r" {2,}|\t", r"\s+"),  # Columns are as wide as what is in them.
)
"""What a document shows by an example, and what may stand there."""

PASSING = re.compile(
    # How far a push is: a slow machine says it more often than a fast one. One that begins late to
    # watch sees no start.
    r"^\S+ \d+ %, .* blobs\b.*\n"
    r"|^\S+ running on \S+ \(attempt .*\)\n"
    # A machine without Docker; the log of a part of `push-queue up`.
    r"|^No registry from Docker, so docker-registry is run: .*\n"
    r"|^(?:valkey|worker-\d+|api) \| .*\n",
    re.MULTILINE,
)
"""Lines that need not be there, or not as often."""

_SHOWN = re.compile("|".join(f"({shown})" for shown, _ in VARYING), re.MULTILINE)


def agrees(said: str, shown: str) -> bool:
    """Whether the output of a command is the one that the document shows."""
    return re.fullmatch(_pattern(_plain(shown)), _plain(said)) is not None


def holds(said: str, shown: str) -> bool:
    """Whether the output has the lines that the document shows, in that order."""
    lines = (_pattern(line) for line in _plain(shown).splitlines(keepends=True))
    return re.search("^" + r"(?:.*\n)*?".join(lines), _plain(said), re.MULTILINE) is not None


def _plain(output: str) -> str:
    lines = PASSING.sub("", f"{output.rstrip()}\n").splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _pattern(shown: str) -> str:
    pattern, end = "", 0
    for found in _SHOWN.finditer(shown):
        looks_like, may_be = VARYING[(found.lastindex or 1) - 1]
        pattern += re.escape(shown[end : found.start()]) + (may_be or looks_like)
        end = found.end()
    return pattern + re.escape(shown[end:])
