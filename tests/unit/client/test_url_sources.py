"""Tars at URLs: read by ranges, gone on with after a cut, and never from where they may not be."""

import asyncio
import hashlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from registry_api_v2_client import (
    HttpSettings,
    ImageArchive,
    RegistryError,
    RetryPolicy,
    Source,
    SourceChangedError,
    SourceMissingError,
    SourceNotAllowedError,
    SourceUnavailableError,
    SourceUnreadableError,
    SpoolFolder,
    UrlSources,
)
from registry_api_v2_client.remote import dialing
from registry_api_v2_client.remote.dialing import Address, Dialing
from registry_api_v2_client.remote.places import Network, may_connect
from tests.support.big_images import BigArchive, write_big_archive
from tests.support.black_hole import BlackHole
from tests.support.certificates import Authority
from tests.support.connect_proxy import ConnectProxy
from tests.support.images import (
    containerd,
    docker_legacy,
    gzip_bytes,
    layer_tar,
    make_image,
    write_archive,
)
from tests.support.logins import Login
from tests.support.object_server import ObjectServer
from tests.support.tls_server import TlsServer

MIB = 1 << 20
AT_ONCE = RetryPolicy(attempts=3, base=0.0)


@dataclass
class Places:
    """Every URL may be read, at public addresses and in these networks."""

    allowed: Collection[str] = ("127.0.0.0/8",)
    refused: Collection[str] = ()
    asked: list[str] = field(default_factory=list)

    def networks(self, url: URL) -> Collection[Network]:
        self.asked.append(str(url))
        if url.path in self.refused:
            raise ValueError("is not for you")
        return [ipaddress.ip_network(network) for network in self.allowed]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> BigArchive:
    return write_big_archive(tmp_path_factory.mktemp("big") / "app.tar", [6 * MIB, 100, 3 * MIB])


@pytest.fixture
def places() -> Places:
    return Places()


@pytest.fixture
def settings(places: Places, tmp_path: Path) -> HttpSettings:
    (tmp_path / "certs").mkdir()
    return HttpSettings(places, timeout=600, certs_dir=tmp_path / "certs")


@pytest.fixture
def urls(settings: HttpSettings) -> Iterator[UrlSources]:
    urls = UrlSources(settings, retry=AT_ONCE)
    yield urls
    urls.close()


@pytest.fixture
def spool(tmp_path: Path) -> SpoolFolder:
    (tmp_path / "spool").mkdir()
    return SpoolFolder(tmp_path / "spool", largest=100 * MIB, keep_free=0)


@pytest.fixture
def spooling(settings: HttpSettings, spool: SpoolFolder) -> Iterator[UrlSources]:
    urls = UrlSources(settings, spool=spool, retry=AT_ONCE)
    yield urls
    urls.close()


def read_layers(source: Source) -> list[str]:
    """Digest of each layer of the first image, as its bytes are."""
    with ImageArchive(source) as archive:
        image = archive.images[0].images[0]
        digests = []
        for layer in image.layers:
            assert layer.member
            content = bytearray(layer.size)
            with image.tar.open(layer.member) as reader:
                assert reader.readinto(memoryview(content)) == layer.size
            digests.append(f"sha256:{hashlib.sha256(content).hexdigest()}")
    return digests


async def digests_at(urls: UrlSources, url: str) -> list[str]:
    with await urls.open(url) as source:
        return await asyncio.to_thread(read_layers, source)


async def test_a_layer_is_one_range_and_the_index_a_few(big: BigArchive, urls: UrlSources) -> None:
    async with ObjectServer(big.path) as server:
        with await urls.open(server.url_of_object) as source:
            archive = await asyncio.to_thread(ImageArchive, source)
            assert len(server.requests) <= 6
            assert server.sent < 2 * MIB
            archive.close()
            server.requests.clear()
            assert await asyncio.to_thread(read_layers, source) == big.diff_ids
    layers = [asked for asked in server.asked if asked and span(asked) > MIB]
    assert len(layers) == 2


def span(asked: str) -> int:
    first, last = asked.removeprefix("bytes=").split("-")
    return int(last) - int(first)


async def test_many_small_members_take_few_requests(tmp_path: Path, urls: UrlSources) -> None:
    layers = [layer_tar({f"file-{number}": bytes(30_000)}) for number in range(100)]
    archive = write_archive(tmp_path / "app.tar", docker_legacy, make_image(*layers))
    async with ObjectServer(archive.path) as server:
        with await urls.open(server.url_of_object) as source:
            (await asyncio.to_thread(ImageArchive, source)).close()
        assert len(server.requests) < 10
        assert server.sent < 2 * archive.path.stat().st_size


async def test_a_reader_that_was_interrupted_is_not_used_again(
    big: BigArchive, urls: UrlSources
) -> None:
    async with ObjectServer(big.path) as server:
        source = await urls.open(server.url_of_object)
        with source, await asyncio.to_thread(ImageArchive, source) as archive:
            image = archive.images[0].images[0]
            layer = image.layers[0].member
            assert layer
            with image.tar.open(layer) as reader:
                reader.interrupt()
            with image.tar.open(layer) as reader:
                assert await asyncio.to_thread(reader.readinto, memoryview(bytearray(9))) == 9


async def test_a_cut_goes_on_where_it_stopped(big: BigArchive, urls: UrlSources) -> None:
    async with ObjectServer(big.path) as server:
        server.cut(after=5 * MIB)
        server.cut(after=2 * MIB)
        assert await digests_at(urls, server.url_of_object) == big.diff_ids
        assert server.sent < big.path.stat().st_size + 2 * MIB
        resumed = [request for request in server.requests if "If-Match" in request.headers]
        assert resumed[-1].headers["If-Match"] == f'"{server.version}"'


async def test_cuts_without_progress_end_it(big: BigArchive, urls: UrlSources) -> None:
    async with ObjectServer(big.path) as server:
        with await urls.open(server.url_of_object) as source:
            for _ in range(20):  # to read the index, a few bytes of each answer are enough
                server.cut(after=1000)
            with pytest.raises(SourceUnavailableError, match="broke"):
                await asyncio.to_thread(read_layers, source)


@pytest.mark.parametrize("after", [130 << 10, 3 * MIB // 2])
async def test_cuts_with_progress_do_not(after: int, tmp_path: Path, urls: UrlSources) -> None:
    big = write_big_archive(tmp_path / "app.tar", [12 * MIB])
    async with ObjectServer(big.path) as server:
        for _ in range(2 * AT_ONCE.attempts):
            server.cut(after=after)
        assert await digests_at(urls, server.url_of_object) == big.diff_ids


@pytest.mark.parametrize("validators", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified")])
async def test_an_object_that_changes_is_refused(
    validators: tuple[str, ...], big: BigArchive, tmp_path: Path, urls: UrlSources
) -> None:
    other = write_big_archive(tmp_path / "other.tar", [7 * MIB, 3 * MIB], seed=9)
    async with ObjectServer(big.path) as server:
        server.validators = validators
        with await urls.open(server.url_of_object) as source:
            archive = await asyncio.to_thread(ImageArchive, source)
            server.replace(other.path)
            with pytest.raises(SourceChangedError, match=r"app\.tar was changed"):
                await asyncio.to_thread(read_layers, source)
            archive.close()


async def test_a_server_that_ignores_conditions_is_seen_through(
    big: BigArchive, tmp_path: Path, urls: UrlSources
) -> None:
    same_size = tmp_path / "other.tar"
    same_size.write_bytes(bytes(big.path.stat().st_size))
    async with ObjectServer(big.path) as server:
        server.heeds_conditions = False
        with await urls.open(server.url_of_object) as source:
            server.replace(same_size)
            with pytest.raises(SourceChangedError):
                await asyncio.to_thread(read_layers, source)


@pytest.mark.parametrize("compress", [gzip_bytes])
async def test_a_compressed_tar_is_read_as_a_local_one(
    compress: Callable[[bytes], bytes], tmp_path: Path, urls: UrlSources
) -> None:
    archive = write_archive(tmp_path / "app.tar", containerd, make_image(), compress=compress)
    with ImageArchive(archive.path) as local:
        expected = [layer.digest for layer in local.images[0].images[0].layers]
    async with ObjectServer(archive.path) as server:
        assert await digests_at(urls, server.url_of_object) == expected


@pytest.mark.parametrize(
    "spoil",
    [
        lambda server: setattr(server, "ranges", False),
        lambda server: setattr(server, "validators", ()),
        lambda server: setattr(server, "tell", lambda said: said.replace("1-1", "0-0")),
        lambda server: setattr(server, "tell", lambda said: said.replace("1-1", "1-2")),
        lambda server: setattr(server, "tell", lambda said: f"{said.partition('/')[0]}/*"),
        lambda server: setattr(server, "tell", lambda said: "items 1-1/9"),
    ],
    ids=["no-ranges", "no-version", "first-byte", "more", "no-size", "no-bytes"],
)
async def test_what_answers_no_ranges_is_copied_once(
    spoil: Callable[[ObjectServer], None],
    big: BigArchive,
    urls: UrlSources,
    spooling: UrlSources,
    spool: SpoolFolder,
) -> None:
    async with ObjectServer(big.path) as server:
        spoil(server)
        with pytest.raises(SourceUnreadableError, match="no spool"):
            await urls.open(server.url_of_object)
        server.requests.clear()
        with await spooling.open(f"{server.url_of_object}?sig=secret") as source:
            assert await asyncio.to_thread(read_layers, source) == big.diff_ids
            assert list(spool.folder.iterdir()) == []
            assert source.path == server.url_of_object
        assert len(server.requests) == 2


async def test_ranges_that_lie_later_end_it(big: BigArchive, urls: UrlSources) -> None:
    async with ObjectServer(big.path) as server:
        with await urls.open(server.url_of_object) as source:
            server.tell = lambda said: f"bytes 7-{said.partition('-')[2]}"
            with pytest.raises(SourceUnreadableError, match="other parts"):
                await asyncio.to_thread(read_layers, source)
            server.ranges = False
            with pytest.raises(SourceUnreadableError, match="no more"):
                await asyncio.to_thread(read_layers, source)


async def test_no_tar_is_as_large_as_a_server_may_claim(
    big: BigArchive, spooling: UrlSources
) -> None:
    async with ObjectServer(big.path) as server:
        server.tell = lambda _: "bytes 1-1/100000000000000000"
        with pytest.raises(SourceUnreadableError, match="claims 100000000000000000 bytes"):
            await spooling.open(server.url_of_object)


@pytest.mark.parametrize("known", [True, False])
async def test_a_body_without_end_is_bounded(
    known: bool, big: BigArchive, settings: HttpSettings, spool: SpoolFolder
) -> None:
    urls = UrlSources(settings, spool=replace(spool, largest=big.path.stat().st_size - 1))
    async with ObjectServer(big.path) as server:
        server.ranges, server.endless = False, not known
        with pytest.raises(SourceUnreadableError, match="does not fit"):
            await urls.open(server.url_of_object)
    urls.close()
    assert list(spool.folder.iterdir()) == []


async def test_a_full_disk_is_told(
    big: BigArchive, settings: HttpSettings, spool: SpoolFolder
) -> None:
    urls = UrlSources(settings, spool=replace(spool, keep_free=1 << 60))
    async with ObjectServer(big.path) as server:
        server.ranges = False
        with pytest.raises(SourceUnreadableError, match="does not fit"):
            await urls.open(server.url_of_object)
    urls.close()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_copy_that_breaks_off_is_no_copy(
    chunked: bool, big: BigArchive, spooling: UrlSources
) -> None:
    async with ObjectServer(big.path) as server:
        server.ranges, server.chunked = False, chunked
        server.cut(after=MIB)  # of the answer to the question for a range
        server.cut(after=MIB)
        with pytest.raises(SourceUnavailableError, match="broke"):
            await spooling.open(server.url_of_object)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "broken-off"])
async def test_without_a_length_only_tls_tells_an_end_from_a_cut(
    closed: bool, big: BigArchive, settings: HttpSettings, spooling: UrlSources, tmp_path: Path
) -> None:
    """Source: https://www.rfc-editor.org/rfc/rfc9112#section-9.8"""
    authority = Authority(tmp_path / "authority")
    content = await asyncio.to_thread(big.path.read_bytes)
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content
    with TlsServer(authority.server().context(), answer, closes=closed) as server:
        authority.trust(settings.certs_dir, server.host)
        if closed:
            assert await digests_at(spooling, f"{server.url}/app.tar") == big.diff_ids
            return
        with pytest.raises(SourceUnavailableError, match="broke"):
            await spooling.open(f"{server.url}/app.tar")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, SourceUnreadableError),
        (403, SourceUnreadableError),
        (404, SourceMissingError),
        (410, SourceMissingError),
        (400, SourceUnreadableError),
        (204, SourceUnreadableError),
        (416, SourceUnreadableError),
        (429, SourceUnavailableError),
        (500, SourceUnavailableError),
        (503, SourceUnavailableError),
    ],
)
async def test_every_refusal_has_its_error(
    status: int, error: type[RegistryError], big: BigArchive, urls: UrlSources
) -> None:
    async with ObjectServer(big.path) as server:
        server.answer = lambda _: web.Response(status=status, headers={"Retry-After": "7"})
        with pytest.raises(error) as caught:
            await urls.open(f"{server.url_of_object}?X-Amz-Signature=secret")
        assert type(caught.value) is error
        assert "secret" not in str(caught.value)
        assert server.url_of_object in str(caught.value)
        assert caught.value.retry_after == (7 if caught.value.retryable else None)


async def test_nobody_there_may_be_there_later(urls: UrlSources) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/app.tar?sig=secret"
        with pytest.raises(SourceUnavailableError) as caught:
            await urls.open(url)
    assert "secret" not in str(caught.value)


async def test_a_silent_server_is_given_up(big: BigArchive, settings: HttpSettings) -> None:
    urls = UrlSources(replace(settings, timeout=2), retry=RetryPolicy(attempts=1))
    async with ObjectServer(big.path) as server:
        stand = server.hold(after=MIB)
        with pytest.raises(SourceUnavailableError, match="in time"):
            await digests_at(urls, server.url_of_object)
        stand.released.set()
    urls.close()


async def test_closing_wakes_who_waits(big: BigArchive, urls: UrlSources) -> None:
    async with ObjectServer(big.path) as server:
        stand = server.hold(after=MIB)
        source = await urls.open(server.url_of_object)
        reading = asyncio.create_task(asyncio.to_thread(read_layers, source))
        await stand.reached.wait()
        source.close()
        with pytest.raises(SourceUnavailableError, match="no more"):
            await reading
        stand.released.set()


async def test_a_cancelled_copy_ends(big: BigArchive, spooling: UrlSources) -> None:
    async with ObjectServer(big.path) as server:
        server.ranges = False
        stand = server.hold(after=MIB)
        opening = asyncio.create_task(spooling.open(server.url_of_object))
        await stand.reached.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await asyncio.to_thread(spooling.close, wait=True)  # the thread has ended
        stand.released.set()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_opening_that_is_cancelled_ends(scheme: str, urls: UrlSources) -> None:
    """Whether the server says nothing to a request, or to a handshake of TLS."""
    came = asyncio.Event()
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        came.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        opening = asyncio.create_task(urls.open(f"{scheme}://127.0.0.1:{port}/app.tar"))
        await came.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await asyncio.to_thread(urls.close, wait=True)
        over.set()


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a connection is begun; nothing but an interruption ends that."""
    begun = threading.Event()
    connect = Dialing.connect

    def observed(self: Dialing, addresses: Sequence[Address]) -> socket.socket:
        begun.set()
        return connect(self, addresses)

    monkeypatch.setattr(dialing, "_SECONDS", 3600.0)
    monkeypatch.setattr(Dialing, "connect", observed)
    return begun


async def test_an_opening_that_is_cancelled_while_it_connects_ends(
    urls: UrlSources, connecting: threading.Event
) -> None:
    with BlackHole() as hole:
        opening = asyncio.create_task(urls.open(f"https://{hole.host}/app.tar"))
        await asyncio.to_thread(connecting.wait)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await asyncio.to_thread(urls.close, wait=True)


async def test_closing_wakes_who_connects(
    big: BigArchive,
    urls: UrlSources,
    connecting: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ObjectServer(big.path) as server:
        source = await urls.open(server.url_of_object)
        with BlackHole() as hole:
            connecting.clear()
            monkeypatch.setattr(socket, "getaddrinfo", resolving("127.0.0.1", hole.port))
            reading = asyncio.create_task(asyncio.to_thread(read_layers, source))
            await asyncio.to_thread(connecting.wait)
            source.close()
            with pytest.raises(SourceUnavailableError, match="no more"):
                await reading


async def test_of_several_addresses_those_that_are_allowed_are_connected_to(
    big: BigArchive, places: Places, urls: UrlSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ObjectServer(big.path) as server:
        places.allowed = ["127.0.0.1/32"]
        port = int(server.host.rpartition(":")[2])
        found = [
            *resolving("127.0.0.2", port)(),
            *resolving("10.1.2.3", port)(),
            *resolving("127.0.0.1", port)(),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        url = f"http://artifacts.example.com:{port}/app.tar"
        assert await digests_at(urls, url) == big.diff_ids


async def test_an_appearance_is_short_and_the_same_by_ranges_and_copied(
    big: BigArchive, urls: UrlSources, spooling: UrlSources
) -> None:
    async with ObjectServer(big.path) as server:
        server.version = "x" * 5000
        with await urls.open(server.url_of_object) as source:
            appearance = source.appearance
        server.ranges = False
        with await spooling.open(server.url_of_object) as copy:
            assert copy.appearance == appearance
        assert len(appearance) < 100
        server.version = "y" * 5000
        with await spooling.open(server.url_of_object) as other:
            assert other.appearance != appearance


async def test_what_the_server_does_not_tell_apart_its_bytes_do(
    spooling: UrlSources, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    first.write_bytes(b"1" * 10_240)
    second.write_bytes(b"2" * 10_240)
    async with ObjectServer(first) as server:
        server.validators = ()
        appearances = []
        for path in (first, first, second):
            server.replace(path)
            with await spooling.open(server.url_of_object) as copy:
                appearances.append(copy.appearance)
    assert appearances[0] == appearances[1] != appearances[2]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:169.254.169.254",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "::ffff:0:7f00:1",
        "fec0::1",
        "2002:a9fe:a9fe::1",
    ],
)
async def test_no_connection_to_what_is_not_public(
    address: str, places: Places, urls: UrlSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the name had another address a moment ago: only the one that is used counts."""
    places.allowed = ()
    monkeypatch.setattr(socket, "getaddrinfo", resolving(address))
    monkeypatch.setattr(socket.socket, "connect", unexpected)
    with pytest.raises(SourceNotAllowedError, match="no public address"):
        await urls.open("http://artifacts.example.com/app.tar")
    assert not may_connect(address, ())


def test_a_network_that_is_named_is_connected_to() -> None:
    network = ipaddress.ip_network("10.1.0.0/16")
    assert may_connect("10.1.2.3", [network])
    assert may_connect("::ffff:10.1.2.3", [network])
    assert not may_connect("10.2.2.3", [network])
    assert may_connect("8.8.8.8", ())


def resolving(address: str, port: int = 80) -> Callable[..., Any]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    rest: tuple[object, ...] = (port, 0, 0) if ":" in address else (port,)
    return lambda *_, **__: [(family, socket.SOCK_STREAM, 6, "", (address, *rest))]


def unexpected(*_: object) -> None:
    raise AssertionError("connected")


async def test_redirects_are_looked_at_one_by_one(
    big: BigArchive, places: Places, settings: HttpSettings
) -> None:
    async with ObjectServer(big.path) as storage, ObjectServer(big.path) as server:
        server.answer = lambda _: web.Response(
            status=307, headers={"Location": f"{storage.url}/stored?sig=secret"}
        )
        login = {str(URL(server.url).origin()): "Bearer token"}
        urls = UrlSources(replace(settings, authorizations=login), retry=AT_ONCE)
        assert await digests_at(urls, server.url_of_object) == big.diff_ids
        assert f"{storage.url}/stored?sig=secret" in places.asked
        assert all("Authorization" not in one.headers for one in storage.requests)
        assert all(one.headers["Authorization"] == "Bearer token" for one in server.requests)
        # Each range goes to where the first was found.
        assert len(server.requests) == 1
        places.refused = ["/stored"]
        with pytest.raises(SourceNotAllowedError, match=r"redirects to .*/stored: is not for you"):
            await urls.open(server.url_of_object)
    urls.close()


async def test_a_redirect_that_has_run_out_is_asked_for_anew(
    big: BigArchive, urls: UrlSources
) -> None:
    async with ObjectServer(big.path) as storage, ObjectServer(big.path) as server:
        keys = iter(range(100))
        server.answer = lambda _: web.Response(
            status=302, headers={"Location": f"{storage.url}/stored?key={next(keys)}"}
        )
        with await urls.open(server.url_of_object) as source:
            storage.answer = lambda request: (
                web.Response(status=403) if request.query["key"] == "0" else None
            )
            assert await asyncio.to_thread(read_layers, source) == big.diff_ids


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:1/", "http://[/"],
)
async def test_redirects_lead_to_http_only(
    location: str, big: BigArchive, urls: UrlSources
) -> None:
    async with ObjectServer(big.path) as server:
        server.answer = lambda _: web.Response(status=302, headers={"Location": location})
        with pytest.raises(SourceUnreadableError, match="no http"):
            await urls.open(server.url_of_object)


async def test_redirects_are_bounded(big: BigArchive, urls: UrlSources) -> None:
    async with ObjectServer(big.path) as server:
        server.answer = lambda request: web.Response(
            status=302, headers={"Location": f"{request.path}x"}
        )
        with pytest.raises(SourceUnreadableError, match="more than 5 redirects"):
            await urls.open(server.url_of_object)
        assert len(server.requests) == 6


async def test_a_certificate_has_to_be_trusted_and_https_stays_https(
    big: BigArchive, settings: HttpSettings, tmp_path: Path, urls: UrlSources
) -> None:
    authority = Authority(tmp_path / "authority")
    tls = authority.server().context()
    async with ObjectServer(big.path, tls=tls) as server:
        with pytest.raises(SourceUnreadableError, match="not trusted"):
            await urls.open(server.url_of_object)
        authority.trust(settings.certs_dir, server.host)
        assert await digests_at(urls, server.url_of_object) == big.diff_ids
        async with ObjectServer(big.path) as plain:
            server.answer = lambda _: web.Response(
                status=302, headers={"Location": plain.url_of_object}
            )
            with pytest.raises(SourceNotAllowedError, match="from https to http"):
                await urls.open(server.url_of_object)
            assert not plain.requests


async def test_a_proxy_finds_the_address_and_an_address_is_seen_here(
    big: BigArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "authority")
    login = Login("user", "pass")
    async with (
        ObjectServer(big.path, tls=authority.server().context()) as server,
        ConnectProxy({"registry.test": "127.0.0.1"}, login=login) as proxy,
    ):
        host = f"registry.test:{server.host.rpartition(':')[2]}"
        authority.trust(tmp_path, host)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        urls = UrlSources(HttpSettings(Places(()), certs_dir=tmp_path), retry=AT_ONCE)
        assert await digests_at(urls, f"https://{host}/app.tar") == big.diff_ids
        assert set(proxy.tunnels) == {host}
        proxy.tunnels.clear()
        with pytest.raises(SourceNotAllowedError, match="no public address"):
            await urls.open("https://169.254.169.254/latest/meta-data")
        assert not proxy.tunnels
        urls.close()


async def test_what_a_proxy_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ConnectProxy({}, login=Login("user", "pass")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        urls = UrlSources(HttpSettings(Places()), retry=AT_ONCE)
        with pytest.raises(SourceUnavailableError, match=r"Tunnel .*: 407 Proxy"):
            await urls.open("https://artifacts.example.com/app.tar")
        urls.close()


@pytest.mark.parametrize("host", ["a..example.com", f"{'a' * 64}.example.com"])
async def test_a_host_that_cannot_be_looked_up_is_not_waited_for(
    host: str, urls: UrlSources
) -> None:
    with pytest.raises(SourceUnreadableError, match="cannot be looked up"):
        await urls.open(f"http://{host}/app.tar")


async def test_a_proxy_for_http_is_told_the_url(
    big: BigArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ObjectServer(big.path) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:pass@"))
        urls = UrlSources(HttpSettings(Places(())), retry=AT_ONCE)
        url = "http://artifacts.example.com/app.tar?sig=1"
        assert await digests_at(urls, url) == big.diff_ids
        assert {request.raw_path for request in proxy.requests} == {url}
        assert proxy.requests[0].headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"
        assert proxy.requests[0].headers["Host"] == "artifacts.example.com"
        urls.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\n" + b"X: 1\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"",
    ],
    ids=["no-http", "negative", "many-headers", "long-header", "nothing"],
)
async def test_nonsense_is_no_crash(answer: bytes, urls: UrlSources) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((SourceUnavailableError, SourceUnreadableError)):
            await urls.open(f"http://127.0.0.1:{port}/app.tar")
