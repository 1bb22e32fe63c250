"""`WWW-Authenticate` by grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.auth.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [Challenge("basic", {})]),
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        ("BASIC REALM=x", [Challenge("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://auth.example.com/token",service="registry",'
            'scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.example.com/token",
                        "service": "registry",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'Bearer realm="r" , service = "s"',
            [Challenge("bearer", {"realm": "r", "service": "s"})],
        ),
        (
            'Basic realm="a", Bearer realm="b"',
            [Challenge("basic", {"realm": "a"}), Challenge("bearer", {"realm": "b"})],
        ),
        (
            'Negotiate, Basic realm="a"',
            [Challenge("negotiate", {}), Challenge("basic", {"realm": "a"})],
        ),
        (r'Basic realm="say \"hi\", ok"', [Challenge("basic", {"realm": 'say "hi", ok'})]),
        ('Basic realm=""', [Challenge("basic", {"realm": ""})]),
        (
            'Bearer realm="r",error="insufficient_scope"',
            [Challenge("bearer", {"realm": "r", "error": "insufficient_scope"})],
        ),
        (
            'Negotiate YWJj==, Basic realm="a"',
            [Challenge("negotiate", {}), Challenge("basic", {"realm": "a"})],
        ),
    ],
)
def test_schemes_and_parameters(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges(header) == expected


tokens = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
values = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def quoted(value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


@given(st.lists(st.tuples(tokens, st.dictionaries(tokens, values, min_size=1)), max_size=3))
def test_every_written_challenge_reads_back(written: list[tuple[str, dict[str, str]]]) -> None:
    header = ", ".join(
        f"{scheme} " + ",".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in written
    )
    assert parse_challenges(header) == [Challenge(*challenge) for challenge in written]


@given(st.text(max_size=200))
def test_any_header_gives_a_list(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()
