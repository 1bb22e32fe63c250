"""JSON from archives and registries, also if it is built to exhaust its reader."""

import json
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.json_document import MAX_JSON, JsonDocumentError, parse_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_whatever_python_writes_is_read(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


def test_a_number_beyond_the_largest_is_read_as_infinite() -> None:
    assert parse_json(b"[1e999, -1e999]") == [math.inf, -math.inf]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{not json",
        b'["\xff"]',
        b"[NaN]",
        b'["\\ud800"]',
        b"{} {}",
        b"9" * 5000,
        b"[" * 202 + b"]" * 202,
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
)
def test_what_is_refused(content: bytes) -> None:
    with pytest.raises(JsonDocumentError, match=r"^is not valid JSON: "):
        parse_json(content)


def test_nesting_that_documents_have() -> None:
    assert parse_json(b"[" * 100 + b"]" * 100)


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"0,", b'"",', b"[[]],"])
def test_values_without_number_take_no_memory(unit: bytes) -> None:
    content = b"[" + unit * (MAX_JSON // len(unit) - 2) + b"0]"
    tracemalloc.start()
    try:
        with pytest.raises(JsonDocumentError, match="has more than 250000 values"):
            parse_json(content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
