"""`validate_docker_tar`: True for every image tar, False for anything malformed."""

from pathlib import Path

import pytest

from registry_api_v2_client import ValidationError, validate_docker_tar
from tests.support.broken_images import BROKEN, UNREADABLE
from tests.support.images import ARCHIVES, OCI_LAYOUT, SEVERAL_IMAGES


@pytest.mark.parametrize("kind", ARCHIVES)
def test_accepts_every_kind_of_image_tar(kind: str, tmp_path: Path) -> None:
    assert validate_docker_tar(ARCHIVES[kind](tmp_path).path) is True


def test_accepts_several_images_in_one_tar(tmp_path: Path) -> None:
    assert validate_docker_tar(SEVERAL_IMAGES(tmp_path).path) is True


def test_accepts_an_oci_layout(tmp_path: Path) -> None:
    assert validate_docker_tar(OCI_LAYOUT(tmp_path).path) is True


def test_accepts_a_path_as_text(tmp_path: Path) -> None:
    assert validate_docker_tar(str(ARCHIVES["guide"](tmp_path).path)) is True


@pytest.mark.parametrize("kind", BROKEN)
def test_refuses_every_malformed_tar(kind: str, tmp_path: Path) -> None:
    assert validate_docker_tar(BROKEN[kind](tmp_path)) is False


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_file_is_an_error_of_the_caller(kind: str, tmp_path: Path) -> None:
    path = UNREADABLE[kind](tmp_path)
    with pytest.raises(ValidationError, match=str(path)):
        validate_docker_tar(path)


def test_a_missing_file_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="does not exist"):
        validate_docker_tar(tmp_path / "missing.tar")
