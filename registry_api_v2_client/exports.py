"""What the package offers at its root."""

from .archive.image_archive import ImageArchive
from .archive.inspection import (
    extract_original_tags,
    get_primary_tag,
    get_tar_manifest,
    inspect_docker_tar,
    validate_docker_tar,
)
from .archive.model import ArchiveContent, ArchiveImage, ArchiveIndex
from .archive.source_file import FileIdentity, SourceFile
from .auth.credentials import Credentials
from .client import RegistryClient
from .descriptors import BlobInfo
from .exceptions import *  # noqa: F403 - the whole tree, as its own __all__ names it
from .exceptions import __all__ as _exceptions
from .functions import (
    check_registry_connectivity,
    delete_image,
    delete_image_by_digest,
    get_image_info,
    get_manifest,
    list_repositories,
    list_tags,
    push_docker_tar,
    push_docker_tar_with_all_original_tags,
    push_docker_tar_with_original_tags,
    verify_image,
)
from .models import ImageConfig, ImageInspect, LayerInfo, ManifestInfo, RegistryConfig
from .outages import asks_for_a_pause, is_outage
from .platforms import Platform
from .push.compression import CompressionPolicy
from .push.disk_ledger import DiskLedger
from .push.image_push import PushedImage
from .push.ledger import BlobLedger, MemoryLedger
from .push.limits import LocalLimits, UploadLimits
from .push.progress import BlobProgress, BlobState, OnProgress, PushProgress
from .push.tag_order import AnyOrder, TagOrder, TagTurn
from .push.uploads import OpenUploads
from .reference import Reference, parse_reference, parse_repository_tag
from .retry import RetryPolicy
from .verification.results import PartCheck, Proof, Verdict, Verification

__all__ = [
    "AnyOrder",
    "ArchiveContent",
    "ArchiveImage",
    "ArchiveIndex",
    "BlobInfo",
    "BlobLedger",
    "BlobProgress",
    "BlobState",
    "CompressionPolicy",
    "Credentials",
    "DiskLedger",
    "FileIdentity",
    "ImageArchive",
    "ImageConfig",
    "ImageInspect",
    "LayerInfo",
    "LocalLimits",
    "ManifestInfo",
    "MemoryLedger",
    "OnProgress",
    "OpenUploads",
    "PartCheck",
    "Platform",
    "Proof",
    "PushProgress",
    "PushedImage",
    "Reference",
    "RegistryClient",
    "RegistryConfig",
    "RetryPolicy",
    "SourceFile",
    "TagOrder",
    "TagTurn",
    "UploadLimits",
    "Verdict",
    "Verification",
    "asks_for_a_pause",
    "check_registry_connectivity",
    "delete_image",
    "delete_image_by_digest",
    "extract_original_tags",
    "get_image_info",
    "get_manifest",
    "get_primary_tag",
    "get_tar_manifest",
    "inspect_docker_tar",
    "is_outage",
    "list_repositories",
    "list_tags",
    "parse_reference",
    "parse_repository_tag",
    "push_docker_tar",
    "push_docker_tar_with_all_original_tags",
    "push_docker_tar_with_original_tags",
    "validate_docker_tar",
    "verify_image",
]
__all__ += _exceptions
