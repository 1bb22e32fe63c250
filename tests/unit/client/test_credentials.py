"""Whose credentials go where."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.exceptions import CredentialsError
from registry_api_v2_client.http.credentials import (
    Credentials,
    CredentialStore,
    docker_config_path,
    read_docker_config,
)

ALICE = Credentials("alice", "wonderland")
BOB = Credentials("bob", "builder")


def entry(who: Credentials) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{who.username}:{who.password}".encode()).decode()}


def write_config(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("registry.example.com", "registry.example.com"),
        ("localhost:5000", "localhost:5000"),
        ("https://registry.example.com", "registry.example.com"),
        ("https://registry.example.com/v2/", "registry.example.com"),
        ("http://localhost:5000/", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "index.docker.io"),
    ],
)
def test_docker_s_keys_are_hosts(key: str, host: str, tmp_path: Path) -> None:
    path = write_config(tmp_path / "config.json", {"auths": {key: entry(ALICE)}})
    store = CredentialStore(docker_auths=read_docker_config(path))
    assert store.find(host) == ALICE
    assert store.find("other.example.com") is None


def test_another_port_is_another_registry() -> None:
    store = CredentialStore({"localhost:5000": ALICE})
    assert store.find("localhost:5001") is None
    assert store.find("localhost") is None


def test_given_credentials_come_first() -> None:
    store = CredentialStore({"localhost:5000": ALICE}, {"localhost:5000": BOB})
    assert store.find("localhost:5000") == ALICE


def test_padding_is_no_part_of_the_password(tmp_path: Path) -> None:
    padded = Credentials(ALICE.username, f"{ALICE.password}\0\0")
    path = write_config(tmp_path / "config.json", {"auths": {"host:1": entry(padded)}})
    assert read_docker_config(path) == {"host:1": ALICE}


@given(
    username=st.text(st.characters(codec="utf-8", exclude_characters=":")),
    password=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_what_docker_wrote_reads_back(
    username: str, password: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # docker pads the password with NUL bytes; they are no part of it.
    who = Credentials(username, password.rstrip("\0"))
    path = tmp_path_factory.getbasetemp() / "written-config.json"
    write_config(path, {"auths": {"host:1": entry(who)}})
    assert read_docker_config(path) == {"host:1": who}


@pytest.mark.parametrize("document", [{}, {"auths": {}}, {"auths": None}, {"credsStore": "x"}])
def test_a_config_without_auths_is_empty(document: object, tmp_path: Path) -> None:
    assert read_docker_config(write_config(tmp_path / "config.json", document)) == {}


def test_an_empty_entry_is_none(tmp_path: Path) -> None:
    # Docker leaves these behind for hosts whose secret a credential helper keeps.
    path = write_config(tmp_path / "config.json", {"auths": {"host:1": {}}})
    assert read_docker_config(path) == {}


def test_no_file_is_no_credentials(tmp_path: Path) -> None:
    assert read_docker_config(tmp_path / "none" / "config.json") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"{not json",
        b"[]",
        b'{"auths": [1]}',
        b'{"auths": {"h": "x"}}',
        b'{"auths": {"h": {"auth": "%%%"}}}',
        b'{"auths": {"h": {"auth": 5}}}',
        b'{"auths": {"h": {"auth": "/w=="}}}',
        b"\xff\xfe",
    ],
)
def test_a_spoilt_file_is_named_without_its_content(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CredentialsError, match=str(path)) as caught:
        read_docker_config(path)
    assert "%%%" not in str(caught.value)


def test_where_docker_keeps_its_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert docker_config_path() == tmp_path / "config.json"
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert docker_config_path() == tmp_path / ".docker" / "config.json"


def test_a_password_is_not_printed() -> None:
    assert ALICE.password not in repr(ALICE)
    assert ALICE.password not in repr(CredentialStore({"localhost:5000": ALICE}))
