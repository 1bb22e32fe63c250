"""The code in docs/how-to/webhooks.md tells who has sent an event."""

import re
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.webhooks import KEY, SECRET
from worker.webhooks.signature import signed_headers

DOCUMENT = Path(__file__).parents[4] / "docs" / "how-to" / "webhooks.md"
OTHER = b"x" * 32
BODY = '{"é": 1}'.encode()

Verify = Callable[[str, dict[str, str], bytes], bool]


@pytest.fixture
def verify() -> Verify:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Verify] = {}
    exec(code, names)
    return names["verify"]


def headers(*keys: bytes, age: int = 0) -> dict[str, str]:
    return signed_headers(keys, "17", int(time.time()) - age, BODY)


def test_it_knows_the_sender(verify: Verify) -> None:
    assert verify(SECRET, headers(KEY), BODY)


def test_it_knows_both_secrets_while_one_is_replaced(verify: Verify) -> None:
    assert verify(SECRET, headers(OTHER, KEY), BODY)
    assert verify(f"whsec_{b64encode(OTHER).decode()}", headers(OTHER, KEY), BODY)


def test_it_refuses_another_sender_body_id_and_an_old_request(verify: Verify) -> None:
    assert not verify(SECRET, headers(OTHER), BODY)
    assert not verify(SECRET, headers(KEY), BODY + b" ")
    assert not verify(SECRET, headers(KEY) | {"webhook-id": "18"}, BODY)
    later = {"webhook-timestamp": str(int(time.time()) + 1)}
    assert not verify(SECRET, headers(KEY) | later, BODY)
    assert not verify(SECRET, headers(KEY, age=301), BODY)
