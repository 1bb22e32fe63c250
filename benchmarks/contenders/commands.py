"""Each contender as one command, with its start-up."""

import sys
from pathlib import Path

from ..images.image_tar import Blob
from ..programs import Command
from ..servers.registry import LocalRegistry

_CURL_SCRIPT = """\
set -e
location=$(curl --fail --silent --show-error --request POST --dump-header - --output /dev/null \
    "$1/v2/$2/blobs/uploads/" | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
curl --fail --silent --show-error --output /dev/null \
    --header 'Content-Type: application/octet-stream' --header 'Expect:' \
    --upload-file "$4" "$location&digest=$3"
"""


def push_command(
    archive: str | Path, target: str, cache: Path, compression: str = "gzip", **environment: str
) -> Command:
    """``push-queue push`` without a queue, with its ledger in ``cache``."""
    options = ["--compression", compression, "--to", target]
    return Command(
        [sys.executable, "-m", "producer", "push", archive, *options],
        {"XDG_CACHE_HOME": str(cache), **environment},
    )


def library_push(archive: Path, compression: str, *targets: str) -> Command:
    """Our library, without queue: see ``push_once``."""
    return Command(
        [sys.executable, "-m", "benchmarks.contenders.push_once", archive, compression, *targets]
    )


def skopeo_copy(archive: Path, target: str, data_home: Path, *, keep: bool = False) -> Command:
    """skopeo, with its cache of known blobs in ``data_home``."""
    options = ["--preserve-digests"] if keep else []
    argv = [
        *("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *options),
        *(f"docker-archive:{archive}", f"docker://{target}"),
    ]
    # As root it would use the machine's cache, wherever its home is.
    return Command(argv, {"XDG_DATA_HOME": str(data_home), "_CONTAINERS_ROOTLESS_UID": "1"})


def curl_upload(file: Path, blob: Blob, registry: LocalRegistry, repository: str) -> Command:
    """One blob by POST and PUT: no image, but no client of this API can send less."""
    return Command(["sh", "-c", _CURL_SCRIPT, "sh", registry.url, repository, blob.digest, file])


def pypi_push(python: Path, archive: Path, registry: LocalRegistry, repository: str) -> Command:
    """PyPI's client, on the interpreter that it is installed for; tags the image ``latest``."""
    script = Path(__file__).with_name("pypi_push.py")
    # Isolated, since its package has the same name as ours.
    return Command([python, "-I", script, archive, registry.url, repository])
