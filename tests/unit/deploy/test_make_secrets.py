"""What `docker compose up` makes of secrets, by deploy/compose/make_secrets.py."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from push_queue.settings.api_tokens import hash_of
from push_queue.settings.redis_url import parse_redis_url

SCRIPT = Path(__file__).parents[3] / "deploy/compose/make_secrets.py"
URLS = ("worker/PUSH_QUEUE_REDIS_URL", "api/PUSH_QUEUE_REDIS_URL")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("redis", "worker", "api"):
        (tmp_path / name).mkdir()
    return tmp_path


def make(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_everybody_gets_the_password_of_redis(folder: Path) -> None:
    assert make(folder).returncode == 0
    password = (folder / "redis/redis.conf").read_text().removeprefix("requirepass ").strip()
    assert len(password) >= 32
    for url in URLS:
        address = parse_redis_url((folder / url).read_text().strip())
        assert (address.host, address.password) == ("redis", password)


def test_the_api_knows_the_token_by_its_hash(folder: Path) -> None:
    assert make(folder).returncode == 0
    token = (folder / "api/PUSH_QUEUE_TOKEN").read_text().strip()
    tokens = json.loads((folder / "api/PUSH_QUEUE_API_TOKENS").read_text())
    assert tokens == {"admin": {"role": "admin", "sha256": hash_of(token)}}


def test_no_two_systems_have_the_same(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    for name in ("redis", "worker", "api"):
        (other / name).mkdir()
    make(folder), make(other)
    assert not set(contents(folder).values()) & set(contents(other).values())


def test_a_second_start_changes_nothing(folder: Path) -> None:
    make(folder)
    before = contents(folder)
    assert make(folder).returncode == 0
    assert contents(folder) == before


@pytest.mark.parametrize("missing", [*URLS, "api/PUSH_QUEUE_API_TOKENS"])
def test_what_is_missing_is_made_to_fit_the_rest(folder: Path, missing: str) -> None:
    make(folder)
    before = contents(folder)
    (folder / missing).unlink()
    assert make(folder).returncode == 0
    assert contents(folder).keys() == before.keys()
    assert contents(folder)[folder / URLS[0]] == before[folder / URLS[0]]


def test_a_password_of_the_operator_is_quoted_in_the_url(folder: Path) -> None:
    (folder / "redis/redis.conf").write_text('maxclients 500\nrequirepass "p@ss/word"\n')
    assert make(folder).returncode == 0
    assert parse_redis_url((folder / URLS[0]).read_text().strip()).password == "p@ss/word"


def test_without_a_password_the_operator_is_asked_for_urls(folder: Path) -> None:
    (folder / "redis/redis.conf").write_text("user default off\n")
    done = make(folder)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "redis.conf has no requirepass" in done.stderr


def test_other_users_may_read_them_and_nobody_may_write(folder: Path) -> None:
    """The containers run as users of their own; others do not get into the volumes."""
    mask = os.umask(0o077)
    try:
        make(folder)
    finally:
        os.umask(mask)
    for path in contents(folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
