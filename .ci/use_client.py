"""Import all of the client library, and push an image with it to the registry at REGISTRY_URL.

It needs nothing but the library, and makes sure that nothing else is there.
"""

import asyncio
import hashlib
import importlib
import importlib.util
import io
import json
import os
import pkgutil
import sys
import tarfile
from pathlib import Path

import registry_api_v2_client as client

# What the queue brings. Whoever wants the client alone has none of it.
NOT_NEEDED = ("arq", "redis", "typer", "rich", "push_queue", "producer", "worker")


def import_everything() -> None:
    """Import every module, so that one which lacks a requirement shows."""
    for module in pkgutil.walk_packages(client.__path__, f"{client.__name__}."):
        importlib.import_module(module.name)
    for name in client.__all__:
        getattr(client, name)


def write_image(path: Path) -> None:
    """Write the tar of an image of one layer, as `docker save` does."""
    layer = io.BytesIO()
    tarfile.open(fileobj=layer, mode="w").close()
    diff_id = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    manifest = [{"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}]
    members = {
        "manifest.json": json.dumps(manifest).encode(),
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer.getvalue(),
    }
    with tarfile.open(path, "w") as image:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            image.addfile(member, io.BytesIO(content))


async def push(path: Path, registry: str) -> None:
    digest = await client.push_docker_tar(path, registry, "check-dist", "1")
    assert digest.startswith("sha256:"), digest
    assert "1" in await client.list_tags(registry, "check-dist")


if __name__ == "__main__":
    found = [name for name in NOT_NEEDED if importlib.util.find_spec(name)]
    assert not found, f"the client's environment has {found}"
    assert Path(client.__file__).is_relative_to(sys.prefix), client.__file__
    import_everything()
    write_image(Path("image.tar"))
    asyncio.run(push(Path("image.tar"), os.environ["REGISTRY_URL"]))
