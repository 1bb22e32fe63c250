"""Certificates in docker's layout."""

import ssl
from pathlib import Path

import pytest

from registry_api_v2_client.exceptions import TLSError, ValidationError
from registry_api_v2_client.http.tls import DOCKER_CERTS_DIR, TlsContexts, TlsSettings
from tests.support.certificates import Authority

HOST = "registry.example.com:5000"


def authorities(context: ssl.SSLContext | None) -> set[bytes]:
    return set(context.get_ca_certs(binary_form=True)) if context else set()


async def test_a_host_without_a_folder_has_the_system_s(certs_dir: Path) -> None:
    assert await TlsContexts(TlsSettings(certs_dir)).context(HOST, HOST) is None


async def test_an_authority_is_added_to_those_of_the_system(
    authority: Authority, certs_dir: Path
) -> None:
    authority.trust(certs_dir, HOST)
    context = await TlsContexts(TlsSettings(certs_dir)).context(HOST, HOST)
    own = ssl.PEM_cert_to_DER_cert(authority.certificate.read_text())
    assert context
    assert authorities(context) >= authorities(ssl.create_default_context()) | {own}
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


async def test_a_token_server_has_its_registry_s_unless_it_has_its_own(
    authority: Authority, certs_dir: Path
) -> None:
    authority.trust(certs_dir, HOST)
    contexts = TlsContexts(TlsSettings(certs_dir))
    of_registry = await contexts.context(HOST, HOST)
    assert await contexts.context("auth.example.com", HOST) is of_registry
    authority.trust(certs_dir, "own.example.com")
    assert await contexts.context("own.example.com", HOST) is not of_registry


async def test_only_a_host_that_is_named_goes_unchecked(certs_dir: Path) -> None:
    contexts = TlsContexts(TlsSettings(certs_dir, {HOST}))
    context = await contexts.context(HOST, HOST)
    assert context
    assert context.verify_mode is ssl.CERT_NONE
    assert await contexts.context("registry.example.com:5001", "registry.example.com:5001") is None
    assert await contexts.context("auth.example.com", HOST) is None


def test_what_says_something_of_a_host(authority: Authority, certs_dir: Path) -> None:
    authority.trust(certs_dir, HOST)
    settings = TlsSettings(certs_dir, {"insecure:1"})
    assert [settings.is_set_up(host) for host in (HOST, "insecure:1", "x")] == [True, True, False]


async def test_a_folder_that_cannot_be_used_is_named(authority: Authority, certs_dir: Path) -> None:
    folder = authority.trust(certs_dir, HOST)
    (folder / "ca.crt").write_text("no certificate")
    with pytest.raises(TLSError, match=rf"{HOST}: {folder}/ca\.crt is not a PEM certificate"):
        await TlsContexts(TlsSettings(certs_dir)).context(HOST, HOST)
    authority.identify(certs_dir, HOST)
    (folder / "client.key").unlink()
    with pytest.raises(TLSError, match=rf"{folder}/client\.cert has no key"):
        await TlsContexts(TlsSettings(certs_dir)).context(HOST, HOST)
    (folder / "client.key").write_text("no key")
    with pytest.raises(TLSError, match=rf"{folder}/client\.cert is not a PEM certificate"):
        await TlsContexts(TlsSettings(certs_dir)).context(HOST, HOST)


async def test_renewed_certificates_are_seen_within_a_minute(
    authority: Authority, certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    contexts = TlsContexts(TlsSettings(certs_dir))
    assert await contexts.context(HOST, HOST) is None
    authority.identify(certs_dir, HOST)
    assert await contexts.context(HOST, HOST) is None
    now += 61
    first = await contexts.context(HOST, HOST)
    assert first
    now += 61
    assert await contexts.context(HOST, HOST) is first, "or its connections would be lost"
    (certs_dir / HOST / "client.key").unlink()
    now += 61
    assert await contexts.context(HOST, HOST) is first, "half of a renewal is none"
    authority.identify(certs_dir, HOST)
    now += 61
    assert await contexts.context(HOST, HOST) not in (None, first)


def test_a_folder_that_somebody_chose_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=f"{tmp_path / 'none'}.*set CERTS_DIR"):
        TlsContexts(TlsSettings(tmp_path / "none", name_of=str.upper))
    TlsContexts(TlsSettings(DOCKER_CERTS_DIR))
