"""What a registry tears that is killed: distribution writes its links in place.

A manifest that is put under a second tag, or once more, has its link written again. Killed over it,
the registry answers 500 for every tag of that image, also for those that it has confirmed long ago.
Nobody who pushed them can know.
"""

from pathlib import Path


def mend_links(storage: Path) -> None:
    """Write again the links of manifests that tags name: those were complete once.

    The other torn links are of requests without an answer, which are sent again.
    """
    for tagged in storage.glob("docker/registry/v2/repositories/**/_manifests/tags/*/current/link"):
        digest = tagged.read_text()
        manifests = tagged.parents[3]
        link = manifests / "revisions" / digest.replace(":", "/") / "link"
        if digest and not link.read_text():
            link.write_text(digest)
