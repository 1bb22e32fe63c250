"""Original tags of an image tar, and how a reference splits into repository and tag."""

from pathlib import Path

import pytest

from registry_api_v2_client import (
    TarReadError,
    ValidationError,
    extract_original_tags,
    get_primary_tag,
    parse_repository_tag,
)
from tests.support.broken_images import BROKEN
from tests.support.images import (
    ARCHIVES,
    SEVERAL_IMAGES,
    Image,
    Member,
    docker_legacy,
    make_image,
    tar_bytes,
    to_json,
    write_archive,
)


@pytest.mark.parametrize("kind", ARCHIVES)
def test_tags_are_those_that_were_saved(kind: str, tmp_path: Path) -> None:
    archive = ARCHIVES[kind](tmp_path)
    assert extract_original_tags(archive.path) == archive.tags


def test_tags_of_all_images_are_listed_in_order(tmp_path: Path) -> None:
    archive = SEVERAL_IMAGES(tmp_path)
    assert extract_original_tags(archive.path) == ["example/app:1.0", "example/other:2.0"]


def without_repo_tags(images: tuple[Image, ...]) -> list[Member]:
    """As docker-legacy, but only the old `repositories` file knows the tags."""
    (image,) = images
    untagged = docker_legacy((Image(image.layers, image.config, ()),))
    repositories = next(m for m in docker_legacy(images) if m.name == "repositories")
    return [*(m for m in untagged if m.name != "repositories"), repositories]


def test_tags_come_from_repositories_where_the_manifest_has_none(tmp_path: Path) -> None:
    image = make_image(tags=("example/app:1.0", "example/app:old"))
    archive = write_archive(tmp_path / "image.tar", without_repo_tags, image)
    assert extract_original_tags(archive.path) == ["example/app:1.0", "example/app:old"]


def test_repositories_does_not_add_to_the_manifest_s_tags(tmp_path: Path) -> None:
    def layout(images: tuple[Image, ...]) -> list[Member]:
        members = [m for m in docker_legacy(images) if m.name != "repositories"]
        return [*members, Member("repositories", to_json({"other": {"9": "abc"}}))]

    archive = write_archive(tmp_path / "image.tar", layout, make_image())
    assert extract_original_tags(archive.path) == ["example/app:1.0"]


def test_the_primary_tag_is_the_first(tmp_path: Path) -> None:
    archive = ARCHIVES["several-tags"](tmp_path)
    assert get_primary_tag(archive.path) == ("example/app", "1.0")


def test_an_untagged_image_has_no_primary_tag(tmp_path: Path) -> None:
    assert get_primary_tag(ARCHIVES["no-tags"](tmp_path).path) is None


def test_the_primary_tag_keeps_its_registry(tmp_path: Path) -> None:
    image = make_image(tags=("localhost:5000/app:1",))
    archive = write_archive(tmp_path / "image.tar", docker_legacy, image)
    assert get_primary_tag(archive.path) == ("localhost:5000/app", "1")


@pytest.mark.parametrize("error", [ValidationError, FileNotFoundError])
def test_tags_of_a_missing_file(error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error, match="does not exist"):
        extract_original_tags(tmp_path / "missing.tar")


NAMED_ALL_THE_SAME = {"config-missing", "layer-missing", "link-loop"}


@pytest.mark.parametrize("kind", sorted(BROKEN.keys() - NAMED_ALL_THE_SAME))
def test_tags_of_a_malformed_tar(kind: str, tmp_path: Path) -> None:
    with pytest.raises(TarReadError):
        extract_original_tags(BROKEN[kind](tmp_path))


@pytest.mark.parametrize("kind", sorted(NAMED_ALL_THE_SAME))
def test_tags_need_neither_config_nor_layers(kind: str, tmp_path: Path) -> None:
    path = BROKEN[kind](tmp_path)
    assert extract_original_tags(path) == ["example/app:1.0"]
    assert get_primary_tag(path) == ("example/app", "1.0")


def test_repositories_alone_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    repositories = {"example/app": {"1.0": "a" * 64, "2.0": "b" * 64}, "other": {"9": "c" * 64}}
    path.write_bytes(tar_bytes([Member("repositories", to_json(repositories))]))
    assert extract_original_tags(path) == ["example/app:1.0", "example/app:2.0", "other:9"]
    assert get_primary_tag(path) == ("example/app", "1.0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app", ("app", "latest")),
        ("app:1", ("app", "1")),
        ("app:", ("app", "latest")),
        ("team/app:v1.0.0", ("team/app", "v1.0.0")),
        ("localhost:5000/app", ("localhost:5000/app", "latest")),
        ("localhost:5000/app:1", ("localhost:5000/app", "1")),
        ("localhost:5000/team/app:", ("localhost:5000/team/app", "latest")),
        ("registry.example.com/a/b/c:x", ("registry.example.com/a/b/c", "x")),
        ("[::1]:5000/app:1", ("[::1]:5000/app", "1")),
        ("[::1]:5000/app", ("[::1]:5000/app", "latest")),
    ],
)
def test_a_port_is_no_tag(text: str, expected: tuple[str, str]) -> None:
    assert parse_repository_tag(text) == expected
