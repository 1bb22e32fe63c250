"""A small image tar of real files, in the layout that `docker save` writes.

python examples/sample_image.py app.tar
"""

import hashlib
import io
import json
import sys
import sysconfig
import tarfile
import time
from pathlib import Path

TAG = "demo/python-parts:original"

# One layer a line: parts of Python's standard library, and packages installed beside it.
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
PACKAGES = Path(sysconfig.get_path("platlib"))
LAYERS = (
    (STANDARD_LIBRARY, ("encodings", "collections", "importlib", "pydoc_data", "unittest")),
    (STANDARD_LIBRARY, ("asyncio", "concurrent", "email", "http", "multiprocessing", "xml")),
    (PACKAGES, ("aiohttp", "pydantic", "pydantic_core")),
    (PACKAGES, ("pygments", "rich")),
)


def build_image(path: Path) -> None:
    """Write an image tar: a blob for each layer, the config, and the manifest that names them."""
    layers = [build_layer(folder, names) for folder, names in LAYERS]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "config": {"Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}" for layer in layers]},
    }
    config_blob = json.dumps(config).encode()
    manifest = {
        "Config": blob_name(config_blob),
        "RepoTags": [TAG],
        "Layers": [blob_name(layer) for layer in layers],
    }
    with tarfile.open(path, "w") as tar:
        for blob in (config_blob, *layers):
            add_file(tar, blob_name(blob), blob)
        add_file(tar, "manifest.json", json.dumps([manifest]).encode())


def build_layer(folder: Path, names: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            tar.add(folder / name, arcname=f"opt/{folder.name}/{name}")
    return buffer.getvalue()


def add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def blob_name(content: bytes) -> str:
    return f"blobs/sha256/{sha256(content)}"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("say which file to write: python examples/sample_image.py app.tar")
    parts = (folder / name for folder, names in LAYERS for name in names)
    if missing := next((part for part in parts if not part.exists()), None):
        sys.exit(f"there is no {missing}: run this by .venv/bin/python, which `make install` makes")
    try:
        build_image(Path(sys.argv[1]))
    except OSError as error:
        sys.exit(f"cannot write {sys.argv[1]}: {error.strerror}")


if __name__ == "__main__":
    main()
