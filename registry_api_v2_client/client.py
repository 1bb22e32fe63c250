"""A client for any number of registries: one HTTP session, one push engine."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from yarl import URL

from .api.registry import Registry
from .api.transport import Transport
from .archive.image_archive import ImageArchive
from .archive.source import Source
from .archive.tar_stream import TarStream
from .auth.credential_store import CredentialStore
from .auth.credentials import Credentials
from .bounds import check_positive
from .exceptions import ValidationError
from .hosts import is_loopback
from .http.tls import DOCKER_CERTS_DIR, TlsSettings
from .observer import NOBODY, Observer
from .parameter_names import NameOf
from .platforms import Platform
from .push.compression import CompressionPolicy, policy_of
from .push.engine import ImagePusher
from .push.image_push import PushedImage
from .push.ledger import BlobLedger
from .push.manifest_push import Target
from .push.progress import OnProgress, ignore_progress
from .push.send_rate import SendRate
from .push.stream_push import needless, without_sent
from .push.tag_order import TagOrder
from .push.upload_limits import UploadLimits
from .push.uploads import OpenUploads
from .reference import DOCKER_HUB_API, DOCKER_HUB_HOSTS, Reference
from .retry import RetryPolicy
from .verification.comparison import verify
from .verification.results import Verification


class RegistryClient:
    """Talks to registries and pushes images to them.

    Create it inside a running event loop and use it as an async context manager, or close it.
    ``pusher`` is the engine, for images in an archive that is already open.

    Args:
        credentials: by registry host, or ``host/namespace``. All other hosts use the logins of
            docker and Podman.
        timeout: seconds without progress after which a request fails.
        commit_timeout: seconds that a registry may take to store a blob once it has all of it.
        plain_http_hosts: hosts to speak to without TLS. Loopback hosts need no entry, unless they
            have a folder in ``certs_dir`` or are in ``insecure_hosts``.
        insecure_hosts: hosts whose certificate is not checked.
        certs_dir: a folder for each host with certificates, as docker's ``certs.d``.
        ledger: knowledge about blobs that is shared beyond this client.
        limits: how many blobs are sent at the same time; eight to each registry if not given.
        rate: how fast they are sent; as fast as they go if not given.
        retry: when to retry a request or a blob.
        observer: hears what the client does.
        name_of: how errors call a parameter that they advise to change, given its name here.

    Raises:
        CredentialsError: a login file cannot be read.
        ValidationError: no such ``certs_dir``, a time-out that is none, or the environment names a
            bad proxy.
    """

    def __init__(
        self,
        *,
        credentials: Mapping[str, Credentials] | None = None,
        timeout: float = 60.0,
        commit_timeout: float = 600.0,
        plain_http_hosts: Collection[str] = (),
        insecure_hosts: Collection[str] = (),
        certs_dir: str | Path = DOCKER_CERTS_DIR,
        ledger: BlobLedger | None = None,
        limits: UploadLimits | None = None,
        rate: SendRate | None = None,
        retry: RetryPolicy | None = None,
        observer: Observer = NOBODY,
        name_of: NameOf = str,
    ) -> None:
        check_positive("timeout", timeout)
        check_positive("commit_timeout", commit_timeout)
        self._plain_http_hosts = frozenset(host.lower() for host in plain_http_hosts)
        self._tls = TlsSettings(
            Path(certs_dir), frozenset(host.lower() for host in insecure_hosts), name_of
        )
        self._credentials = CredentialStore.default(credentials)
        self._transport = Transport(
            self._credentials,
            timeout=timeout,
            commit_timeout=commit_timeout,
            tls=self._tls,
            plain_http_hosts=self._plain_http_hosts,
            observer=observer,
        )
        self._registries: dict[URL, Registry] = {}
        self.pusher = ImagePusher(
            ledger=ledger, limits=limits, rate=rate, retry=retry, observer=observer
        )

    def registry(self, host: str) -> Registry:
        """The registry at ``host[:port]``, or at a URL, which says whether to use TLS.

        A path in the URL is the prefix of the registry's API. A user and password in it are used to
        sign in.

        Raises:
            ValidationError: neither a host nor a URL, or the client is closed. The message shows no
                password.
        """
        self._transport.check_open()
        url, credentials = parse_registry_url(host if "://" in host else self._url(host))
        if credentials:
            self._credentials.add(url.host_port_subcomponent or "", credentials)
        # One object for each registry, as it remembers which uploads the registry takes.
        return self._registries.setdefault(url, Registry(self._transport, url))

    def _url(self, host: str) -> str:
        return registry_url(host, self._plain_http_hosts, tls=self._tls.is_set_up(host))

    async def push(
        self,
        tar_path: str | Path | Source,
        references: Sequence[Reference],
        *,
        image: str | None = None,
        platform: Platform | str | None = None,
        compression: CompressionPolicy | str = CompressionPolicy.GZIP,
        image_uploads: int = 3,
        on_progress: OnProgress = ignore_progress,
        uploads: OpenUploads | None = None,
        tag_order: TagOrder | None = None,
        reuse_tagged: bool = False,
    ) -> PushedImage:
        """Push an image from a tar under each of the references.

        The layers of a ``TarStream`` are sent while it comes.

        ``image`` chooses one of several in the tar, by its tag or digest there. An index is pushed
        with all its platforms, or the image for ``platform`` alone. Upload sessions that a failed
        push leaves open are closed, or left in ``uploads`` if that is given. With ``reuse_tagged``,
        layers of the image that a target's tag names already are neither compressed nor sent, see
        ``docs/explanation/security.md``.

        Raises:
            SourceUnreadableError, SourceChangedError, TarReadError: what is wrong with the tar.
            ValidationError: no such image in the tar, or several and none chosen; a compression or
                a number that cannot be.
            RegistryError: a registry failed, also after retries.
        """
        policy = policy_of(compression)
        check_positive("image_uploads", image_uploads)
        targets = self.targets(references)
        stream = tar_path if isinstance(tar_path, TarStream) else None
        if stream:
            await self.pusher.take_in(
                stream,
                targets,
                compression=policy,
                image_uploads=image_uploads,
                on_progress=on_progress,
                uploads=uploads,
            )
            on_progress = without_sent(stream, on_progress)
        with await self.pusher.open(tar_path) as archive:
            content = archive.select(image, platform)
            pushed = await self.pusher.push(
                archive,
                content,
                targets,
                compression=policy,
                image_uploads=image_uploads,
                on_progress=on_progress,
                uploads=uploads,
                tag_order=tag_order,
                reuse_tagged=reuse_tagged,
            )
            notes = tuple(needless(stream, archive, content)) if stream else ()
            return replace(pushed, notes=(*pushed.notes, *notes))

    async def verify(
        self,
        reference: Reference,
        tar_path: str | Path | Source,
        *,
        image: str | None = None,
        platform: Platform | str | None = None,
        deep: bool = False,
    ) -> Verification:
        """Compare what the reference names with an image in a tar, see ``verify_image``.

        Raises:
            SourceUnreadableError, TarReadError: what is wrong with the tar.
            ValidationError: no such image in the tar, or several and none chosen.
            ManifestUnknownError: the registry has no such image.
            RegistryError: the registry failed.
        """
        registry = self.registry(reference.registry)
        with await asyncio.to_thread(ImageArchive, tar_path) as archive:
            return await verify(
                registry,
                reference.repository,
                reference.digest or reference.tag,
                archive.select(image, platform),
                deep=deep,
            )

    async def close(self) -> None:
        """Close all connections."""
        self.pusher.close()
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def targets(self, references: Sequence[Reference]) -> list[Target]:
        """One target for each repository, with all its tags."""
        tags: dict[tuple[str, str], list[str]] = {}
        for reference in references:
            if reference.digest:
                raise ValidationError(f"{reference}: an image is pushed to a tag, not to a digest")
            tags.setdefault((reference.registry, reference.repository), []).append(reference.tag)
        return [
            Target(self.registry(host), repository, tuple(dict.fromkeys(names)))
            for (host, repository), names in tags.items()
        ]


def parse_registry_url(text: str) -> tuple[URL, Credentials | None]:
    """A registry's address without credentials, and the credentials that the URL had.

    Raises:
        ValidationError: not an http(s) URL, or one with a query or fragment.
    """
    shown = repr(re.sub(r"(?<=://)[^/]*@", "", text))
    try:
        url = URL(text)
    except ValueError as error:
        raise ValidationError(f"{shown} is not a registry's host or URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValidationError(f"{shown} is not a registry's host or URL")
    if url.raw_query_string or url.raw_fragment:
        raise ValidationError(f"{shown}: a registry's URL has neither query nor fragment")
    credentials = Credentials(url.user, url.password or "") if url.user else None
    # Docker's and Podman's logins name registries by the address of their API, too.
    prefix = re.sub(r"(/v2)?/*$", "", url.raw_path)
    return url.with_user(None).with_path(prefix, encoded=True), credentials


def registry_url(host: str, plain_http_hosts: Collection[str] = (), *, tls: bool = False) -> str:
    """Where the API of a registry host is.

    HTTPS, except for those hosts, and for loopback unless ``tls`` is set up there.
    """
    plain = host in plain_http_hosts or (is_loopback(host) and not tls)
    api = DOCKER_HUB_API if host in DOCKER_HUB_HOSTS else host
    return f"{'http' if plain else 'https'}://{api}"
