"""The headers by which a receiver knows an event's sender, as Standard Webhooks has them.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable


def signed_headers(
    keys: Iterable[bytes], event_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """One signature for each key: HMAC-SHA256 of id, Unix time and body."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    signatures = (hmac.digest(key, signed, "sha256") for key in keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{b64encode(one).decode()}" for one in signatures),
    }
