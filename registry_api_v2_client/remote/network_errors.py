"""What the network raises, as this library's errors."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from yarl import URL

from ..exceptions import RegistryError, SourceUnavailableError, SourceUnreadableError
from .places import shown


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn what a request to ``url`` raises into this library's errors."""
    name = shown(url)
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise SourceUnreadableError(
            f"{name}: its certificate is not trusted ({error.verify_message}); put its authority "
            "where those of registries are"
        ) from error
    except TimeoutError as error:
        raise SourceUnavailableError(f"{name} did not answer in time") from error
    except (ConnectionError, ssl.SSLEOFError) as error:
        raise SourceUnavailableError(f"{name}: the connection broke, or was refused") from error
    except OSError as error:
        if isinstance(error, RegistryError):
            raise
        # What a proxy answers has no number.
        raise SourceUnavailableError(
            f"{name} cannot be reached: {error.strerror or error}"
        ) from error
    except UnicodeError as error:
        raise SourceUnreadableError(f"{name} has a host that cannot be looked up") from error
    except (http.client.HTTPException, ValueError) as error:
        raise SourceUnavailableError(f"{name} sent an answer that is not HTTP") from error
