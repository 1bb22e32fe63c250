"""Image references: ``registry/repository:tag@digest`` by docker's rules.

Grammar: https://github.com/distribution/reference/blob/main/reference.go
"""

import re
from dataclasses import dataclass

from .exceptions import InvalidReferenceError

DEFAULT_TAG = "latest"
DOCKER_HUB = "docker.io"
DOCKER_HUB_API = "registry-1.docker.io"
"""Docker Hub's API is not at the host docker.io that references name, but at this one."""
DOCKER_HUB_LOGIN = "index.docker.io"
"""Docker Hub's former name. References may still use it, and docker's logins do."""
DOCKER_HUB_HOSTS = (DOCKER_HUB, DOCKER_HUB_LOGIN, DOCKER_HUB_API)

DIGEST_PATTERN = "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
)
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(DIGEST_PATTERN)
_MAX_NAME = 255
_PORT = "(?:[0-9]{1,4}|[0-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_PLAIN_HOST = "[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_DOTTED_HOST = r"[A-Za-z0-9][A-Za-z0-9-]*\.(?:[A-Za-z0-9.-]*[A-Za-z0-9])"
_IP_V6 = r"\[[0-9a-fA-F]*:[0-9a-fA-F:]*\]"
REGISTRY_PATTERN = f"(?:localhost|{_DOTTED_HOST}|{_IP_V6})(?::{_PORT})?|{_PLAIN_HOST}:{_PORT}"
"""The hosts of registries that references can name."""
_NO_HOST = "[a-z0-9]+(?:(?:__?|-+)[a-z0-9]+)*"
TAGGED_PATTERN = rf"(?:{REGISTRY_PATTERN}|{_NO_HOST})/{_REPOSITORY.pattern}(?::{_TAG.pattern})?"
"""What ``parse_reference`` takes, but for digests and the length of the repository. Schemas may
use it: JavaScript understands it."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image goes or comes from.

    ``registry`` is ``host[:port]``, ``repository`` the path below it without a leading slash.
    """

    registry: str
    repository: str
    tag: str = DEFAULT_TAG
    digest: str | None = None

    @property
    def name(self) -> str:
        """``registry/repository``, without tag."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"


def parse_reference(text: str) -> Reference:
    """Read ``[registry/]repository[:tag][@digest]``.

    The first component is a registry host if it contains a dot or a colon or is ``localhost``;
    otherwise the reference is on Docker Hub, as for ``docker push``. A bare ``app:1`` is refused:
    it would be Docker Hub's own ``library/app``, and is nearly always ``host:port`` without the
    repository.

    Raises:
        InvalidReferenceError: the message names the part that is wrong.
    """
    if "://" in text:
        raise InvalidReferenceError(_url_advice(text))
    name, digest = split_digest(text)
    name, tag = _split_tag(name)
    if tag is not None:
        check_tag(tag, text)
    if "/" not in name:
        raise InvalidReferenceError(_part_advice(text, name))
    registry, repository = _split_registry(name)
    check_repository(repository, text)
    return Reference(parse_registry_host(registry), repository, tag or DEFAULT_TAG, digest)


def split_digest(text: str) -> tuple[str, str | None]:
    """Split ``app:1@sha256:…`` into what stands before the ``@``, and the digest.

    Raises:
        InvalidReferenceError: what follows is no digest. What stands before is not repeated then,
            since it may be a login.
    """
    if "@" not in text:
        return text, None
    name, _, digest = text.rpartition("@")
    if "/" in digest:
        raise InvalidReferenceError(f"a reference cannot contain a login; write {digest!r}")
    if not _DIGEST.fullmatch(digest):
        raise InvalidReferenceError(
            f"{digest!r} is not a sha256:… digest, and a reference cannot contain a login"
        )
    return name, digest


def parse_repository_tag(repo_tag: str) -> tuple[str, str]:
    """Split ``localhost:5000/app:1`` into ``("localhost:5000/app", "1")``.

    No tag, or an empty one, is ``latest``; the port of a registry is not a tag.
    """
    name, tag = _split_tag(repo_tag)
    return name, tag or DEFAULT_TAG


def strip_registry(name: str) -> str:
    """The repository without its registry: ``localhost:5000/team/app`` is ``team/app``."""
    host, slash, rest = name.partition("/")
    return rest if slash and _is_registry_host(host) else name


def parse_registry_host(text: str) -> str:
    """``host[:port]``, lower case.

    Raises:
        InvalidReferenceError: anything else, such as a URL.
    """
    port = text.rpartition(":")[2] if _HOST.fullmatch(text) and ":" in text else ""
    if not _HOST.fullmatch(text) or (port.isdigit() and int(port) > 65535):
        raise InvalidReferenceError(f"{text!r} is not a registry host; write host or host:port")
    return text.lower()


def check_repository(repository: str, text: str | None = None) -> str:
    """Return ``repository`` if it is a legal repository path, else raise InvalidReferenceError."""
    if not _REPOSITORY.fullmatch(repository) or len(repository) > _MAX_NAME:
        raise InvalidReferenceError(
            f"{_within(text)}{repository!r} is not a repository name; use lower-case "
            f"letters, digits and . _ - between them, at most {_MAX_NAME} characters"
        )
    return repository


def check_tag(tag: str, text: str | None = None) -> str:
    """Return ``tag`` if it is a legal tag, else raise InvalidReferenceError."""
    if not _TAG.fullmatch(tag):
        raise InvalidReferenceError(
            f"{_within(text)}{tag!r} is not a tag; use letters, digits and . _ -, "
            "at most 128 characters"
        )
    return tag


def check_digest(digest: str) -> str:
    """Return ``digest`` if it is a legal digest, else raise InvalidReferenceError."""
    if not _DIGEST.fullmatch(digest):
        raise InvalidReferenceError(f"{digest!r} is not a digest; write sha256: and 64 hex digits")
    return digest


def check_tag_or_digest(text: str) -> str:
    """Return ``text`` if it is a legal tag or digest, else raise InvalidReferenceError."""
    return check_digest(text) if ":" in text else check_tag(text)


def named(repository: str, tag_or_digest: str) -> str:
    """How references name it: ``app:1``, or ``app@sha256:…``."""
    return f"{repository}{'@' if ':' in tag_or_digest else ':'}{tag_or_digest}"


def _within(text: str | None) -> str:
    return "" if text is None else f"{text!r}: "


def _url_advice(url: str) -> str:
    """For ``https://host/app:1``. What may be a password is not repeated."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    named = host.rpartition("@")[2] + slash + path
    return f"a reference is not a URL; leave out {scheme + '://'!r}: {named!r}"


def _part_advice(text: str, name: str) -> str:
    """For ``localhost:5000``, where the repository is missing, and ``app:1``, where the host is."""
    if _REPOSITORY.fullmatch(name) and not _is_registry_host(name):
        return (
            f"{text!r} names no registry; write HOST/{text}, "
            f"or {DOCKER_HUB}/library/{text} for Docker Hub"
        )
    host = text if _is_registry_host(text) and not re.search(r"\s", text) else "localhost:5000"
    return (
        f"{text!r} names no repository on a registry; write registry/repository:tag, "
        f"e.g. {host}/app:1"
    )


def _split_tag(name: str) -> tuple[str, str | None]:
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, None
    return head, tag


def _split_registry(name: str) -> tuple[str, str]:
    host, _, rest = name.partition("/")
    if not _is_registry_host(host):
        return DOCKER_HUB, name
    # All names become one, as limits, pauses, blobs and the order of tags go by the name.
    if host.lower() in DOCKER_HUB_HOSTS:
        host = DOCKER_HUB
    # Docker Hub keeps its official images under library/.
    return host, f"library/{rest}" if host == DOCKER_HUB and "/" not in rest else rest


def _is_registry_host(component: str) -> bool:
    return "." in component or ":" in component or component == "localhost"
