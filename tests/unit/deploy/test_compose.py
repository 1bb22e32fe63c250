"""What the Compose files say. tests/compose runs them, where there is a Docker."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from push_queue.settings import ENV_PREFIX, Settings
from tests.support.schemas import check_by_schema

ROOT = Path(__file__).parents[3]
BASE, PRODUCTION = ROOT / "docker-compose.yml", ROOT / "compose.production.yaml"
SETTINGS = ROOT / "deploy/compose/settings.env"
SERVICES = ("secrets", "redis", "registry", "worker", "api")
LASTING = ("redis", "registry", "worker", "api")


@cache
def services(path: Path = BASE) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text())["services"]
    assert isinstance(found, dict)
    return found


def test_compose_accepts_the_files() -> None:
    check_by_schema("vendor.compose-spec", BASE, PRODUCTION)


def test_all_services_are_looked_at_here() -> None:
    assert set(services()) == set(SERVICES)
    assert set(services(PRODUCTION)) <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_that_it_does_not_use(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]


@pytest.mark.parametrize("name", SERVICES)
def test_its_log_does_not_fill_the_disk(name: str) -> None:
    assert set(services()[name]["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", SERVICES)
def test_only_this_machine_reaches_its_ports(name: str) -> None:
    for port in services()[name].get("ports", ()):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", ["redis", "worker", "api"])
def test_it_cannot_change_its_secrets(name: str) -> None:
    mounts = [volume for volume in services()[name]["volumes"] if "/run/secrets" in volume]
    assert mounts == [f"{name}-secrets:/run/secrets:ro"]


def test_no_change_of_a_setting_replaces_redis() -> None:
    """Compose replaces what depends on a container that it replaces."""
    assert services()["secrets"]["env_file"] == []
    assert "env_file" not in services()["redis"]


def test_no_secret_is_in_the_files() -> None:
    for path in (BASE, PRODUCTION, SETTINGS):
        assert "PASSWORD=" not in path.read_text().upper()
    for name in SERVICES:
        variables = services()[name].get("environment", {})
        assert not {"PUSH_QUEUE_REDIS_URL", "PUSH_QUEUE_API_TOKENS"} & set(variables)


def test_redis_keeps_what_it_accepted() -> None:
    command = services()["redis"]["command"]
    options = dict(zip(command[2::2], command[3::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--maxmemory"]


@pytest.mark.parametrize("name", ["worker", "api"])
def test_settings_of_a_file_reach_it(name: str) -> None:
    assert services()[name]["env_file"] == "${SETTINGS_FILE:-deploy/compose/settings.env}"


def test_the_file_and_the_services_name_settings_that_there_are() -> None:
    lines = SETTINGS.read_text().splitlines()
    named = {line.lstrip("#").partition("=")[0] for line in lines if ENV_PREFIX in line}
    for name in ("worker", "api"):
        named |= {key for key in services()[name]["environment"] if key.startswith(ENV_PREFIX)}
    assert named <= {ENV_PREFIX + field.upper() for field in Settings.model_fields}


def test_a_worker_has_more_time_to_stop_than_its_grace_period() -> None:
    seconds = int(services()["worker"]["stop_grace_period"].removesuffix("s"))
    grace = Settings.model_fields["shutdown_grace_seconds"].default
    assert seconds >= grace + 15


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_comes_back_after_a_crash(name: str) -> None:
    assert services()[name]["restart"] == "unless-stopped"


def test_its_variables_are_none_of_the_settings() -> None:
    """Else a shell that has them for Compose would have `push-queue` warn of them."""
    for path in (BASE, PRODUCTION):
        assert "${" + ENV_PREFIX not in path.read_text()


def test_one_service_builds_the_image_and_the_others_wait_for_it() -> None:
    assert [name for name in services() if "build" in services()[name]] == ["secrets"]
    built = services()["secrets"]["image"]
    others = {name for name in services() if services()[name]["image"] == built} - {"secrets"}
    assert others == {"worker", "api"}
    assert all(services()[name]["pull_policy"] == "never" for name in ("secrets", *others))
    assert all(services()[name]["depends_on"].keys() == {"redis"} for name in others)
    assert services()["redis"]["depends_on"].keys() == {"secrets"}


def test_production_pulls_the_image_and_builds_none() -> None:
    for name in ("secrets", "worker", "api"):
        assert services(PRODUCTION)[name]["pull_policy"] == "if_not_present"


def test_production_takes_every_secret_from_a_folder_of_the_operator() -> None:
    for name in ("redis", "worker", "api"):
        mounts = [str(volume) for volume in services(PRODUCTION)[name]["volumes"]]
        assert any(
            mount.startswith("${SECRETS_DIR:?") and f"/{name}:/run/secrets:ro" in mount
            for mount in mounts
        )


def test_files_of_the_image_have_one_time_in_all_releases() -> None:
    """A builder's cache gives out layers of older commits, with the times of those."""
    touched = re.findall(r"touch --no-dereference --date=(\S+)", (ROOT / "Dockerfile").read_text())
    assert touched == ["1980-01-01T00:00:00Z"] * 2


def test_the_image_is_built_from_the_lists() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY requirements/"):
            assert "!" + line.split()[1] in ignored
