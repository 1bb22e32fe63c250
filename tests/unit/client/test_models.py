"""The data classes of the public surface."""

import dataclasses

import pytest

from registry_api_v2_client.descriptors import BlobInfo
from registry_api_v2_client.models import ManifestInfo, RegistryConfig

DIGEST = "sha256:0123456789abcdef" + "0" * 48


@pytest.mark.parametrize("url", ["http://localhost:15000", "http://localhost:15000/"])
def test_the_base_url_has_no_slash_at_its_end(url: str) -> None:
    assert RegistryConfig(url).base_url == "http://localhost:15000"


def test_defaults() -> None:
    assert RegistryConfig("http://localhost").timeout == 30
    assert BlobInfo(DIGEST, 1).media_type == "application/octet-stream"


def test_a_short_digest_is_what_docker_prints() -> None:
    assert BlobInfo(DIGEST, 1).digest_short == "0123456789ab"


def test_the_size_of_an_image_is_that_of_its_config_and_layers() -> None:
    manifest = ManifestInfo(2, "type", BlobInfo(DIGEST, 5), (BlobInfo(DIGEST, 7),) * 2)
    assert manifest.total_size == 19
    assert manifest.digest is None


def test_they_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BlobInfo(DIGEST, 1).size = 2  # type: ignore[misc]  # as mypy says, too
