"""What docker and Podman write down at a login."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.auth.credentials import Credentials, SecretKind
from registry_api_v2_client.auth.login_files import (
    LoginFile,
    Logins,
    docker_config_paths,
    login_files,
    podman_auth_paths,
)
from registry_api_v2_client.exceptions import CredentialsError

ALICE = Credentials("alice", "wonderland")
BOB = Credentials("bob", "builder")


def entry(who: Credentials) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{who.username}:{who.password}".encode()).decode()}


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def read(path: Path, document: object) -> Logins:
    return LoginFile(write(path / "config.json", document)).read()


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("registry.example.com", "registry.example.com"),
        ("Registry.Example.com", "registry.example.com"),
        ("registry.example.com:443", "registry.example.com"),
        ("localhost:5000", "localhost:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("https://registry.example.com", "registry.example.com"),
        ("https://registry.example.com/v2/", "registry.example.com"),
        ("registry.example.com/v1/", "registry.example.com"),
        ("http://localhost:5000/", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("registry.example.com/team", "registry.example.com/team"),
        ("docker.io/library/app", "docker.io/library/app"),
    ],
)
def test_keys_are_hosts_or_parts_of_one(key: str, host: str, tmp_path: Path) -> None:
    assert read(tmp_path, {"auths": {key: entry(ALICE)}}).secrets == {host: ALICE}


def test_a_password_may_stand_in_the_open(tmp_path: Path) -> None:
    document = {"auths": {"host:1": {"username": "alice", "password": "wonderland"}}}
    assert read(tmp_path, document).secrets == {"host:1": ALICE}


def test_tokens_come_before_passwords(tmp_path: Path) -> None:
    document = {
        "auths": {
            "identity:1": {**entry(Credentials("alice", "")), "identitytoken": "refresh-me"},
            "registry:1": {**entry(ALICE), "registrytoken": "let-me-in"},
        }
    }
    assert read(tmp_path, document).secrets == {
        "identity:1": Credentials("alice", "refresh-me", SecretKind.IDENTITY_TOKEN),
        "registry:1": Credentials("alice", "let-me-in", SecretKind.REGISTRY_TOKEN),
    }


def test_helpers_are_named_by_registry_and_for_all(tmp_path: Path) -> None:
    document = {"credHelpers": {"https://index.docker.io/v1/": "hub"}, "credsStore": "pass"}
    logins = read(tmp_path, document)
    assert (logins.helpers, logins.store) == ({"docker.io": "hub"}, "pass")


def test_padding_is_no_part_of_the_password(tmp_path: Path) -> None:
    padded = Credentials(ALICE.username, f"{ALICE.password}\0\0")
    assert read(tmp_path, {"auths": {"host:1": entry(padded)}}).secrets == {"host:1": ALICE}


@given(
    username=st.text(st.characters(codec="utf-8", exclude_characters=":"), min_size=1),
    password=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_what_docker_wrote_reads_back(
    username: str, password: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # docker pads the password with NUL bytes; they are no part of it.
    who = Credentials(username, password.rstrip("\0"))
    document = {"auths": {"host:1": entry(who)}}
    assert read(tmp_path_factory.getbasetemp(), document).secrets == {"host:1": who}


@pytest.mark.parametrize(
    "document", [{}, {"auths": {}}, {"auths": None}, {"auths": {"host:1": {}}}, {"credsStore": ""}]
)
def test_a_file_without_logins_is_empty(document: object, tmp_path: Path) -> None:
    # Docker leaves empty entries behind for hosts whose secret a credential helper keeps.
    assert read(tmp_path, document) == Logins()


def test_no_file_is_no_login(tmp_path: Path) -> None:
    assert LoginFile(tmp_path / "none" / "config.json").read() == Logins()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    file = LoginFile(path)
    assert file.read() == Logins()
    write(path, {"auths": {"host:1": entry(ALICE)}})
    assert file.read().secrets == {"host:1": ALICE}
    # As docker does it: a new file takes the old one's place.
    write(tmp_path / "new", {"auths": {"host:1": entry(BOB)}}).replace(path)
    assert file.read().secrets == {"host:1": BOB}
    path.unlink()
    assert file.read() == Logins()


def test_a_file_that_stays_the_same_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LoginFile(write(tmp_path / "config.json", {"auths": {"host:1": entry(ALICE)}}))
    first = file.read()
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read again"))
    assert file.read() is first


@pytest.mark.parametrize(
    "content",
    [
        b"{not json",
        b"[]",
        b"[" * 100_000,
        b'{"auths": [1]}',
        b'{"auths": {"h": "x"}}',
        b'{"auths": {"h": {"auth": "%%%"}}}',
        b'{"auths": {"h": {"auth": 5}}}',
        b'{"auths": {"h": {"auth": "/w=="}}}',
        b'{"auths": {"h": {"identitytoken": 5}}}',
        b'{"auths": {"h": {"username": "%%%", "password": 5}}}',
        b'{"credHelpers": {"h": "../%%%"}}',
        b'{"credsStore": 5}',
        b"\xff\xfe",
    ],
)
def test_a_spoilt_file_is_named_without_its_content(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CredentialsError, match=str(path)) as caught:
        LoginFile(path).read()
    assert "%%%" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=rf"{tmp_path} cannot be read: Is a directory"):
        LoginFile(tmp_path).read()


def test_where_docker_keeps_its_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert docker_config_paths() == [tmp_path / "config.json"]
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert docker_config_paths() == [tmp_path / ".docker" / "config.json"]


def test_where_podman_keeps_its_logins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    of_user = tmp_path / ".config/containers/auth.json"
    assert podman_auth_paths() == [of_user]
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert podman_auth_paths() == [tmp_path / "run/containers/auth.json", of_user]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "etc"))
    assert podman_auth_paths()[1] == tmp_path / "etc/containers/auth.json"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "mine.json"))
    assert podman_auth_paths() == [tmp_path / "mine.json"]


def test_a_user_without_a_home_has_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a number that ``docker run --user`` is given."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert login_files() == []
