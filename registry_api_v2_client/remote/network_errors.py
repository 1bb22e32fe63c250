"""What the network raises, as this library's errors."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from yarl import URL

from ..exceptions import RegistryError, SourceUnavailableError, SourceUnreadableError
from ..http.tls import place_of_certificates
from ..parameter_names import NameOf
from .places import shown


@contextmanager
def explained(url: URL, name_of: NameOf) -> Iterator[None]:
    """Turn what a request to ``url`` raises into this library's errors.

    Parameters are called as ``name_of`` does.
    """
    try:
        yield
    except RegistryError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Not earlier: this is used for every piece of a body.
        raise _explanation(url, error, name_of) from error


def _explanation(url: URL, error: Exception, name_of: NameOf) -> RegistryError:
    name = shown(url)
    match error:
        case ssl.SSLCertVerificationError():
            return SourceUnreadableError(
                f"{name}: its certificate is not trusted ({error.verify_message.rstrip('.')}); put "
                "the certificate of its authority into "
                f"{url.host_port_subcomponent}/ca.crt {place_of_certificates(name_of)}"
            )
        case TimeoutError():
            return SourceUnavailableError(f"{name} did not answer in time")
        case (
            ConnectionError()
            | ssl.SSLEOFError()
            # As Debian 12's Python has it.
            | ssl.SSLError(reason="UNEXPECTED_EOF_WHILE_READING")
            | http.client.IncompleteRead()
        ):
            return SourceUnavailableError(f"{name}: the connection broke, or was refused")
        case OSError():
            # What a proxy answers has no number.
            reason = error.strerror or error
            return SourceUnavailableError(f"{name} cannot be reached: {reason}")
        case UnicodeError():
            return SourceUnreadableError(f"{name} has a host that cannot be looked up")
    return SourceUnavailableError(f"{name} sent an answer that is not HTTP")
