"""Input that is nearly right, and strings that are hostile."""

import copy
from typing import Any

from hypothesis import strategies as st

from tests.support.images import to_json

HOSTILE = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/",
    "a\nERROR forged",
    "\x1b[2J",
    "\x9b",
    "\u202e",
    "\u2028",
    "\0",
    "sha256:",
    "sha256:../../x",
    "sha256:" + "0" * 64,
    "sha256:" + "F" * 64,
    "a" * 5000,
    "9" * 5000,
    "-1",
    "%s%n{0}",
]

texts = st.sampled_from(HOSTILE) | st.text(max_size=40)
numbers = st.sampled_from([0, -1, 1, 1 << 63, -(1 << 63), 10**400, 0.5, 1e308]) | st.integers()
leaves: st.SearchStrategy[Any] = st.none() | st.booleans() | numbers | texts
json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

BAD_JSON = [b"", b"{", b"[" * 5000, b'["\xff"]', b'{"a": "\\ud800"}', b"[NaN]", b"\xef\xbb\xbf[]"]


@st.composite
def changed(draw: st.DrawFn, document: Any, most: int = 3) -> Any:
    """A JSON value with up to ``most`` of its parts replaced, removed or doubled."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, most))):
        document = _change(draw, document)
    return document


def _change(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return draw(json_values)
    keys: list[Any] = list(value if isinstance(value, dict) else range(len(value)))
    key = draw(st.sampled_from(keys))
    match draw(st.integers(0, 5)):
        case 0:
            del value[key]
        case 1:
            if isinstance(value, list):
                value.extend([value[key]] * draw(st.sampled_from([1, 3, 200])))
            else:
                value[draw(texts)] = value[key]
        case _:
            value[key] = _change(draw, value[key])
    return value


@st.composite
def changed_json(draw: st.DrawFn, document: Any) -> bytes:
    """The same as bytes, which sometimes are no JSON."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from(BAD_JSON) | st.binary(max_size=50))
    return to_json(draw(changed(document)))


@st.composite
def spoiled(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with some overwritten, taken out, repeated or cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, max(0, len(data) - 1)))
        count = draw(st.sampled_from([1, 1, 4, 12, 512]))
        match draw(st.integers(0, 5)):
            case 0:
                del data[start:]
            case 1:
                del data[start : start + count]
            case 2:
                data[start:start] = data[start : start + count] * draw(st.integers(1, 5))
            case _:
                data[start : start + count] = draw(st.binary(min_size=1, max_size=count))
    return bytes(data)
