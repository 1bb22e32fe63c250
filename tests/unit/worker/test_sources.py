"""Which files a worker reads: below its roots, links followed, and nothing told of the rest."""

from pathlib import Path

import pytest

from worker.sources import SourceNotAllowedError, allowed_source


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


def refusal(source: Path, *roots: Path) -> str:
    with pytest.raises(SourceNotAllowedError) as caught:
        allowed_source(str(source), roots, cleanup=False)
    return str(caught.value)


@pytest.mark.parametrize("name", ["app.tar", "nightly/../app.tar", "./app.tar", "not-there.tar"])
def test_what_is_below_a_root_is_read(name: str, root: Path) -> None:
    source = allowed_source(f"{root}/{name}", [root], cleanup=True)
    assert source == (root / name).resolve()


def test_any_of_several_roots_will_do(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert allowed_source(str(root / "app.tar"), [other, root], cleanup=False) == root / "app.tar"


def test_a_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("images")
    assert allowed_source(str(link / "app.tar"), [link], cleanup=False) == root / "app.tar"
    assert allowed_source(str(root / "app.tar"), [link], cleanup=False) == root / "app.tar"


def test_a_link_inside_of_the_root_is_followed(root: Path) -> None:
    (root / "nightly/latest.tar").symlink_to("../app.tar")
    source = allowed_source(str(root / "nightly/latest.tar"), [root], cleanup=True)
    assert source == root / "app.tar"


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
    assert not allowed_source(str(root / "a"), [root], cleanup=False).exists()


def test_without_roots_anything_is_read_and_nothing_deleted(outside: Path) -> None:
    assert allowed_source(str(outside), [], cleanup=False) == outside
    with pytest.raises(SourceNotAllowedError, match="PUSH_QUEUE_SOURCE_ROOTS") as caught:
        allowed_source(str(outside), [], cleanup=True)
    assert str(outside) in str(caught.value)
    assert caught.value.kind == "source_not_allowed"
