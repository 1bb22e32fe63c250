"""Image references."""

from hypothesis import strategies as st

from registry_api_v2_client.reference import (
    parse_reference,
    parse_registry_host,
    parse_repository_tag,
    strip_registry,
)
from tests.fuzz.strategies import spoiled, texts
from tests.fuzz.target import Target, handles

SAMPLES = [
    b"localhost:5000/team/app:1.0",
    b"docker.io/library/app@sha256:" + b"0" * 64,
    b"[::1]:5000/a__b/c--d:latest",
    b"a" * 3000 + b"/" + b"b-" * 3000,
    b"a.b/" + b"-" * 5000,
]

inputs = texts | st.sampled_from(SAMPLES).flatmap(spoiled).map(
    lambda raw: raw.decode(errors="surrogateescape")
)


def check(text: str) -> None:
    handles(lambda: _round_trip(text))
    handles(lambda: parse_registry_host(text))
    parse_repository_tag(text)
    strip_registry(text)


def _round_trip(text: str) -> None:
    reference = parse_reference(text)
    assert str(parse_reference(str(reference))) == str(reference)
    assert str(reference).isprintable()


TARGET = Target("reference", inputs, check)
