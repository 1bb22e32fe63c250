"""Which proxy a request goes through."""

import pytest
from yarl import URL

from registry_api_v2_client.exceptions import ValidationError
from registry_api_v2_client.http.proxy import Proxies

PROXY = "http://proxy.corp:3128"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def proxy_of(url: str) -> str | None:
    found = Proxies().find(URL(url))
    return str(found) if found else None


def test_without_a_proxy_it_is_direct() -> None:
    assert proxy_of("https://registry.example.com") is None


def test_each_scheme_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert proxy_of("https://registry.example.com/v2/") == PROXY
    assert proxy_of("http://registry.example.com/v2/") is None
    monkeypatch.setenv("http_proxy", "plain.corp:80")
    assert proxy_of("http://registry.example.com/v2/") == "http://plain.corp"


def test_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    assert proxy_of("http://registry.example.com") == PROXY
    assert proxy_of("https://registry.example.com") == PROXY


@pytest.mark.parametrize(
    "url",
    ["http://localhost:5000", "https://127.0.0.1:5000", "https://[::1]:5000", "http://a.localhost"],
)
def test_loopback_is_direct(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    assert proxy_of(url) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", "https://registry.example.com", True),
        ("registry.example.com", "https://registry.example.com", True),
        ("registry.example.com", "https://registry.example.com:5000", True),
        ("example.com", "https://registry.example.com", True),
        (".example.com", "https://registry.example.com", True),
        ("*.example.com", "https://registry.example.com", True),
        ("Example.COM", "https://registry.example.com", True),
        (" a , registry.example.com ", "https://registry.example.com", True),
        ("ample.com", "https://registry.example.com", False),
        ("", "https://registry.example.com", False),
        (",", "https://registry.example.com", False),
        ("registry.example.com:5000", "https://registry.example.com:5000", True),
        ("registry.example.com:5000", "https://registry.example.com:5001", False),
        ("registry.example.com:443", "https://registry.example.com", True),
        ("10.0.0.0/8", "https://10.1.2.3:5000", True),
        ("10.0.0.0/8", "https://11.1.2.3:5000", False),
        ("10.1.2.3", "https://10.1.2.3:5000", True),
        ("fd00::/8", "https://[fd00::1]:5000", True),
        ("fd00::1", "https://[fd00::1]:5000", True),
        ("[fd00::1]:5000", "https://[fd00::1]:5000", True),
        ("fd00::/8", "https://registry.example.com", False),
    ],
)
def test_no_proxy(no_proxy: str, url: str, direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_of(url) is None) == direct


@pytest.mark.parametrize(
    "text", ["socks5://me:secret@proxy:1080", "http://", "http://me:secret@[", "http://x:secret"]
)
def test_what_is_no_proxy_is_named_without_its_password(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", text)
    with pytest.raises(ValidationError, match="HTTPS_PROXY") as caught:
        Proxies()
    assert "secret" not in str(caught.value)
