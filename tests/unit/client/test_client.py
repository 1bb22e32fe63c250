"""Which URL a registry is spoken to at, and how references become targets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from registry_api_v2_client import (
    InvalidReferenceError,
    LocalLimits,
    RegistryClient,
    TarStream,
    ValidationError,
    delete_image_by_digest,
    get_image_info,
    get_manifest,
    parse_reference,
)
from registry_api_v2_client.client import registry_url


@pytest.fixture
async def client() -> AsyncIterator[RegistryClient]:
    async with RegistryClient(plain_http_hosts=["Plain.example.com:5000"]) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://localhost"),
        ("localhost:5000", "http://localhost:5000"),
        ("registry.localhost:5000", "http://registry.localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.8.9.10", "http://127.8.9.10"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("[::1]", "http://[::1]"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
        ("registry.example.com", "https://registry.example.com"),
        ("localhost.example.com", "https://localhost.example.com"),
        ("localhosts:5000", "https://localhosts:5000"),
        ("127.0.0.1.example.com", "https://127.0.0.1.example.com"),
    ],
)
def test_only_loopback_is_plain_http(host: str, url: str) -> None:
    assert registry_url(host) == url


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_s_api_is_elsewhere(host: str) -> None:
    assert registry_url(host) == "https://registry-1.docker.io"


async def test_a_loopback_host_that_has_certificates_speaks_tls(tmp_path: Path) -> None:
    (tmp_path / "localhost:5000").mkdir()
    insecure = ["127.0.0.1:5000"]
    async with RegistryClient(certs_dir=str(tmp_path), insecure_hosts=insecure) as client:
        hosts = ("localhost:5000", "127.0.0.1:5000", "localhost:5001")
        schemes = [client.registry(host).url.scheme for host in hosts]
    assert schemes == ["https", "https", "http"]


async def test_configured_hosts_are_plain_http_port_and_all(client: RegistryClient) -> None:
    assert str(client.registry("plain.example.com:5000").url) == "http://plain.example.com:5000"
    assert str(client.registry("plain.example.com:5001").url) == "https://plain.example.com:5001"


@pytest.mark.parametrize("url", ["http://10.0.0.1:5000", "https://localhost:5000/"])
async def test_a_url_says_itself_whether_to_use_tls(client: RegistryClient, url: str) -> None:
    assert str(client.registry(url).url).rstrip("/") == url.rstrip("/")


async def test_a_registry_is_remembered(client: RegistryClient) -> None:
    one = client.registry("registry.example.com")
    assert client.registry("https://registry.example.com") is one
    assert client.registry("registry.example.com:5000") is not one


async def test_a_secret_in_a_url_is_not_shown(client: RegistryClient) -> None:
    registry = client.registry("http://user:secret@localhost:5000/")
    assert "secret" not in str(registry.url)
    for rest in ("localhost:99999", "localhost:5000/?a=1", "localhost:5000/#a", "["):
        with pytest.raises(ValidationError) as caught:
            client.registry(f"http://user:secret@{rest}")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "/", "/v2", "/v2/"])
async def test_the_address_of_the_api_is_the_registry(client: RegistryClient, path: str) -> None:
    assert client.registry(f"http://localhost:5000{path}") is client.registry("localhost:5000")


@pytest.mark.parametrize("rest", ["?token=1", "/#fragment", "/team?x"])
async def test_what_a_registry_s_url_cannot_have_is_refused(
    client: RegistryClient, rest: str
) -> None:
    with pytest.raises(ValidationError, match="neither query nor fragment"):
        client.registry(f"http://localhost:5000{rest}")


@pytest.mark.parametrize(
    "text", ["", "ftp://localhost", "http://", "http://[", "http://host:99999", "://x"]
)
async def test_what_is_no_registry_is_an_error_of_the_caller(
    client: RegistryClient, text: str
) -> None:
    with pytest.raises(ValidationError):
        client.registry(text)


async def test_tags_of_one_repository_are_one_target(client: RegistryClient) -> None:
    texts = ["localhost:1/a:1", "localhost:1/b:1", "localhost:1/a:2", "localhost:1/a:1"]
    targets = client.targets([parse_reference(text) for text in texts])
    assert [(t.registry.host, t.repository, t.tags) for t in targets] == [
        ("localhost:1", "a", ("1", "2")),
        ("localhost:1", "b", ("1",)),
    ]


async def test_an_image_is_not_pushed_to_a_digest(client: RegistryClient) -> None:
    with pytest.raises(ValidationError, match="not to a digest"):
        client.targets([parse_reference(f"localhost:1/a@sha256:{'0' * 64}")])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"compression": "lzma"}, "unknown compression 'lzma'; choose one of gzip, zstd, keep"),
        ({"image_uploads": 0}, "image_uploads must be more than 0, not 0"),
    ],
)
async def test_what_no_push_can_be_told_is_named(
    client: RegistryClient, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=f"^{said}$"):
        await client.push("none.tar", [parse_reference("localhost:1/app:1")], **arguments)


@pytest.mark.parametrize("name", ["timeout", "commit_timeout"])
@pytest.mark.parametrize("seconds", [0, -1.5, float("nan")])
async def test_a_time_out_that_is_none_is_named(name: str, seconds: float) -> None:
    options: dict[str, Any] = {name: seconds}
    with pytest.raises(ValidationError, match=f"^{name} must be more than 0, not {seconds}$"):
        RegistryClient(**options)


def test_limits_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ValidationError, match="max_uploads must be more than 0, not 0"):
        LocalLimits(0)
    with pytest.raises(ValidationError, match="ahead must be more than 0, not 0"):
        TarStream(0, ahead=0)


async def test_a_client_that_is_closed_says_so(client: RegistryClient) -> None:
    registry, reference = client.registry("localhost:1"), parse_reference("localhost:1/app:1")
    await client.close()
    for use in (
        registry.ping(),
        client.push("none.tar", [reference]),
        client.verify(reference, "none.tar"),
    ):
        with pytest.raises(ValidationError, match="the client is closed"):
            await use


@pytest.mark.parametrize("function", [get_manifest, get_image_info, delete_image_by_digest])
async def test_no_registry_is_asked_for_what_is_no_digest(
    function: Callable[..., Awaitable[object]],
) -> None:
    with pytest.raises(InvalidReferenceError, match="'sha256:zz' is not a digest"):
        await function("http://localhost:1", "app", "sha256:zz")
