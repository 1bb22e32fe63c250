"""What a registry may name: each rule by itself."""

import ipaddress
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from registry_api_v2_client.exceptions import ProtocolError
from registry_api_v2_client.http.named_hosts import Address, NamedHosts, Zone, resolve, zone_of

PUBLIC = URL("https://registry.example.com")
PRIVATE = URL("https://registry.corp:5000")
LINK_LOCAL = URL("https://[fe80::1]:5000")
LOOPBACK = URL("http://127.0.0.1:5000")
PLAIN = URL("http://registry.corp:5000")

NAMES = {
    "registry.example.com": ["93.184.215.14", "2606:2800:21f:cb07::1"],
    "auth.example.com": ["93.184.215.15"],
    "registry.corp": ["10.0.0.5"],
    "auth.corp": ["10.0.0.6"],
    "rebound.example.com": ["93.184.215.15", "10.0.0.6"],
    "two-faced.example.com": ["93.184.215.15", "10.0.0.5"],
    "metadata.example.com": ["169.254.169.254"],
    "localhost": ["127.0.0.1", "::1"],
}


def named_hosts(names: Mapping[str, list[str]] = NAMES, plain: tuple[str, ...] = ()) -> NamedHosts:
    async def find(url: URL) -> list[Address]:
        host = url.host or ""
        return [ipaddress.ip_address(text) for text in names.get(host, [host])]

    return NamedHosts(plain, find)


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("93.184.215.14", Zone.PUBLIC),
        ("2606:2800:21f:cb07::1", Zone.PUBLIC),
        ("10.1.2.3", Zone.PRIVATE),
        ("172.17.0.2", Zone.PRIVATE),
        ("192.168.1.1", Zone.PRIVATE),
        ("100.64.0.1", Zone.PRIVATE),
        ("fd00::1", Zone.PRIVATE),
        ("169.254.169.254", Zone.LINK_LOCAL),
        ("fe80::1", Zone.LINK_LOCAL),
        ("127.0.0.1", Zone.LOOPBACK),
        ("::1", Zone.LOOPBACK),
        ("0.0.0.0", Zone.LOOPBACK),
        ("::", Zone.LOOPBACK),
        ("::ffff:127.0.0.1", Zone.LOOPBACK),
        ("::ffff:169.254.169.254", Zone.LINK_LOCAL),
        ("::ffff:93.184.215.14", Zone.PUBLIC),
        ("::10.1.2.3", Zone.PRIVATE),
        ("64:ff9b::7f00:1", Zone.LOOPBACK),
        ("64:ff9b::5db8:d70e", Zone.PUBLIC),
        ("2002:a9fe:a9fe::1", Zone.LINK_LOCAL),
        ("224.0.0.1", Zone.PRIVATE),
        ("ff0e::1", Zone.PRIVATE),
    ],
)
def test_zones(address: str, zone: Zone) -> None:
    assert zone_of(ipaddress.ip_address(address)) is zone


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        (PUBLIC, "https://auth.example.com/token"),
        (PUBLIC, "http://auth.example.com/blob"),
        (PUBLIC, "https://registry.example.com:8443/token"),
        (PRIVATE, "https://auth.example.com/token"),
        (PRIVATE, "https://auth.corp/token"),
        (PRIVATE, "https://192.168.1.1/token"),
        (LOOPBACK, "https://auth.example.com/token"),
        (LOOPBACK, "https://auth.corp/token"),
        (LOOPBACK, "http://localhost:5001/token"),
        (LINK_LOCAL, "https://169.254.169.254/token"),
    ],
)
async def test_what_may_be_named(registry: URL, url: str) -> None:
    await named_hosts().check(registry, URL(url))


@pytest.mark.parametrize(
    ("registry", "url", "reason"),
    [
        (PUBLIC, "https://auth.corp/token", "auth.corp, a private address"),
        (PUBLIC, "https://10.0.0.6:8443/token", "10.0.0.6:8443, a private address"),
        (PUBLIC, "https://rebound.example.com/", "a private address"),
        (PUBLIC, "https://127.0.0.1/token", "a loopback address"),
        (PUBLIC, "https://[::ffff:127.0.0.1]/token", "a loopback address"),
        (PUBLIC, "https://localhost:5000/token", "a loopback address"),
        (PUBLIC, "https://metadata.example.com/", "a link-local address"),
        (URL("https://two-faced.example.com"), "https://auth.corp/", "a private address"),
        (PRIVATE, "https://localhost/token", "a loopback address"),
        (PRIVATE, "http://169.254.169.254/latest", "a link-local address"),
        (LOOPBACK, "http://169.254.169.254/latest", "a link-local address"),
        (PUBLIC, "ftp://auth.example.com/token", "not an http"),
        (PUBLIC, "file:///etc/passwd", "not an http"),
        (PUBLIC, "https:///token", "not an http"),
    ],
)
async def test_what_may_not_be_named(registry: URL, url: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match=f"{registry.host}.*{reason}"):
        await named_hosts().check(registry, URL(url))


async def test_a_registry_that_has_no_address_here_may_name_public_ones_only() -> None:
    behind_proxy = named_hosts({"registry.example.com": [], "auth.example.com": []})
    await behind_proxy.check(PUBLIC, URL("https://auth.example.com"))
    with pytest.raises(ProtocolError):
        await behind_proxy.check(PUBLIC, URL("https://10.0.0.6"))


async def test_an_upload_over_tls_stays_there() -> None:
    url = URL("http://registry.example.com/v2/app/blobs/uploads/1")
    await named_hosts().check(PUBLIC, url)
    with pytest.raises(ProtocolError, match="upload address without TLS"):
        await named_hosts().check(PUBLIC, url, sending=True)
    await named_hosts().check(PLAIN, URL("http://registry.corp:5000/upload"), sending=True)


@pytest.mark.parametrize(
    ("registry", "realm"),
    [
        (PUBLIC, "https://auth.example.com/token"),
        (PLAIN, "https://auth.example.com/token"),
        (PLAIN, "http://registry.corp:5001/token"),
        (PLAIN, "http://auth.corp/token"),
        (LOOPBACK, "http://127.0.0.1:5001/token"),
        (LOOPBACK, "http://localhost:5001/token"),
    ],
)
async def test_realms_that_get_credentials(registry: URL, realm: str) -> None:
    found = await named_hosts(plain=("auth.corp",)).realm(registry, realm)
    assert str(found) == realm


@pytest.mark.parametrize(
    ("registry", "realm", "reason"),
    [
        (PUBLIC, None, "names no token server"),
        (PUBLIC, "", "names no token server"),
        (PUBLIC, "/token", "names no token server"),
        (PUBLIC, "https://[/token", "names no token server"),
        (PUBLIC, "file:///token", "names no token server"),
        (PUBLIC, "http://registry.example.com/token", "does not use TLS"),
        (
            PUBLIC,
            "http://auth.corp/token",
            "TLS.*; have the registry name it by https",
        ),
        (PLAIN, "http://auth.example.com/token", "does not use TLS.*plain_http_hosts"),
        (LOOPBACK, "http://auth.example.com/token", "does not use TLS"),
        (PUBLIC, "https://auth.corp/token", "a private address"),
    ],
)
async def test_realms_that_get_none(registry: URL, realm: str | None, reason: str) -> None:
    with pytest.raises(ProtocolError, match=f"{registry.host}.*{reason}"):
        await named_hosts(plain=("auth.corp",)).realm(registry, realm)


async def test_a_realm_s_own_user_is_dropped() -> None:
    realm = await named_hosts().realm(PUBLIC, "https://eve:trap@auth.example.com/token?a=b")
    assert str(realm) == "https://auth.example.com/token?a=b"


@given(st.text(max_size=60))
async def test_any_realm_is_one_or_an_error(text: str) -> None:
    async def unknown(_: URL) -> list[Address]:
        return []

    try:
        realm = await NamedHosts((), unknown).realm(PUBLIC, f"https://{text}")
    except ProtocolError:
        return
    assert (realm.scheme, realm.user, realm.password) == ("https", None, None)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "localhost"])
async def test_other_spellings_of_loopback_resolve_to_it(host: str) -> None:
    assert {zone_of(address) for address in await resolve(URL(f"http://{host}"))} == {Zone.LOOPBACK}


async def test_what_does_not_resolve_has_no_address() -> None:
    assert await resolve(URL("http://no-such-host.invalid")) == []
