"""What an archive holds, for tests that know what that is."""

from registry_api_v2_client.archive.files import Member
from registry_api_v2_client.archive.image_archive import ImageArchive
from registry_api_v2_client.archive.model import ArchiveContent, ArchiveImage, Layer


def as_image(content: ArchiveContent) -> ArchiveImage:
    """The content, which must be an image and not an index."""
    assert isinstance(content, ArchiveImage)
    return content


def images_of(archive: ImageArchive) -> list[ArchiveImage]:
    """All that an archive without indexes holds."""
    return [as_image(content) for content in archive.images]


def member_of(layer: Layer) -> Member:
    """The member of a layer that is not foreign."""
    assert layer.member
    return layer.member
