"""Connecting to servers of tars: several addresses, and an end at any time."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from registry_api_v2_client.remote import dialing
from registry_api_v2_client.remote.dialing import Address, Dialing
from tests.support.black_hole import BlackHole
from tests.support.processes import free_port

TCP = (socket.SOCK_STREAM, socket.IPPROTO_TCP)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no test passes because time is over."""
    monkeypatch.setattr(dialing, "_SECONDS", 3600.0)
    monkeypatch.setattr(dialing, "_HEAD_START", 0.01)


@pytest.fixture
def black_hole() -> Iterator[Address]:
    with BlackHole() as hole:
        yield at(hole.port)


@pytest.fixture
def start() -> Iterator[Callable[..., Future[Any]]]:
    """Start a function on another thread."""
    with ThreadPoolExecutor() as threads:
        yield threads.submit


def at(port: int, host: str = "127.0.0.1") -> Address:
    return Address(socket.AF_INET, *TCP, (host, port))


def refusing() -> Address:
    return at(free_port())


def test_an_address_that_says_nothing_holds_up_no_other(black_hole: Address) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Dialing() as search:
        good = at(server.getsockname()[1])
        with search.connect([black_hole, black_hole, refusing(), good]) as found:
            assert found.getpeername() == good.place
            assert found.gettimeout() is None


def test_one_that_refuses_gives_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialing, "_HEAD_START", 3600.0)
    with socket.create_server(("127.0.0.1", 0)) as server, Dialing() as search:
        good = at(server.getsockname()[1])
        with search.connect([refusing(), good]) as found:
            assert found.getpeername() == good.place


def test_what_all_refuse_is_refused() -> None:
    with Dialing() as search, pytest.raises(ConnectionRefusedError):
        search.connect([refusing(), refusing()])


def test_no_address_is_none() -> None:
    with Dialing() as search, pytest.raises(OSError, match="assign requested address"):
        search.connect([])


def test_all_addresses_together_have_one_limit(
    black_hole: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "_SECONDS", 0.05)
    with Dialing() as search, pytest.raises(TimeoutError):
        search.connect([black_hole] * 8)


def test_connecting_can_be_interrupted(
    black_hole: Address, start: Callable[..., Future[Any]]
) -> None:
    with Dialing() as search:
        connecting = start(search.connect, [black_hole])
        search.interrupt()
        with pytest.raises(ConnectionAbortedError):
            connecting.result()


def test_a_look_up_can_be_interrupted(
    start: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def silent(*_: object, **__: object) -> list[object]:
        asked.set()
        answered.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with Dialing() as search:
        looking_up = start(search.look_up, "artifacts.example.com", 443)
        asked.wait()
        search.interrupt()
        with pytest.raises(ConnectionAbortedError):
            looking_up.result()
    answered.set()


def test_a_look_up_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(dialing, "_SECONDS", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait())
    with Dialing() as search, pytest.raises(TimeoutError):
        search.look_up("artifacts.example.com", 443)
    answered.set()


def test_the_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        *((socket.AF_INET6, *TCP, "", (f"2001:db8::{number}", 443, 0, 0)) for number in range(9)),
        (socket.AF_INET, *TCP, "", ("192.0.2.1", 443)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with Dialing() as search:
        addresses = search.look_up("artifacts.example.com", 443)
    assert [one.place[0] for one in addresses][:3] == ["2001:db8::0", "192.0.2.1", "2001:db8::1"]
    assert len(addresses) == 8


def test_what_is_found_after_a_look_up_does_not_wake_the_next(black_hole: Address) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Dialing() as search:
        addresses = search.look_up("127.0.0.1", server.getsockname()[1])
        with search.connect([black_hole, *addresses]) as found:
            assert found.getpeername() == server.getsockname()
