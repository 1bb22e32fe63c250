"""Opens a registry client with the workers' settings."""

from push_queue.settings import Settings
from registry_api_v2_client import BlobLedger, Credentials, RegistryClient, RetryPolicy


def open_client(
    settings: Settings, *, retry: RetryPolicy | None = None, ledger: BlobLedger | None = None
) -> RegistryClient:
    """A client with the settings' logins, certificates and limits.

    Raises:
        CredentialsError: a login file cannot be read.
        ValidationError: no such folder of certificates, or the environment names a bad proxy.
    """
    return RegistryClient(
        credentials=settings.logins(Credentials),
        retry=retry,
        ledger=ledger,
        **settings.transport_options,
    )
