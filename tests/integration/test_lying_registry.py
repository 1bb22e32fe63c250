"""A registry, or its token server, that lies: it gets no credentials and cannot make a push hang.

The rules are in `registry_api_v2_client/http/named_hosts.py`.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from registry_api_v2_client import (
    Credentials,
    CredentialsError,
    ProtocolError,
    RegistryClient,
    RegistryError,
    RegistryUnavailableError,
    UnauthorizedError,
    UploadUnknownError,
)
from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.uploads import UploadSession
from tests.support.certificates import Authority
from tests.support.logins import Login
from tests.support.processes import free_port
from tests.support.raw_server import RawServer
from tests.support.scripted_server import Exchange, Reply, ScriptedServer

pytestmark = pytest.mark.integration

GOOD = Login("alice", "wonderland")
TAGS = "/v2/app/tags/list?n=1000"
TAGS_ANSWER = Reply(200, body=b'{"tags": ["1"]}')
BASIC = {"WWW-Authenticate": 'Basic realm="x"'}
SIGNED_IN = {"Authorization": GOOD.basic}
UPLOAD = "/v2/app/blobs/uploads/"
DRIP_SECONDS = 0.02
BLOB = b"blob" * 100_000
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"

Answer = Callable[[], AsyncIterator[bytes]]


def client_of(*hosts: str, **options: Any) -> RegistryClient:
    """A client with credentials for these hosts."""
    credentials = Credentials(GOOD.username, GOOD.password)
    return RegistryClient(credentials=dict.fromkeys(hosts, credentials), **options)


async def tags(server: ScriptedServer | RawServer, **options: Any) -> list[str]:
    async with client_of(server.host, **options) as client:
        return await client.registry(server.url).catalog.tags("app")


def bearer(realm: str, **more: str) -> dict[str, str]:
    extra = "".join(f',{name}="{value}"' for name, value in more.items())
    return {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"{extra}'}


def authorizations(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests]


# Redirects


async def test_a_redirect_to_the_registry_itself_keeps_the_authorization() -> None:
    async with ScriptedServer(
        Exchange("GET", "/elsewhere", TAGS_ANSWER, SIGNED_IN),
        Exchange("GET", TAGS, Reply(307, {"Location": "/elsewhere"}), SIGNED_IN),
        Exchange("GET", TAGS, Reply(401, BASIC)),
    ) as registry:
        assert await tags(registry) == ["1"]


async def test_a_redirect_away_and_back_again_brings_no_authorization() -> None:
    async with ScriptedServer() as registry, ScriptedServer() as other:
        other.expect(Exchange("GET", "/there", Reply(302, {"Location": f"{registry.url}/back"})))
        registry.expect(
            Exchange("GET", TAGS, Reply(302, {"Location": f"{other.url}/there"}), SIGNED_IN),
            Exchange("GET", TAGS, Reply(401, BASIC)),
            Exchange("GET", "/back", TAGS_ANSWER),
        )
        assert await tags(registry) == ["1"]
        assert authorizations(other) == [None]
        assert authorizations(registry) == [None, GOOD.basic, None]


async def test_a_redirect_away_from_tls_brings_no_authorization(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    async with (
        ScriptedServer(Exchange("GET", "/stored", TAGS_ANSWER)) as storage,
        ScriptedServer(tls=authority.server().context()) as registry,
    ):
        registry.expect(
            Exchange("GET", TAGS, Reply(302, {"Location": f"{storage.url}/stored"}), SIGNED_IN),
            Exchange("GET", TAGS, Reply(401, BASIC)),
        )
        authority.trust(tmp_path / "certs.d", registry.host)
        assert await tags(registry, certs_dir=tmp_path / "certs.d") == ["1"]
        assert authorizations(storage) == [None]


async def test_a_host_that_a_redirect_leads_to_may_not_ask_who_we_are() -> None:
    async with ScriptedServer() as registry, ScriptedServer() as other:
        asks = Reply(401, {"WWW-Authenticate": f'Bearer realm="{other.url}/token"'})
        other.expect(Exchange("GET", "/there", asks))
        away = Reply(307, {"Location": f"{other.url}/there"})
        registry.expect(Exchange("GET", TAGS, away))
        with pytest.raises(UnauthorizedError, match=f"{registry.host}: tags of app.*401"):
            await tags(registry)


async def test_endless_redirects_end() -> None:
    step = Exchange("GET", TAGS, Reply(307, {"Location": TAGS}))
    async with ScriptedServer(*[step] * 6) as registry:
        with pytest.raises(ProtocolError, match=f"{registry.host} redirects more than 5 times"):
            await tags(registry)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", "a link-local address"),
        ("file:///etc/passwd", r"not an http\(s\) URL"),
        ("http://[", r"not an http\(s\) URL"),
    ],
)
async def test_a_redirect_to_where_a_registry_has_no_business(location: str, reason: str) -> None:
    redirect = Exchange("GET", TAGS, Reply(307, {"Location": location}))
    async with ScriptedServer(redirect) as registry:
        with pytest.raises(ProtocolError, match=f"{registry.host}.*{reason}"):
            await tags(registry)


@pytest.mark.parametrize("status", [307, 308])
async def test_an_upload_is_redirected_without_authorization(status: int) -> None:
    started = Reply(202, {"Location": "/upload?sig=1"})
    async with ScriptedServer(
        Exchange("POST", "/elsewhere", started),
        Exchange("PATCH", "/upload?sig=1", Reply(202), check=lambda body: _is(body, b"chunk")),
        Exchange("PUT", f"/upload?sig=1&digest={DIGEST}", Reply(201)),
    ) as storage:
        away = Reply(status, {"Location": f"{storage.url}/elsewhere"})
        async with (
            ScriptedServer(Exchange("POST", UPLOAD, away)) as server,
            client_of(server.host, storage.host) as client,
        ):
            registry = client.registry(server.url)
            session = await registry.uploads.start("app")
            await registry.uploads.chunk(session, b"chunk")
            await registry.uploads.finish(session, DIGEST)
        assert authorizations(storage) == [None, None, None]


async def test_bytes_and_manifests_are_sent_again_where_a_redirect_leads() -> None:
    manifest = "/v2/app/manifests/1"
    async with (
        ScriptedServer(
            Exchange(
                "PUT", f"/upload?digest={DIGEST}", Reply(307, {"Location": "/node-2"}), SIGNED_IN
            ),
            Exchange("PUT", "/node-2", Reply(201), SIGNED_IN, check=lambda body: _is(body, BLOB)),
            Exchange("PUT", manifest, Reply(308, {"Location": "/node-3"}), SIGNED_IN),
            Exchange("PUT", "/node-3", Reply(201), SIGNED_IN, check=lambda body: _is(body, b"{}")),
            Exchange("GET", TAGS, Reply(401, BASIC)),
            Exchange("GET", TAGS, TAGS_ANSWER, SIGNED_IN),
        ) as server,
        client_of(server.host) as client,
    ):
        registry = client.registry(server.url)
        await registry.catalog.tags("app")
        session = UploadSession("app", URL(f"{server.url}/upload"))
        await registry.uploads.finish(session, DIGEST, BLOB)
        await registry.manifests.put("app", "1", b"{}", "application/json", DIGEST)


async def test_a_stream_that_is_wanted_elsewhere_is_sent_in_chunks() -> None:
    async def blocks() -> AsyncIterator[memoryview]:
        yield memoryview(b"block")

    redirect = Exchange("PATCH", "/upload", Reply(307, {"Location": "/node-2"}))
    async with ScriptedServer(redirect) as server, client_of() as client:
        session = UploadSession("app", URL(f"{server.url}/upload"))
        with pytest.raises(UploadUnknownError, match=r"307.*trying in chunks"):
            await client.registry(server.url).uploads.stream(session, blocks())


async def test_an_answer_before_the_body_was_read_is_no_success() -> None:
    async def blocks() -> AsyncIterator[memoryview]:
        for _ in range(64):
            yield memoryview(bytes(1 << 20))

    async def accept() -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 202 Accepted\r\nLocation: /u\r\nContent-Length: 0\r\n\r\n"
        await asyncio.Event().wait()

    async with RawServer(accept) as server, client_of() as client:
        session = UploadSession("app", URL(f"{server.url}/upload"))
        with pytest.raises(ProtocolError, match="answered 202 before it had read"):
            await client.registry(server.url).uploads.stream(session, blocks())


async def test_a_token_server_that_is_away_is_named_once() -> None:
    away = f"127.0.0.1:{free_port()}"
    unauthorized = Reply(401, bearer(f"http://{away}/token"))
    async with ScriptedServer(Exchange("GET", TAGS, unauthorized)) as server:
        with pytest.raises(RegistryUnavailableError) as caught:
            await tags(server)
    told = f"its token server http://{away} cannot be reached: Connection refused"
    assert str(caught.value) == f"{server.host}: {told}"


async def test_an_upload_is_not_redirected_where_a_registry_has_no_business() -> None:
    redirect = Exchange("POST", UPLOAD, Reply(307, {"Location": "http://169.254.169.254/"}))
    async with ScriptedServer(redirect) as server, client_of() as client:
        with pytest.raises(ProtocolError, match="a link-local address"):
            await client.registry(server.url).uploads.start("app")


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/upload?sig=a%2Fb%20c#part", "/upload?sig=a%2Fb%20c"),
        ("/up load?sig=1 2", "/up%20load?sig=1%202"),
        ("/아?sig=ü", "/%EC%95%84?sig=%C3%BC"),
        ("/upload?sig=1+2~'()*!;,$&x=[1]", "/upload?sig=1+2~'()*!;,$&x=[1]"),
    ],
)
async def test_a_location_that_is_no_url_in_full_is_made_one(location: str, asked: str) -> None:
    lines = ("HTTP/1.1 202 Accepted", f"Location: {location}", "Content-Length: 0")
    head = "\r\n".join([*lines, "Connection: close", "", ""])

    async def accept() -> AsyncIterator[bytes]:
        yield head.encode()

    async with RawServer(accept) as server, client_of() as client:
        registry = client.registry(server.url)
        await registry.uploads.finish(await registry.uploads.start("app"), DIGEST)
    separator = "&" if "?" in asked else "?"
    assert server.requests[1].startswith(f"PUT {asked}{separator}digest={DIGEST} HTTP/1.1\r\n")


def _is(body: bytes, expected: bytes) -> None:
    assert body == expected


# Uploads elsewhere


async def test_an_upload_elsewhere_gets_no_authorization() -> None:
    async with ScriptedServer(Exchange("DELETE", "/upload?sig=1", Reply(204))) as storage:
        location = Reply(202, {"Location": f"{storage.url}/upload?sig=1"})
        async with (
            ScriptedServer(
                Exchange("POST", UPLOAD, location, SIGNED_IN),
                Exchange("POST", UPLOAD, Reply(401, BASIC)),
            ) as registry,
            client_of(registry.host, storage.host) as client,
        ):
            session = await client.registry(registry.url).uploads.start("app")
            await client.registry(registry.url).uploads.abandon(session)
        assert authorizations(storage) == [None]


async def test_an_upload_goes_nowhere_a_registry_has_no_business() -> None:
    location = Reply(202, {"Location": "http://169.254.169.254/upload"})
    async with ScriptedServer(Exchange("POST", UPLOAD, location)) as server, client_of() as client:
        registry: Registry = client.registry(server.url)
        session: UploadSession = await registry.uploads.start("app")
        with pytest.raises(ProtocolError, match="a link-local address"):
            await registry.uploads.finish(session, "sha256:" + "0" * 64, b"x")


# Token servers


async def test_credentials_go_to_no_realm_without_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    async with (
        ScriptedServer() as realm,
        ScriptedServer(tls=authority.server().context()) as registry,
    ):
        registry.expect(Exchange("GET", TAGS, Reply(401, bearer(f"{realm.url}/token"))))
        authority.trust(tmp_path / "certs.d", registry.host)
        with pytest.raises(ProtocolError, match=f"{registry.host}.*{realm.host} does not use TLS"):
            await tags(registry, certs_dir=tmp_path / "certs.d")
        assert realm.requests == []


async def test_a_token_server_s_redirect_takes_no_credentials_along() -> None:
    async with ScriptedServer() as other, ScriptedServer() as registry:
        asked = "/token?scope=repository:app:pull&service=s"
        registry.expect(
            Exchange("GET", TAGS, Reply(401, bearer(f"{registry.url}/token"))),
            Exchange("GET", asked, Reply(307, {"Location": f"{other.url}/token"}), SIGNED_IN),
        )
        other.expect(Exchange("GET", "/token", Reply(401)))
        with pytest.raises(CredentialsError, match=registry.host):
            await tags(registry)
        assert authorizations(other) == [None]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"token": ""}',
        b'{"token": 5}',
        b'{"token": ["x"]}',
        b'{"token": "two words"}',
        b'{"token": "a\\r\\nX-Smuggled: b"}',
        b'{"token": "x", "expires_in": "soon"}',
        b'{"token": "x", "expires_in": NaN}',
        b'{"token": "x", "expires_in": Infinity}',
    ],
)
async def test_what_is_no_token(body: bytes) -> None:
    async with ScriptedServer() as registry:
        asked = "/token?scope=repository:app:pull&service=s"
        registry.expect(
            Exchange("GET", TAGS, Reply(401, bearer(f"{registry.url}/token"))),
            Exchange("GET", asked, Reply(200, body=body)),
        )
        with pytest.raises(CredentialsError, match=f"{registry.host}.*without a token"):
            await tags(registry)


@pytest.mark.parametrize(("error", "tokens"), [("insufficient_scope", 1), ("invalid_token", 3)])
async def test_a_registry_that_takes_no_token_is_asked_a_few_times(error: str, tokens: int) -> None:
    asked = "/token?scope=repository:app:pull&service=s"
    async with ScriptedServer() as registry:
        refusal = Reply(401, bearer(f"{registry.url}/token", error=error))
        fresh = [Reply(200, body=json.dumps({"token": f"t{n}"}).encode()) for n in range(tokens)]
        registry.expect(
            *[Exchange("GET", TAGS, refusal)] * (tokens + 1),
            *(Exchange("GET", asked, reply) for reply in fresh),
        )
        with pytest.raises(UnauthorizedError, match=registry.host):
            await tags(registry)


# Answers without end


async def endless_body() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


async def endless_header() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Long: "
    while True:
        yield b"x" * 0x1000


async def endless_headers() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-Many: x\r\n" * 100


async def nonsense() -> AsyncIterator[bytes]:
    yield b"220 mail.example.com ESMTP\r\n\r\n"


@pytest.mark.parametrize("answer", [endless_body, endless_header, endless_headers, nonsense])
async def test_a_giant_answer_is_an_error(answer: Answer) -> None:
    async with RawServer(answer) as server:
        with pytest.raises(ProtocolError, match=server.host):
            await tags(server)


async def dripping_headers() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Slow: "
    while True:
        yield b"x"
        await asyncio.sleep(DRIP_SECONDS)


async def dripping_body() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    while True:
        yield b"x"
        await asyncio.sleep(DRIP_SECONDS)


async def silence() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


@pytest.mark.parametrize("answer", [dripping_headers, dripping_body, silence])
async def test_an_answer_that_drips_is_not_waited_for(answer: Answer) -> None:
    async with RawServer(answer) as server:
        with pytest.raises(RegistryUnavailableError, match=f"{server.host} did not answer in time"):
            await tags(server, timeout=20 * DRIP_SECONDS)


@pytest.mark.parametrize("answer", [dripping_body, endless_body])
async def test_nor_is_a_token_server_s(answer: Answer) -> None:
    async with RawServer(answer) as realm:
        refusal = Reply(401, bearer(f"{realm.url}/token"))
        async with ScriptedServer(Exchange("GET", TAGS, refusal)) as registry:
            with pytest.raises(RegistryError, match=realm.host):
                # The registry itself has to answer in that time.
                await tags(registry, timeout=4)


# What a client must not send by itself


async def test_nothing_is_taken_from_netrc_or_kept_as_a_cookie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login alice password wonderland\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    answer = Reply(200, {"Set-Cookie": "session=1"}, b'{"tags": []}')
    async with ScriptedServer(*[Exchange("GET", TAGS, answer)] * 2) as server:
        # A host name, since no client keeps cookies of addresses.
        url = server.url.replace("127.0.0.1", "localhost")
        async with RegistryClient() as client:
            for _ in range(2):
                await client.registry(url).catalog.tags("app")
        for request in server.requests:
            assert not {"Authorization", "Cookie"} & request.headers.keys()
            assert request.headers["Accept-Encoding"] == "identity"
