"""Sends one event to one receiver, once."""

import time
from http import HTTPStatus

from yarl import URL

from push_queue.settings import Settings
from push_queue.settings.sources import variable_of
from push_queue.settings.webhooks import Webhook
from registry_api_v2_client import RegistryError
from registry_api_v2_client.http.errors import error_of
from registry_api_v2_client.http.messages import Request
from registry_api_v2_client.http.session import HttpSession
from registry_api_v2_client.http.tls import TlsSettings

from .cloud_event import CONTENT_TYPE
from .signature import signed_headers

_NO_REDIRECTS = "; redirects are not followed, so give the URL that it leads to"


class NotDeliveredError(Exception):
    """The receiver has not taken the event; the message says why, on one line."""

    def __init__(self, message: str, *, retry_after: float = 0.0, gone: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds for which the receiver asks to be left alone."""
        self.gone = gone
        """It wants no more events at all."""


class Delivery:
    """Requests to one receiver. Proxies and certificates are as for registries. Close it."""

    def __init__(self, webhook: Webhook, settings: Settings) -> None:
        self._url = URL(webhook.url.get_secret_value(), encoded=True)
        self._keys = webhook.keys
        self._session = HttpSession(
            timeout=webhook.timeout,
            commit_timeout=webhook.timeout,
            tls=TlsSettings(settings.registry_certs_dir, settings.insecure_hosts, variable_of),
        )

    async def send(self, event_id: str, event: bytes) -> None:
        """Send the event; any 2xx means that the receiver has it. No redirect is followed.

        Raises:
            NotDeliveredError: no answer in time, or another one.
        """
        request = Request("POST", self._url, self._url, self._headers(event_id, event), event)
        try:
            answer = await self._session.send(request)
        except RegistryError as error:
            raise NotDeliveredError(str(error)) from error
        if not 200 <= answer.status < 300:
            refusal = error_of(str(self._url.origin()), answer.status, answer.headers, b"")
            advice = _NO_REDIRECTS if answer.status < 400 else ""
            raise NotDeliveredError(
                f"{refusal}{advice}",
                retry_after=refusal.retry_after or 0.0,
                gone=answer.status == HTTPStatus.GONE,
            )

    async def close(self) -> None:
        await self._session.close()

    def _headers(self, event_id: str, event: bytes) -> dict[str, str]:
        return {
            "Content-Type": CONTENT_TYPE,
            # So that no event is lost to a connection that the receiver closes just then.
            "Connection": "close",
            **signed_headers(self._keys, event_id, int(time.time()), event),
        }
