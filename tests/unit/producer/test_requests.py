import os
from pathlib import Path

import pytest

from producer.cli.exits import BadInputError, BadInputsError
from producer.cli.requests import (
    Request,
    check_archive,
    check_source,
    remote_source,
    tar_of,
    to_original_tags,
    to_targets,
)
from producer.job_description import describe_push
from push_queue.errors import InvalidJobError
from push_queue.settings import load_settings
from registry_api_v2_client import SourceUnreadableError, TarReadError, ValidationError
from tests.support.images import ARCHIVES, SEVERAL_IMAGES, docker_legacy, make_image, write_archive
from tests.support.layouts import Layout

REGISTRY = "localhost:15000"
TARGET = f"{REGISTRY}/app:1"


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return ARCHIVES["docker-oci"](tmp_path).path


def test_a_readable_file_is_made_absolute(tar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tar.parent)
    assert check_source(Path(tar.name)) == tar


def test_what_cannot_be_a_tar_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.tar").touch()
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    for name, reason in {
        "missing.tar": "does not exist",
        "empty.tar": "is empty",
        "pipe": "is neither a regular file nor a folder",
        "file/below": "cannot be read: Not a directory",
    }.items():
        with pytest.raises(BadInputError, match=reason) as caught:
            check_source(tmp_path / name)
        assert str(tmp_path) in str(caught.value)


def test_a_folder_has_to_hold_a_layout(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadableError, match=r"is a folder without index\.json"):
        check_source(tmp_path)
    (tmp_path / "index.json").touch()
    assert check_source(tmp_path) == tmp_path


def test_who_may_not_read_a_file_is_named(tar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may read everything, so the answer of the system is given here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    who = f"Permission denied for user {os.geteuid()}, group {os.getegid()}; let them"
    with pytest.raises(BadInputError, match=rf"{tar} cannot be read: {who}"):
        check_source(tar)


def test_one_tar_to_several_targets(tar: Path) -> None:
    targets = [TARGET, f"{REGISTRY}/app:latest"]
    assert to_targets([tar], targets, "app:1") == [Request(tar, tuple(targets), "app:1")]


def test_several_tars_to_the_same_target_are_refused(tar: Path) -> None:
    with pytest.raises(BadInputError, match="would overwrite each other"):
        to_targets([tar, tar], [TARGET], None)


def test_a_bad_target_is_refused_here(tar: Path) -> None:
    with pytest.raises(ValidationError, match="Foo"):
        to_targets([tar], ["Foo/Bar:1"], None)


def test_original_tags_move_to_the_registry(tmp_path: Path) -> None:
    tags = ("quay.io/team/app:1", "localhost:5000/team/app:1", "tool:2", "team/deep/tool")
    tar = write_archive(tmp_path / "a.tar", docker_legacy, make_image(tags=tags)).path
    targets = (
        f"{REGISTRY}/team/app:1",
        f"{REGISTRY}/tool:2",
        f"{REGISTRY}/team/deep/tool:latest",
    )
    assert to_original_tags([tar], REGISTRY) == [Request(tar, targets)]


def test_each_image_of_a_tar_is_a_job(tmp_path: Path) -> None:
    archive = SEVERAL_IMAGES(tmp_path)
    assert to_original_tags([archive.path], REGISTRY) == [
        Request(archive.path, (f"{REGISTRY}/{tag}",), tag) for tag in archive.tags
    ]


def test_an_untagged_image_is_refused(tmp_path: Path) -> None:
    tar = ARCHIVES["no-tags"](tmp_path).path
    with pytest.raises(BadInputError, match="1 of 1 images have no tag"):
        to_original_tags([tar], REGISTRY)


def test_original_tags_need_a_tar(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("no tar")
    with pytest.raises(TarReadError, match=r"a\.tar"):
        to_original_tags([tmp_path / "a.tar"], REGISTRY)


def test_all_bad_tars_are_named_at_once(tar: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("no tar")
    paths = [tmp_path / "a.tar", tar, tmp_path / "missing.tar"]
    with pytest.raises(BadInputsError) as caught:
        to_original_tags(paths, REGISTRY)
    first, second = map(str, caught.value.errors)
    assert ("a.tar" in first, "missing.tar" in second) == (True, True)


def test_a_file_that_is_no_image_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("no tar")
    with pytest.raises(TarReadError, match=r"a\.tar"):
        to_targets([tmp_path / "a.tar"], [TARGET], None, check=check_archive)


def test_a_path_of_the_workers_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: object, **__: object) -> None:
        raise AssertionError("it may hang here, as a mount does whose server is down")

    path = Path("/only/there.tar")
    settings = load_settings()
    with monkeypatch.context() as patched:
        for name in ("stat", "lstat", "open"):
            patched.setattr(os, name, look)
        (request,) = to_targets([path], [TARGET], None, check=remote_source)
        job = describe_push(request.source, request.targets, settings)
    assert (request, job.source) == (Request(path, (TARGET,)), str(path))


@pytest.mark.parametrize(
    ("path", "fault"),
    [("there.tar", "is not absolute"), ("/images/new/../there.tar", "has .. in it")],
)
def test_a_path_of_the_workers_is_in_full(path: str, fault: str) -> None:
    with pytest.raises(BadInputError, match=f"^{path} {fault}: --remote-path takes the workers'"):
        remote_source(Path(path))


@pytest.mark.parametrize("registry", ["http://localhost:5000", "registry", "a/b", ""])
def test_a_registry_is_a_host(tar: Path, registry: str) -> None:
    with pytest.raises((BadInputError, ValidationError)):
        to_original_tags([tar], registry)


def test_original_tags_of_a_layout(tmp_path: Path) -> None:
    layout = Layout()
    index = layout.root(layout.index(layout.image(make_image())), "quay.io/team/app:1")
    layout.root(index, "quay.io/team/app:latest")
    layout.sign(index)
    layout.root(layout.plain_image(make_image()), "other:2")
    path = layout.write(tmp_path / "layout.tar")
    assert to_original_tags([path], REGISTRY, "linux/x86_64") == [
        Request(
            path,
            (f"{REGISTRY}/team/app:1", f"{REGISTRY}/team/app:latest"),
            "quay.io/team/app:1",
            "linux/amd64",
        ),
        Request(path, (f"{REGISTRY}/other:2",), "other:2", "linux/amd64"),
    ]


def test_a_tag_without_repository_is_no_original_tag(tmp_path: Path) -> None:
    layout = Layout()
    layout.root(layout.image(make_image()), "latest")
    with pytest.raises(BadInputError, match="1 of 1 images have no tag"):
        to_original_tags([layout.write(tmp_path / "layout.tar")], REGISTRY)


URL = "https://artifacts.example.com/app.tar?sig=secret"


def test_a_url_is_for_the_workers_to_read(tmp_path: Path) -> None:
    (request,) = to_targets([tar_of(URL)], [TARGET], None, check=check_archive)
    assert request.source == URL
    assert describe_push(request.source, request.targets, load_settings()).source == URL
    assert tar_of("app.tar") == Path("app.tar")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://user:secret@artifacts.example.com/app.tar", "must not hold a user"),
        ("ftp://artifacts.example.com/app.tar?secret", "must be a path or a URL that begins"),
        ("https://artifacts.example.com/?secret", "must name a tar"),
    ],
)
def test_a_url_that_cannot_be_read_is_named_without_its_secrets(url: str, reason: str) -> None:
    with pytest.raises(BadInputError, match=reason) as caught:
        to_targets([tar_of(url)], [TARGET], None)
    assert "artifacts.example.com/" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_original_tags_of_what_is_elsewhere_are_not_known() -> None:
    with pytest.raises(BadInputError, match=r"app\.tar: --original-tags") as caught:
        to_original_tags([tar_of(URL)], REGISTRY)
    assert "secret" not in str(caught.value)


def test_a_name_that_is_not_utf_8_is_refused_in_words() -> None:
    with pytest.raises(InvalidJobError, match=r"the name '/a/\\udcff.tar' is not UTF-8.*rename"):
        describe_push(Path("/a/\udcff.tar"), TARGET, load_settings())
