"""Speaking to registries from here, as the workers do."""

from push_queue.settings import Settings
from registry_api_v2_client import BlobLedger, Credentials, RegistryClient, RetryPolicy


def open_client(
    settings: Settings, *, retry: RetryPolicy | None = None, ledger: BlobLedger | None = None
) -> RegistryClient:
    """A client with the settings' logins, certificates and limits.

    Raises:
        CredentialsError: a file of logins cannot be read.
        ValidationError: there is no such folder of certificates, or no such kind of proxy.
    """
    return RegistryClient(
        credentials=settings.logins(Credentials),
        retry=retry,
        ledger=ledger,
        **settings.transport_options,
    )
