"""Receivers of webhooks, as settings name them."""

import json
from base64 import b64encode
from typing import Any

import pytest

from push_queue.settings.webhooks import Webhook
from push_queue.webhook_outbox import WebhookOutbox

KEY = bytes(range(32))
SECRET = f"whsec_{b64encode(KEY).decode()}"
PATH = "/hooks/T0P-S3CRET"


def webhook(url: str = "http://127.0.0.1:1", **filters: Any) -> Webhook:
    return Webhook.model_validate({"url": url + PATH, "secret": SECRET, **filters})


def setting(**receivers: Any) -> str:
    """``PUSH_QUEUE_WEBHOOKS``: the filters of each receiver and its ``url``, without a path."""
    return json.dumps(
        {
            name: {**options, "url": options["url"] + PATH, "secret": SECRET}
            for name, options in receivers.items()
        }
    )


def answer_pings(monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    """Have each ping answered as a worker does; ``failure`` is empty if it arrived."""
    ask = WebhookOutbox.ask_for_ping

    async def ask_a_worker(outbox: WebhookOutbox, name: str) -> str:
        token = await ask(outbox, name)
        await outbox.answer_ping(name, token, failure)
        return token

    monkeypatch.setattr(WebhookOutbox, "ask_for_ping", ask_a_worker)
