"""An upload noted where others may write is resumed at its own registry, nowhere else."""

from typing import cast

import pytest

from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.transport import Transport

OWN = "https://reg.example.com/v2/team/app/blobs/uploads"


def session_at(location: str, registry: str = "https://reg.example.com") -> bool:
    return bool(Registry(cast(Transport, None), registry).uploads.noted("team/app", location))


@pytest.mark.parametrize(
    "location",
    [
        f"{OWN}/5f3c-a?_state=aGk%3D%2F..",
        f"{OWN}/5f3c-a/",
        "https://reg.example.com:443/v2/team/app/blobs/uploads/1",
        "https://reg.example.com/v2/team/app/blobs/upload/1",  # GitHub
        "https://reg.example.com/artifacts-uploads/namespaces/p/uploads/AF-1",  # Google
    ],
)
def test_an_upload_of_its_own(location: str) -> None:
    assert session_at(location)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example.com/v2/team/app/blobs/uploads/1",
        "https://reg.example.com@evil.example.com/v2/team/app/blobs/uploads/1",
        "https://reg.example.com:8443/v2/team/app/blobs/uploads/1",
        "http://reg.example.com/v2/team/app/blobs/uploads/1",
        "http://169.254.169.254/latest/meta-data/",
        "file:///v2/team/app/blobs/uploads/1",
        "/v2/team/app/blobs/uploads/1",
        "https://reg.example.com/v2/team/other/blobs/uploads/1",
        "https://reg.example.com/v2/team/app/manifests/latest",
        f"{OWN}/../../manifests/latest",
        "https://reg.example.com/artifacts-uploads/../v2/team/app/manifests/latest",
        "https://reg.example.com//v2/team/app/manifests/latest",
        "https://reg.example.com/v2//team/app/manifests/latest",
        "https://reg.example.com/v2/",
        f"{OWN}/..%2f..%2fmanifests%2flatest",
        f"{OWN}/..",
        f"{OWN}/%2e%2e",
        f"{OWN}/",
        OWN,
        "https://reg.example.com:x/v2/team/app/blobs/uploads/1",
        "not an address",
        "",
    ],
)
def test_anything_else(location: str) -> None:
    assert not session_at(location)


def test_a_registry_below_a_path() -> None:
    below = "https://reg.example.com/docker"
    assert session_at(f"{below}/v2/team/app/blobs/uploads/1", below)
    assert not session_at(f"{OWN}/1", below)
