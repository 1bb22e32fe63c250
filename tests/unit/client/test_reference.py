"""References by docker's rules."""

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry_api_v2_client.exceptions import InvalidReferenceError, RegistryError
from registry_api_v2_client.reference import (
    TAGGED_PATTERN,
    Reference,
    check_digest,
    check_repository,
    check_tag,
    check_tag_or_digest,
    named,
    parse_reference,
    parse_registry_host,
    parse_repository_tag,
    strip_registry,
)

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost/app:1", Reference("localhost", "app", "1")),
        ("localhost:5000/app", Reference("localhost:5000", "app", "latest")),
        ("127.0.0.1:5000/a/b/c:v1.0-x", Reference("127.0.0.1:5000", "a/b/c", "v1.0-x")),
        ("[::1]:5000/app:1", Reference("[::1]:5000", "app", "1")),
        ("registry.example.com/team/app:1", Reference("registry.example.com", "team/app", "1")),
        ("Registry.Example.com/app:1", Reference("registry.example.com", "app", "1")),
        ("team/app:1", Reference("docker.io", "team/app", "1")),
        ("docker.io/app:1", Reference("docker.io", "library/app", "1")),
        ("index.docker.io/app:1", Reference("docker.io", "library/app", "1")),
        ("Index.Docker.io/team/app:1", Reference("docker.io", "team/app", "1")),
        ("registry-1.docker.io/app:1", Reference("docker.io", "library/app", "1")),
        ("Registry-1.docker.io/team/app:1", Reference("docker.io", "team/app", "1")),
        (f"host:1/app@{DIGEST}", Reference("host:1", "app", "latest", DIGEST)),
        (f"host:1/app:1@{DIGEST}", Reference("host:1", "app", "1", DIGEST)),
        ("host:1/a__b/c---d/e.f_g:_x", Reference("host:1", "a__b/c---d/e.f_g", "_x")),
        ("host:1/app:" + "t" * 128, Reference("host:1", "app", "t" * 128)),
        ("host:1/" + "r" * 255, Reference("host:1", "r" * 255)),
    ],
)
def test_reads_every_part(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected
    assert bool(re.fullmatch(TAGGED_PATTERN, text)) is (expected.digest is None)


PIECES = st.sampled_from(["localhost", "a", "Z", "0", "_", "-", ".", ":", "/", "[", "]", ":5000"])


@given(st.lists(PIECES, max_size=8).map("".join))
@example("0.0_0/0")
@example("a_0/b")
@example("[::1]:65536/a")
@example("h:65535/a")
@example("h:65536/a")
def test_the_pattern_is_what_can_be_read(text: str) -> None:
    try:
        parse_reference(text)
    except InvalidReferenceError:
        assert not re.fullmatch(TAGGED_PATTERN, text)
    else:
        assert re.fullmatch(TAGGED_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("user:s3cret@host:1/app:1", "a login; write 'host:1/app:1'"),
        ("user:s3cret@s3cret@host:1/app:1", "a login; write 'host:1/app:1'"),
        ("user:s3cret@host", "cannot contain a login"),
        ("user:s3cret@", "cannot contain a login"),
    ],
)
def test_a_login_in_a_reference_is_not_repeated(text: str, advice: str) -> None:
    with pytest.raises(InvalidReferenceError, match=advice) as refusal:
        parse_reference(text)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "/",
        "/app:1",
        "app",
        "app:1",
        "host:port",
        "localhost:5000",
        "localhost:5000/",
        "localhost:5000/app:",
        "Foo/Bar:1",
        "localhost:5000/Foo/Bar:1",
        "localhost:5000/app:bad tag",
        "localhost:5000/app:-x",
        "localhost:5000/app:" + "t" * 129,
        "localhost:5000/" + "r" * 256,
        "localhost:5000/app//x:1",
        "localhost:5000/../x:1",
        "localhost:5000/app_:1",
        "localhost:5000/app\n:1",
        "localhost:5000/app:1\n",
        "localhost:99999/app:1",
        "http://localhost:5000/app:1",
        "host:1/app@sha256:abc",
        "host:1/app@md5:" + "a" * 32,
        "host:1/app@",
        "user@host:1/app",
    ],
)
def test_refuses_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference(text)
    assert "\n" not in str(caught.value), "one line, whatever was passed in"


@pytest.mark.parametrize("text", ["Foo/Bar:1", "localhost:5000/Foo:1"])
def test_the_message_names_the_wrong_part(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match=r"'(Foo/Bar|Foo)' is not a repository name"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("https://host:1/app:1", "leave out 'https://': 'host:1/app:1'"),
        ("https://me:secret@host/app:1", "leave out 'https://': 'host/app:1'"),
        ("app:1", "write HOST/app:1, or docker.io/library/app:1 for Docker Hub"),
        ("localhost:5000", "e.g. localhost:5000/app:1"),
        ("reg.example.com", "e.g. reg.example.com/app:1"),
        ("Bad Ref!", "e.g. localhost:5000/app:1"),
    ],
)
def test_the_advice_fits(text: str, advice: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference(text)
    assert advice in str(caught.value)
    assert "secret" not in str(caught.value)


component = st.from_regex(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+){0,2}", fullmatch=True)
repositories = (
    st.lists(component, min_size=1, max_size=4).map("/".join).filter(lambda name: len(name) <= 255)
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
hosts = st.sampled_from(["localhost", "registry.example.com", "10.0.0.1:5000", "[::1]:80"])


@given(hosts, repositories, tags)
def test_a_printed_reference_reads_back(host: str, repository: str, tag: str) -> None:
    reference = Reference(host, repository, tag)
    assert parse_reference(str(reference)) == reference


@given(st.text(alphabet=string.ascii_letters + string.digits + ":/@.-_[]\n ", max_size=40))
def test_any_text_is_a_reference_or_an_error_of_ours(text: str) -> None:
    try:
        reference = parse_reference(text)
    except RegistryError:
        return
    assert parse_reference(str(reference)).repository == reference.repository


@given(st.text())
def test_splitting_never_loses_the_name(text: str) -> None:
    name, tag = parse_repository_tag(text)
    assert text in {name, f"{name}:", f"{name}:{tag}"}


@pytest.mark.parametrize("tag", ["", " ", "-a", ".a", "a b", "a/b", "a:b", "é", "a" * 129, "a\n"])
def test_illegal_tags(tag: str) -> None:
    with pytest.raises(InvalidReferenceError):
        check_tag(tag)


@pytest.mark.parametrize("digest", ["", "latest", "sha256:", "sha256:zz", f"{DIGEST}0", "md5:00"])
def test_illegal_digests(digest: str) -> None:
    with pytest.raises(InvalidReferenceError, match="is not a digest; write sha256:"):
        check_digest(digest)


def test_a_manifest_is_named_by_tag_or_digest() -> None:
    assert named("team/app", "1") == "team/app:1"
    assert str(parse_reference(f"localhost/{named('app', DIGEST)}")) == f"localhost/app@{DIGEST}"
    assert check_tag_or_digest("latest") == "latest"
    assert check_tag_or_digest(DIGEST) == DIGEST
    with pytest.raises(InvalidReferenceError, match=r"^'a b' is not a tag; use "):
        check_tag_or_digest("a b")
    with pytest.raises(InvalidReferenceError, match=r"^'sha256:zz' is not a digest; write "):
        check_tag_or_digest("sha256:zz")


@pytest.mark.parametrize("name", ["", "A", "a/", "/a", "a//b", "a b", "..", "a/../b", "-a", "a-"])
def test_illegal_repositories(name: str) -> None:
    with pytest.raises(InvalidReferenceError):
        check_repository(name)


@pytest.mark.parametrize("host", ["", "http://x", "x/y", "x:y", "x:", "-x", "x:70000", "x\n"])
def test_illegal_hosts(host: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_registry_host(host)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost:5000/team/app", "team/app"),
        ("registry.example.com/app", "app"),
        ("team/app", "team/app"),
        ("app", "app"),
    ],
)
def test_the_registry_is_stripped_from_a_name(name: str, expected: str) -> None:
    assert strip_registry(name) == expected
