"""The folder of an OCI layout: its files are read in place, below it, and unchanged."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry_api_v2_client import (
    ImageArchive,
    Source,
    SourceChangedError,
    SourceMissingError,
    SourceUnreadableError,
    TarReadError,
    extract_original_tags,
    get_tar_manifest,
    inspect_docker_tar,
    open_source,
    validate_docker_tar,
)
from registry_api_v2_client.archive.opening import open_files
from tests.support.images import docker_legacy, make_image, save_manifest
from tests.support.layouts import Layout

IMAGE = make_image()
REF = "registry.example.com/app:1"


@pytest.fixture
def layout() -> Layout:
    layout = Layout()
    layout.root(layout.image(IMAGE), REF)
    return layout


@pytest.fixture
def folder(layout: Layout, tmp_path: Path) -> Path:
    return layout.write_folder(tmp_path / "layout")


@pytest.fixture
def source(folder: Path) -> Iterator[Source]:
    with open_source(folder) as source:
        yield source


def content_of(source: Source, name: str) -> bytes:
    with open_files(source) as files:
        member = files.find(name)
        assert member
        buffer = bytearray(member.size)
        with files.open(member) as reader:
            assert reader.readinto(memoryview(buffer)) == member.size
        return bytes(buffer)


def blob_of(folder: Path) -> Path:
    """The largest blob, which is a layer."""
    return max((folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)


def test_it_holds_what_the_tar_of_it_holds(folder: Path, layout: Layout, tmp_path: Path) -> None:
    tar = layout.write(tmp_path / "app.tar")
    assert validate_docker_tar(folder)
    assert inspect_docker_tar(folder) == inspect_docker_tar(tar)
    assert extract_original_tags(folder) == [REF]
    with ImageArchive(folder) as archive, ImageArchive(tar) as packed:
        assert next(archive.select().digests) == next(packed.select().digests)


def test_a_docker_save_that_was_unpacked_is_read(tmp_path: Path) -> None:
    for member in docker_legacy((IMAGE,)):
        if member.data:
            (tmp_path / member.name).parent.mkdir(exist_ok=True)
            (tmp_path / member.name).write_bytes(member.data)
    assert get_tar_manifest(tmp_path)[0]["RepoTags"] == inspect_docker_tar(tmp_path).repo_tags


def test_each_file_is_read_whole(source: Source, folder: Path) -> None:
    blob = blob_of(folder)
    assert content_of(source, str(blob.relative_to(folder))) == blob.read_bytes()


@pytest.mark.parametrize("name", ["not-there", "blobs/sha256/nothing", "a\0b", "\ud800", "x" * 300])
def test_what_is_not_there_is_not_found(name: str, source: Source) -> None:
    with open_files(source) as files:
        assert files.find(name) is None


def test_a_rename_of_the_folder_goes_unnoticed(source: Source, folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    assert content_of(source, "oci-layout")
    source.check_unchanged()


def link_file(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)


def link_folder(path: Path, elsewhere: Path) -> None:
    path.parent.rename(elsewhere / "sha256")
    path.parent.symlink_to(elsewhere / "sha256")


@pytest.mark.parametrize("link", [link_file, link_folder])
def test_no_link_is_followed(
    link: Callable[[Path, Path], None], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link(blob_of(folder), tmp_path / "elsewhere")
    assert not validate_docker_tar(folder)
    with pytest.raises(TarReadError, match="reached by a symbolic link, which is not followed"):
        ImageArchive(folder)


def test_no_name_leads_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(IMAGE.config)
    folder = tmp_path / "layout"
    folder.mkdir()
    manifest = save_manifest([(IMAGE, "../secret", [])])
    (folder / "manifest.json").write_bytes(manifest.data)
    with pytest.raises(TarReadError, match=r"\.\./secret is a path outside the folder"):
        ImageArchive(folder)


def test_a_pipe_in_it_keeps_nobody_waiting(folder: Path) -> None:
    blob = blob_of(folder)
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(TarReadError, match="is not a regular file"):
        ImageArchive(folder)


def test_a_folder_without_an_index_is_none(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadableError, match=r"is a folder without index\.json"):
        open_source(tmp_path)


def test_a_file_is_opened_as_one(tmp_path: Path, layout: Layout) -> None:
    tar = layout.write(tmp_path / "app.tar")
    with open_source(tar) as source:
        assert source.path.read_bytes() == tar.read_bytes()
    with pytest.raises(SourceMissingError, match="does not exist"):
        open_source(tmp_path / "missing")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.with_name("other").write_bytes(content)
    path.with_name("other").rename(path)
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize("change", [append, replace, Path.unlink])
@pytest.mark.parametrize("part", ["index.json", "blob"])
def test_a_change_is_an_error(
    change: Callable[[Path], None], part: str, source: Source, folder: Path
) -> None:
    with ImageArchive(source):
        source.check_unchanged()
    path = folder / part if part == "index.json" else blob_of(folder)
    change(path)
    with pytest.raises(SourceChangedError, match=f"{path.name} was changed") as caught:
        source.check_unchanged()
    assert (caught.value.kind, caught.value.retryable) == ("source_changed", False)


def test_a_blob_that_changed_is_not_read(source: Source, folder: Path) -> None:
    blob = blob_of(folder)
    with open_files(source) as files:
        member = files.find(str(blob.relative_to(folder)))
        assert member
        append(blob)
        with pytest.raises(SourceChangedError):
            files.open(member)
