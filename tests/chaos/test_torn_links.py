"""The links that a killed registry leaves empty, in the storage of a real one."""

from pathlib import Path
from urllib.error import HTTPError

import pytest

from registry_api_v2_client import push_docker_tar
from tests.chaos.read_back import read_tag
from tests.chaos.torn_links import mend_links
from tests.support.images import layer_tar, make_image, oci_blobs, write_archive
from tests.support.servers import run_registry


@pytest.mark.integration
async def test_a_tag_whose_manifest_lost_its_link_can_be_read_again(tmp_path: Path) -> None:
    image = make_image(layer_tar({"a": b""}))
    archive = write_archive(tmp_path / "app.tar", oci_blobs, image).path
    storage = tmp_path / "registry" / "storage"
    with run_registry(tmp_path / "registry") as registry:
        digest = await push_docker_tar(archive, registry.url, "team/app", "1")
        (link,) = storage.glob("**/revisions/sha256/*/link")
        link.write_text("")
        with pytest.raises(HTTPError):
            read_tag(registry.url, "team/app:1")
        mend_links(storage)
        held = read_tag(registry.url, "team/app:1")
        assert held
        assert held.digest == digest


def test_a_tag_that_is_torn_itself_stays(tmp_path: Path) -> None:
    tag = tmp_path / "docker/registry/v2/repositories/app/_manifests/tags/1/current/link"
    tag.parent.mkdir(parents=True)
    tag.write_text("")
    mend_links(tmp_path)
    assert tag.read_text() == ""
