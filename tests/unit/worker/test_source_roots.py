"""Which files a worker reads: below its roots, links followed, and nothing about the rest."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from push_queue.jobs.sources import DELETED
from push_queue.models.job import make_job
from push_queue.settings import Settings
from registry_api_v2_client import FileIdentity, SourceNotAllowedError, SourceUnreadableError
from registry_api_v2_client.exceptions import SourceMissingError, SourceUnavailableError
from worker import source_roots
from worker.source_roots import (
    CHANGED,
    FOLDER,
    delete_source,
    open_source,
    open_source_of,
    unread_source,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    (root / "nightly").mkdir(parents=True)
    (root / "app.tar").touch()
    return root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "secret.tar"
    path.touch()
    return path


def opened(source: str | Path, *roots: Path, cleanup: bool = False) -> Path:
    """The file that is opened."""
    with open_source(str(source), roots, cleanup=cleanup) as file:
        return file.path


def refusal(source: Path, *roots: Path) -> str:
    with pytest.raises(SourceNotAllowedError) as caught:
        opened(source, *roots)
    return str(caught.value)


@pytest.mark.parametrize("name", ["app.tar", "nightly/../app.tar", "./app.tar"])
def test_what_is_below_a_root_is_read(name: str, root: Path) -> None:
    assert opened(f"{root}/{name}", root, cleanup=True) == (root / name).resolve()


@pytest.mark.parametrize("name", ["not-there.tar", "nightly/not-there.tar", "not-there/app.tar"])
def test_what_is_not_there_is_named(name: str, root: Path) -> None:
    with pytest.raises(SourceUnreadableError, match=f"{name} does not exist"):
        opened(root / name, root)


def test_any_of_several_roots_will_do(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert opened(root / "app.tar", other, root) == root / "app.tar"


def test_a_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("images")
    assert opened(link / "app.tar", link) == root / "app.tar"
    assert opened(root / "app.tar", link) == root / "app.tar"


def test_a_link_inside_of_the_root_is_followed(root: Path) -> None:
    (root / "nightly/latest.tar").symlink_to("../app.tar")
    assert opened(root / "nightly/latest.tar", root, cleanup=True) == root / "app.tar"


def test_a_link_out_of_the_root_is_refused(root: Path, outside: Path) -> None:
    link = root / "link.tar"
    link.symlink_to(outside)
    assert str(link) in refusal(link, root)
    assert "secret" not in refusal(link, root), "where it leads is nobody's business"


def test_a_folder_that_leads_out_of_the_root_is_refused(root: Path, outside: Path) -> None:
    (root / "up").symlink_to("..")
    refusal(root / "up" / outside.name, root)


def test_dots_do_not_leave_the_root(root: Path, outside: Path) -> None:
    refusal(root / ".." / outside.name, root)
    # After the link is followed, not before: `nightly/elsewhere/..` is not `nightly`.
    (root / "nightly/elsewhere").symlink_to(outside.parent.parent)
    refusal(root / "nightly/elsewhere/../app.tar", root)


def test_a_folder_whose_name_begins_like_the_root_s_is_not_below_it(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "images-of-others").mkdir()
    refusal(tmp_path / "images-of-others/app.tar", root)


@pytest.mark.parametrize("way", ["{outside}", "{root}/../{name}", "{root}/link"])
def test_what_lies_outside_is_refused_alike_whether_it_is_there_or_not(
    way: str, root: Path, outside: Path
) -> None:
    (root / "link").symlink_to(outside)
    source = Path(way.format(outside=outside, root=root, name=outside.name))
    there = refusal(source, root)
    outside.unlink()
    assert refusal(source, root) == there


def test_links_in_a_circle_are_no_way_out(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(SourceUnreadableError):
        opened(root / "a", root)


def test_without_roots_anything_is_read_and_nothing_deleted(outside: Path) -> None:
    assert opened(outside) == outside
    with pytest.raises(SourceNotAllowedError, match="PUSH_QUEUE_SOURCE_ROOTS") as caught:
        opened(outside, cleanup=True)
    assert str(outside) in str(caught.value)
    assert caught.value.kind == "source_not_allowed"


Swap = Callable[[], None]


@pytest.fixture
def folder_for_link(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swap:
    """Swaps ``nightly`` for a link out of the root, once the way there has been resolved."""
    (root / "nightly/app.tar").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/app.tar").touch()
    resolve = source_roots._resolve

    def resolve_and_swap(source: str, roots: list[Path]) -> tuple[Path, Path]:
        found = resolve(source, roots)
        (root / "nightly").rename(root / "moved")
        (root / "nightly").symlink_to(tmp_path / "elsewhere")
        return found

    return lambda: monkeypatch.setattr(source_roots, "_resolve", resolve_and_swap)


def test_a_folder_that_becomes_a_link_leads_nowhere(root: Path, folder_for_link: Swap) -> None:
    folder_for_link()
    with pytest.raises(SourceUnreadableError):
        opened(root / "nightly/app.tar", root)


def test_nothing_is_deleted_behind_a_folder_that_becomes_a_link(
    root: Path, tmp_path: Path, folder_for_link: Swap
) -> None:
    folder_for_link()
    assert delete_source(root / "nightly/app.tar", [root], lambda _: True) == CHANGED
    assert (tmp_path / "elsewhere/app.tar").exists()


def test_nothing_is_deleted_outside_of_the_roots(root: Path, outside: Path) -> None:
    assert delete_source(outside, [root], lambda _: True) == CHANGED
    assert outside.exists()


def test_the_very_file_is_deleted(root: Path) -> None:
    source = root / "app.tar"
    (root / "link.tar").symlink_to("app.tar")
    with open_source(str(root / "link.tar"), [root], cleanup=True) as file:
        assert delete_source(file.path, [root], file.identity.__eq__) == DELETED
    assert not source.exists()
    assert delete_source(source, [root], lambda _: True) == "gone already"


def rewrite(path: Path) -> None:
    path.write_bytes(b"longer")


def replace(path: Path) -> None:
    (other := path.with_suffix(".new")).touch()
    before = path.stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [rewrite, replace, touch])
def test_a_file_that_changed_is_kept(change: Callable[[Path], None], root: Path) -> None:
    with open_source(str(root / "app.tar"), [root], cleanup=True) as file:
        change(root / "app.tar")
        assert delete_source(file.path, [root], file.identity.__eq__) == CHANGED
    assert (root / "app.tar").exists()


def test_a_layout_below_a_root_is_read_and_never_deleted(root: Path) -> None:
    layout = root / "layout"
    layout.mkdir()
    (layout / "index.json").touch()
    assert opened(layout, root, cleanup=True) == layout
    assert delete_source(layout, [root], lambda file: True) == FOLDER
    assert (layout / "index.json").exists()


def test_a_layout_that_becomes_a_link_leads_nowhere(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "index.json").touch()
    (root / "layout").symlink_to(outside)
    assert "is not below" in refusal(root / "layout", root)


def test_what_a_job_meant_that_has_not_read_it(root: Path, outside: Path) -> None:
    source = root / "app.tar"
    now = source.stat().st_ctime_ns // 1_000_000
    assert unread_source(str(source), [root], now) == FileIdentity.of(source.stat())
    assert unread_source(str(source), [root], now - 1) is None, "it came after the job"
    assert unread_source(str(root / "not-there.tar"), [root], now) is None
    assert unread_source(str(outside), [root], now + 1000) is None


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.EROFS, "kept: read-only file system"),
        (errno.EACCES, "kept: the worker may not delete there"),
        (errno.EBUSY, "kept: Device or resource busy"),
    ],
)
def test_what_cannot_be_deleted_says_why(
    number: int, outcome: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, *, dir_fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "unlink", refuse)
    assert delete_source(root / "app.tar", [root], lambda _: True) == outcome


UPLOAD_ID = "01m8h000000000000000000000"
UPLOAD = make_job(id="a", source=f"upload:{UPLOAD_ID}", targets=["h:1/a:1"])


def test_a_name_that_the_locale_lacks_is_neither_read_nor_deleted(root: Path) -> None:
    name = str(root / "\ud800.tar")
    with pytest.raises(SourceUnreadableError, match=r"start it with LC_ALL=C\.UTF-8"):
        opened(name, root)
    assert delete_source(name, [root], lambda _: True).startswith("kept: ")
    assert unread_source(name, [root], 0) is None


def test_a_tar_that_the_worker_does_not_see_is_named_with_its_host(tmp_path: Path) -> None:
    tar = tmp_path / "app.tar"
    job = make_job(id="job-1", source=str(tar), targets=["localhost:15000/app:1"])
    said = f"{tar} does not exist on {socket.gethostname()}, .*; mount it there .*--server"
    with pytest.raises(SourceMissingError, match=said):
        open_source_of(job, Settings())


def test_an_upload_is_read_from_the_spool_without_a_root(tmp_path: Path) -> None:
    (tmp_path / f"{UPLOAD_ID}.tar").write_bytes(b"a tar")
    settings = Settings(spool=tmp_path, source_roots=(tmp_path / "images",))
    with open_source_of(UPLOAD, settings) as file:
        assert file.identity.size == 5


def test_the_spool_is_no_root_for_other_names(tmp_path: Path) -> None:
    tar = tmp_path / f"{UPLOAD_ID}.tar"
    tar.write_bytes(b"a tar")
    settings = Settings(spool=tmp_path, source_roots=(tmp_path / "images",))
    with pytest.raises(SourceNotAllowedError):
        open_source_of(UPLOAD.model_copy(update={"source": str(tar)}), settings)


def test_a_link_leads_no_upload_out_of_the_spool(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"a secret")
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"{UPLOAD_ID}.tar").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceNotAllowedError):
        open_source_of(UPLOAD, Settings(spool=spool))


def test_an_upload_that_is_gone_is_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SourceMissingError, match=f"upload:{UPLOAD_ID} is not in the spool any"):
        open_source_of(UPLOAD, Settings(spool=tmp_path))


def test_an_upload_in_a_spool_that_is_away_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="mount the folder PUSH_QUEUE_SPOOL"):
        open_source_of(UPLOAD, Settings(spool=tmp_path / "away"))


def test_a_worker_without_a_spool_says_what_to_set() -> None:
    with pytest.raises(SourceNotAllowedError, match="PUSH_QUEUE_SPOOL"):
        open_source_of(UPLOAD, Settings())
