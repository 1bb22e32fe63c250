"""The one boundary where answers and aiohttp's exceptions become this library's errors."""

import errno
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp
from yarl import URL

from ..exceptions import (
    AnswerCutShortError,
    BlobUnknownError,
    DeniedError,
    DigestMismatchError,
    ManifestUnknownError,
    NameUnknownError,
    ProtocolError,
    ProxyError,
    RateLimitedError,
    RegistryError,
    RegistryTimeoutError,
    RegistryUnavailableError,
    ResponseError,
    ServerError,
    TagImmutableError,
    TLSError,
    UnauthorizedError,
    UnsupportedError,
    UploadUnknownError,
)
from ..json_document import JsonDocumentError, parse_json
from ..parameter_names import NameOf
from ..retry_after import parse_retry_after
from .tls import place_of_certificates

# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
_BY_CODE: dict[str, type[ResponseError]] = {
    "BLOB_UNKNOWN": BlobUnknownError,
    "BLOB_UPLOAD_UNKNOWN": UploadUnknownError,
    "BLOB_UPLOAD_INVALID": UploadUnknownError,
    "DENIED": DeniedError,
    "DIGEST_INVALID": DigestMismatchError,
    "MANIFEST_BLOB_UNKNOWN": BlobUnknownError,
    "MANIFEST_UNKNOWN": ManifestUnknownError,
    "NAME_UNKNOWN": NameUnknownError,
    "TOOMANYREQUESTS": RateLimitedError,
    "UNAUTHORIZED": UnauthorizedError,
    "UNSUPPORTED": UnsupportedError,
}
_BY_STATUS: dict[int, type[ResponseError]] = {
    401: UnauthorizedError,
    403: DeniedError,
    404: NameUnknownError,
    405: UnsupportedError,
    # Quay: https://github.com/uber-archive/makisu/issues/189
    415: UnsupportedError,
    416: UploadUnknownError,
}
# These statuses say more than the code: some registries send UNKNOWN or DENIED with them.
_WHATEVER_THE_CODE: dict[int, type[ResponseError]] = {
    # The request arrived too late, or too early; either way it can be sent again.
    # https://www.rfc-editor.org/rfc/rfc9110#status.408, https://www.rfc-editor.org/rfc/rfc8470
    408: ServerError,
    425: ServerError,
    429: RateLimitedError,
}
# The specification has no code for this, and statuses differ; docs/reference/registries.md has
# the sources.
_IMMUTABLE = re.compile(r"immutab|cannot be overwritten", re.IGNORECASE)
# How OpenSSL says that a server wants a client certificate, or another one. With TLS 1.3 that comes
# only after the handshake. https://www.rfc-editor.org/rfc/rfc8446#section-6.2
_CERTIFICATE_ALERT = re.compile(r"\[SSL: \w*ALERT\w*_(CERTIFICATE|UNKNOWN_CA)")
# Self-signed, or signed by an authority that is not known here.
# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_NO_AUTHORITY = frozenset({18, 19, 20, 21})
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_LONGEST_MESSAGE = 300
_QUERY = re.compile(r"\?[^\s\"'<>?]*=[^\s\"'<>]*")
_LONGEST_PAUSE = 86_400.0
"""Seconds."""


def error_of(
    what: str, status: int, headers: Mapping[str, str], body: bytes, advice: str = ""
) -> ResponseError:
    """The error for an answer; ``what`` names registry and operation."""
    code, message = _first_error(body)
    kind = ServerError if status >= 500 else _WHATEVER_THE_CODE.get(status)
    if not kind and message and _IMMUTABLE.search(message):
        kind = TagImmutableError
    kind = kind or _BY_CODE.get(code or "") or _BY_STATUS.get(status)
    words = (str(status), code, message) if code or message else (str(status), _phrase(status))
    details = " ".join(filter(None, words)) + (advice and f"; {advice}")
    error = (kind or (ProtocolError if status < 400 else ResponseError))(
        f"{what}: {details}",
        status=status,
        code=code,
        retry_after=parse_retry_after(headers.get("Retry-After"), _LONGEST_PAUSE),
    )
    if isinstance(error, BlobUnknownError):
        error.digests = frozenset(digest.decode() for digest in _DIGEST.findall(body))
    return error


@contextmanager
def translated(url: URL, name_of: NameOf = str) -> Iterator[None]:
    """Turn what aiohttp raises for a request to ``url`` into this library's errors.

    Parameters are called as ``name_of`` does.
    """
    where = _where(url)
    try:
        yield
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        if _is_about_our_certificate(error):
            raise _certificate_refused(url, name_of) from error
        raise TLSError(f"{where}: {reason_of(error)}{_tls_advice(url, error, name_of)}") from error
    except TimeoutError as error:
        raise RegistryTimeoutError(f"{where} did not answer in time") from error
    except aiohttp.InvalidURL as error:
        raise ProtocolError(f"{where} sent an unusable address", status=0) from error
    except aiohttp.ClientHttpProxyError as error:
        raise proxy_error(url, error.status) from error
    except aiohttp.ClientResponseError as error:
        raise ProtocolError(
            f"{where} sent an answer that is not HTTP, or has oversized headers", status=0
        ) from error
    except aiohttp.ClientPayloadError as error:
        raise AnswerCutShortError(f"{where} closed the connection during an answer") from error
    except (aiohttp.ClientError, OSError) as error:
        if _is_about_our_certificate(error):
            raise _certificate_refused(url, name_of) from error
        raise RegistryUnavailableError(f"{where} cannot be reached: {reason_of(error)}") from error


def proxy_error(url: URL, status: int) -> RegistryError:
    """The error for an answer of the proxy on the way to ``url``."""
    what = f"{_where(url)} cannot be reached: the proxy answered {status}"
    if status == 407:
        return ProxyError(
            f"{what}; write its user and password into its address, http://user:password@host:port"
        )
    if status == 403:
        return ProxyError(f"{what}; have it allow this host, or name the host in NO_PROXY")
    return RegistryUnavailableError(what)


def _where(url: URL) -> str:
    return f"{url.scheme}://{url.host_port_subcomponent}"


def _is_about_our_certificate(error: Exception) -> bool:
    return bool(_CERTIFICATE_ALERT.search(str(error)))


def _certificate_refused(url: URL, name_of: NameOf) -> TLSError:
    host = url.host_port_subcomponent
    return TLSError(
        f"{_where(url)} wants a client certificate that it trusts: put one and its key into "
        f"{host}/client.cert and {host}/client.key {place_of_certificates(name_of)}"
    )


def _tls_advice(url: URL, error: BaseException, name_of: NameOf) -> str:
    """What to do, where the reason does not say that."""
    inner = error.__cause__ or error
    if not isinstance(inner, ssl.SSLCertVerificationError):
        return (
            f"; if it speaks plain HTTP, name it in {name_of('plain_http_hosts')}, or begin its "
            "URL with http://"
        )
    if getattr(inner, "verify_code", None) not in _NO_AUTHORITY:
        return ""  # It is expired, or for another name.
    return (
        "; to trust it, put the certificate of its authority into "
        f"{url.host_port_subcomponent}/ca.crt {place_of_certificates(name_of)}"
    )


def reason_of(error: BaseException) -> str:
    """Why, in one line. The URL is left out, as its query may carry a signature."""
    inner = error.__cause__ or error
    if isinstance(inner, ssl.SSLError):
        return _tls_reason(inner)
    if isinstance(inner, OSError) and inner.strerror:
        # asyncio writes "Connect call failed (address)" there. A resolver has numbers of its own.
        if inner.errno and inner.errno in errno.errorcode:
            return os.strerror(inner.errno)
        return inner.strerror
    if isinstance(inner, (aiohttp.ServerDisconnectedError, ConnectionResetError)):
        return "it closed the connection"
    return type(inner).__name__


def _tls_reason(error: ssl.SSLError) -> str:
    """What OpenSSL says, in words. Its error numbers are not the system's."""
    # Errors that OpenSSL did not raise have neither attribute.
    reason = str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
    said = getattr(error, "verify_message", "") or reason.replace("_", " ").lower()
    return f"TLS: {said.rstrip('.')}"


def _first_error(body: bytes) -> tuple[str | None, str | None]:
    """Code and message of the first error in the body; proxies in between send HTML instead."""
    try:
        first = parse_json(body)["errors"][0]
        code, message, detail = first.get("code"), first.get("message"), first.get("detail")
    except (JsonDocumentError, LookupError, TypeError, AttributeError):
        return None, None
    # Nexus and Quay say "invalid" in the message, and what is invalid in the detail.
    reason = detail.get("message") if isinstance(detail, dict) else detail
    words = [" ".join(text.split()) for text in (message, reason) if isinstance(text, str)]
    # They may quote a signed URL of their storage.
    said = _QUERY.sub("?…", ": ".join(dict.fromkeys(filter(None, words))))
    return code if isinstance(code, str) else None, said[:_LONGEST_MESSAGE] or None


def _phrase(status: int) -> str | None:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return None
