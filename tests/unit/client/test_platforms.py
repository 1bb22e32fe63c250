"""Platforms as users and manifests write them."""

import pytest

from registry_api_v2_client import Platform, ValidationError


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("linux/amd64", "linux/amd64/v1"),
        ("linux/amd64", "linux/x86_64"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm64", "Linux/aarch64"),
        ("linux/arm/v7", "linux/arm"),
        ("linux/arm/v7", "linux/armhf"),
        ("linux/arm/v6", "linux/armel"),
        ("linux/386", "linux/i386"),
    ],
)
def test_spellings_of_one_platform_are_equal(written: str, same: str) -> None:
    assert Platform.parse(written) == Platform.parse(same)
    assert str(Platform.parse(same)) == written


@pytest.mark.parametrize("one", ["linux/arm/v6", "linux/amd64/v3", "windows/amd64", "linux/arm64"])
def test_others_are_not(one: str) -> None:
    assert Platform.parse(one) not in (Platform.parse("linux/amd64"), Platform.parse("linux/arm"))


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "a b/c", "*"])
def test_anything_else_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValidationError, match="write os/architecture"):
        Platform.parse(text)


@pytest.mark.parametrize(
    "document", [{}, {"os": "linux"}, {"os": "linux", "architecture": 3}, {"architecture": "arm"}]
)
def test_a_document_without_platform_has_none(document: dict[str, object]) -> None:
    assert Platform.of(document) is None


def test_attestations_are_for_no_platform() -> None:
    nowhere = Platform.of({"os": "unknown", "architecture": "unknown"})
    assert nowhere
    assert not nowhere.known
