"""The boundary where answers and aiohttp's exceptions become the library's errors."""

import inspect
import json
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.exceptions import (
    BlobUnknownError,
    DeniedError,
    DigestMismatchError,
    ManifestUnknownError,
    NameUnknownError,
    ProtocolError,
    ProxyError,
    RateLimitedError,
    RegistryError,
    RegistryUnavailableError,
    ResponseError,
    ServerError,
    TagImmutableError,
    TLSError,
    UnauthorizedError,
    UnsupportedError,
    UploadUnknownError,
)
from registry_api_v2_client.http.errors import error_of, reason_of, translated
from registry_api_v2_client.http.messages import Request
from tests.support.raw_server import RawServer

WHERE = URL("https://registry.example.com:5000/v2/app/blobs/uploads/1?_state=secret")
HOST = "registry.example.com:5000"


def body(code: str, message: str = "what happened") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def failure(status: int, content: bytes = b"", **headers: str) -> ResponseError:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_of("host: push of app", status, names, content)


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (401, b"", UnauthorizedError),
        (403, b"", DeniedError),
        (404, b"", NameUnknownError),
        (404, body("NAME_UNKNOWN"), NameUnknownError),
        (404, body("MANIFEST_UNKNOWN"), ManifestUnknownError),
        (404, body("BLOB_UNKNOWN"), BlobUnknownError),
        (404, body("BLOB_UPLOAD_UNKNOWN"), UploadUnknownError),
        (404, body("BLOB_UPLOAD_INVALID"), UploadUnknownError),
        (400, body("DIGEST_INVALID"), DigestMismatchError),
        (405, b"", UnsupportedError),
        (405, body("UNSUPPORTED"), UnsupportedError),
        (415, body("MANIFEST_INVALID"), UnsupportedError),
        (403, body("DENIED", "the tag is Immutable"), TagImmutableError),
        (412, body("PRECONDITION", "1 cannot be overwritten"), TagImmutableError),
        (503, body("UNKNOWN", "immutable for now"), ServerError),
        (429, body("TOOMANYREQUESTS"), RateLimitedError),
        (429, body("DENIED"), RateLimitedError),
        (408, b"", ServerError),
        (408, body("DENIED"), ServerError),
        (425, b"", ServerError),
        (500, b"", ServerError),
        (503, body("UNKNOWN"), ServerError),
        (502, b"<html>Bad gateway</html>", ServerError),
        (400, body("SOMETHING_NEW"), ResponseError),
        (418, b"", ResponseError),
    ],
)
def test_status_and_code_choose_the_class(
    status: int, content: bytes, expected: type[ResponseError]
) -> None:
    error = failure(status, content)
    assert type(error) is expected
    assert error.status == status
    assert str(error).startswith("host: push of app")


def test_the_registry_s_own_words_are_passed_on_in_one_line() -> None:
    error = failure(403, body("DENIED", "requested access\nto the resource is denied"))
    assert error.code == "DENIED"
    assert "requested access to the resource is denied" in str(error)


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("what\nis wrong", "invalid: what is wrong"),
        ({"message": "what is wrong"}, "invalid: what is wrong"),
        ("invalid", "invalid"),
        ("", "invalid"),
        (None, "invalid"),
        ([{"Type": "repository"}], "invalid"),
        ({"message": 7}, "invalid"),
    ],
)
def test_details_are_passed_on(detail: object, words: str) -> None:
    document = {"errors": [{"code": "SOME", "message": "invalid", "detail": detail}]}
    assert str(failure(400, json.dumps(document).encode())).endswith(f"400 SOME {words}")


@pytest.mark.parametrize(
    "address",
    [
        "https://storage.example.com/b/x?X-Amz-Signature=secret&y=2",
        "/v2/app/blobs/uploads/1?_state=secret",
        '"https://storage.example.com/x?a=b?c=secret"',
    ],
)
def test_the_query_of_an_address_is_not_passed_on(address: str) -> None:
    error = failure(400, body("UNKNOWN", f"Put {address}: no, is that so?"))
    assert "secret" not in str(error)
    assert str(error).endswith("no, is that so?")


@pytest.mark.parametrize(("status", "words"), [(507, "507 Insufficient Storage"), (599, "599")])
def test_without_words_the_status_has_to_do(status: int, words: str) -> None:
    assert str(failure(status, b"<html>no</html>")) == f"host: push of app: {words}"


def test_endless_words_are_cut() -> None:
    assert len(str(failure(400, body("UNKNOWN", "x" * 100_000)))) < 1000


@given(st.integers(300, 599), st.binary(max_size=300))
def test_any_body_gives_an_error(status: int, content: bytes) -> None:
    assert "\n" not in str(failure(status, content))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(
    json_values
    | st.fixed_dictionaries({"errors": json_values})
    | st.fixed_dictionaries(
        {"errors": st.lists(st.fixed_dictionaries({"code": json_values, "message": json_values}))}
    )
)
def test_any_json_gives_an_error(document: object) -> None:
    error = failure(400, json.dumps(document).encode())
    assert error.code is None or isinstance(error.code, str)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", 0.0), ("17", 17.0), (" 3 ", 3.0), ("", None), ("soon", None), ("-1", None)],
)
def test_retry_after_in_seconds(value: str, expected: float | None) -> None:
    assert failure(429, Retry_After=value).retry_after == expected


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    earlier = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    assert failure(503, Retry_After=later).retry_after == pytest.approx(3600, abs=60)
    assert failure(503, Retry_After=earlier).retry_after == 0


def test_no_retry_after() -> None:
    assert failure(429).retry_after is None


# aiohttp's exceptions

REQUEST = aiohttp.RequestInfo(WHERE, "GET", CIMultiDictProxy(CIMultiDict()), WHERE)
CONNECTION = aiohttp.client_reqrep.ConnectionKey(
    "registry.example.com", 5000, True, True, None, None, None
)
OS_ERROR = ConnectionRefusedError(111, "Connection refused")
CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")

BUILDERS: dict[type[BaseException], Callable[[], BaseException]] = {
    aiohttp.ClientConnectorError: lambda: aiohttp.ClientConnectorError(CONNECTION, OS_ERROR),
    aiohttp.ClientConnectorDNSError: lambda: aiohttp.ClientConnectorDNSError(CONNECTION, OS_ERROR),
    aiohttp.ClientProxyConnectionError: lambda: aiohttp.ClientProxyConnectionError(
        CONNECTION, OS_ERROR
    ),
    aiohttp.ClientSSLError: lambda: aiohttp.ClientSSLError(CONNECTION, OS_ERROR),
    aiohttp.ClientConnectorSSLError: lambda: aiohttp.ClientConnectorSSLError(CONNECTION, OS_ERROR),
    aiohttp.ClientConnectorCertificateError: lambda: aiohttp.ClientConnectorCertificateError(
        CONNECTION, CERTIFICATE
    ),
    aiohttp.ServerFingerprintMismatch: lambda: aiohttp.ServerFingerprintMismatch(
        b"a", b"b", "registry.example.com", 5000
    ),
    aiohttp.ClientResponseError: lambda: aiohttp.ClientResponseError(REQUEST, ()),
    aiohttp.ContentTypeError: lambda: aiohttp.ContentTypeError(REQUEST, ()),
    aiohttp.ClientHttpProxyError: lambda: aiohttp.ClientHttpProxyError(REQUEST, ()),
    aiohttp.TooManyRedirects: lambda: aiohttp.TooManyRedirects(REQUEST, ()),
    aiohttp.WSServerHandshakeError: lambda: aiohttp.WSServerHandshakeError(REQUEST, ()),
}


def client_errors() -> list[type[BaseException]]:
    """Every exception class that aiohttp's client may raise."""
    return [
        value
        for _, value in inspect.getmembers(aiohttp, inspect.isclass)
        if issubclass(value, aiohttp.ClientError)
    ]


@pytest.mark.parametrize("kind", client_errors())
def test_none_of_aiohttp_s_errors_gets_through(kind: type[BaseException]) -> None:
    error = BUILDERS.get(kind, lambda: kind("details"))()
    with pytest.raises(RegistryError) as caught, translated(WHERE):
        raise error
    assert "registry.example.com:5000" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), RegistryUnavailableError),
        (ConnectionResetError(104, "Connection reset by peer"), RegistryUnavailableError),
        (BrokenPipeError(32, "Broken pipe"), RegistryUnavailableError),
        (aiohttp.ServerDisconnectedError(), RegistryUnavailableError),
        (aiohttp.ClientConnectorError(CONNECTION, OS_ERROR), RegistryUnavailableError),
        (aiohttp.ClientPayloadError("cut"), RegistryUnavailableError),
        (aiohttp.ClientConnectorCertificateError(CONNECTION, CERTIFICATE), TLSError),
        (CERTIFICATE, TLSError),
        (aiohttp.TooManyRedirects(REQUEST, ()), ProtocolError),
    ],
)
def test_which_error_it_becomes(error: Exception, expected: type[RegistryError]) -> None:
    with pytest.raises(expected), translated(WHERE):
        raise error


@pytest.mark.parametrize(
    "gone",
    [
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientConnectionResetError("Cannot write to closing transport"),
    ],
)
def test_a_connection_that_is_gone_is_said_in_words(gone: Exception) -> None:
    assert reason_of(gone) == "it closed the connection"


@pytest.mark.parametrize(
    ("status", "expected", "advice"),
    [
        (403, ProxyError, "NO_PROXY"),
        (407, ProxyError, "http://user:password@host:port"),
        (502, RegistryUnavailableError, "answered 502"),
    ],
)
def test_what_a_proxy_refuses_no_wait_mends(
    status: int, expected: type[RegistryError], advice: str
) -> None:
    error = aiohttp.ClientHttpProxyError(REQUEST, (), status=status)
    with pytest.raises(expected, match=advice) as caught, translated(WHERE):
        raise error
    assert caught.value.retryable == (expected is RegistryUnavailableError)


async def test_a_proxy_s_refusal_of_plain_http_is_told_from_a_registry_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse() -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"

    async with RawServer(refuse) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with Transport(timeout=60) as transport:
            url = URL("http://registry.example.com/v2/")
            with pytest.raises(ProxyError, match="the proxy answered 407; write"):
                await transport.request(Request("GET", url, url), scope="", what="ping", ok={200})


@pytest.mark.parametrize(
    "reason",
    ["TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE", "TLSV1_ALERT_UNKNOWN_CA"],
)
@pytest.mark.parametrize("after_the_handshake", [True, False])
def test_a_registry_that_wants_another_client_certificate(
    reason: str, after_the_handshake: bool
) -> None:
    alert = ssl.SSLError(1, f"[SSL: {reason}] an alert (_ssl.c:2580)")
    error: Exception = aiohttp.ClientConnectorSSLError(CONNECTION, alert)
    if after_the_handshake:
        error = aiohttp.ClientOSError(*alert.args)
    with pytest.raises(TLSError, match=rf"{HOST}/client\.cert .*certs_dir"), translated(WHERE):
        raise error


def test_what_is_wrong_with_tls_is_said_in_words() -> None:
    """OpenSSL's numbers look like those of the system, where 1 is "Operation not permitted"."""
    # A server that speaks plain HTTP.
    incoming = ssl.MemoryBIO()
    incoming.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
    client = ssl.create_default_context().wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="h")
    with pytest.raises(ssl.SSLError) as plain_http:
        client.do_handshake()
    plain = aiohttp.ClientConnectorSSLError(CONNECTION, plain_http.value)
    plain.__cause__ = plain_http.value
    expected = r"TLS: .*(wrong version|record layer).*; .*PLAIN_HTTP_HOSTS"
    with pytest.raises(TLSError, match=expected), translated(WHERE, str.upper):
        raise plain


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        (18, "self-signed certificate.", f"; to trust it, .* {HOST}/ca.crt .*certs_dir"),
        (20, "unable to get local issuer certificate", "; to trust it"),
        (10, "certificate has expired", "$"),
        (62, "Hostname mismatch, certificate is not valid for 'a'.", "$"),
    ],
)
def test_why_a_certificate_is_not_trusted(code: int, message: str, advice: str) -> None:
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.reason = "CERTIFICATE_VERIFY_FAILED"
    untrusted.verify_code, untrusted.verify_message = code, message
    said = f"{WHERE.scheme}://{HOST}: TLS: {message.rstrip('.')}{advice}"
    with pytest.raises(TLSError, match=said), translated(WHERE):
        raise untrusted


def test_a_broken_tls_connection_may_mend() -> None:
    broken = "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] bad record mac (_ssl.c:2580)"
    with pytest.raises(RegistryUnavailableError), translated(WHERE):
        raise aiohttp.ClientOSError(1, broken)


def test_the_reason_is_told() -> None:
    with pytest.raises(RegistryUnavailableError, match="Connection refused"), translated(WHERE):
        raise aiohttp.ClientConnectorError(CONNECTION, OS_ERROR)


def test_errors_of_our_own_pass_through() -> None:
    with pytest.raises(DeniedError), translated(WHERE):
        raise DeniedError("no", status=403)


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), translated(WHERE):
        raise ZeroDivisionError
