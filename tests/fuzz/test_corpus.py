"""What fuzzing has found, each reduced to a minimum: all of it is handled now."""

from typing import Any

import pytest

from tests.fuzz.target import Target
from tests.fuzz.targets import challenge, docker_config, image_archive, registry_answers
from tests.support.images import (
    APP_LAYER,
    Member,
    blob_path,
    descriptor,
    make_image,
    tar_bytes,
    to_json,
)


def layout(**changes: Any) -> bytes:
    """An OCI layout whose only descriptor was changed."""
    config = make_image(APP_LAYER).config
    manifest = to_json({"config": descriptor("", config), "layers": [descriptor("", APP_LAYER)]})
    named = {**descriptor("application/vnd.oci.image.manifest.v1+json", manifest), **changes}
    return tar_bytes(
        [
            *(Member(blob_path(data), data) for data in (APP_LAYER, config, manifest)),
            Member("index.json", to_json({"manifests": [named]})),
        ]
    )


def answer(body: bytes = b"", *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def info(**changes: Any) -> tuple[str, list[bytes]]:
    """A manifest whose config descriptor was changed, and a config."""
    descriptor = {"digest": registry_answers.DIGEST, "size": 2, **changes}
    return "info", [
        answer(to_json({"config": descriptor, "layers": []}).replace(b"Infinity", b"1e999")),
        answer(b"{}"),
    ]


FOUND: dict[str, tuple[Target, Any]] = {
    # Unhashable: looked up in a set of media types.
    "a media type that is a list": (image_archive.TARGET, layout(mediaType=["x"])),
    # A pattern tried every way to split the spaces, for hours.
    "a header of spaces": (
        challenge.TARGET,
        "Basic" + " " * 60_000 + "a" + " " * 60_000 + "!",
    ),
    "a login file that is nested too deep": (docker_config.TARGET, b"[" * 5000),
    "a user name that is a list": (
        docker_config.TARGET,
        b'{"auths": {"a.b": {"username": [null], "password": "x"}}}',
    ),
    "a size that is text": (registry_answers.TARGET, info(size="many")),
    "a size without end": (registry_answers.TARGET, info(size=1e999)),
    "a redirect to a port that is none": (
        registry_answers.TARGET,
        ("digest", [answer(b"", "Location: http://127.0.0.1:99999/").replace(b"200 OK", b"301 x")]),
    ),
    "an offset of thousands of digits": (
        registry_answers.TARGET,
        ("resume", [answer(b"", "Range: 0-" + "9" * 5000)]),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_handled(name: str) -> None:
    target, example = FOUND[name]
    target.check(example)
