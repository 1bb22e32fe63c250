"""A registry in memory that does what the OCI distribution specification says, no less.

    async with SpecRegistry(bearer=Login("alice", "secret")) as registry:
        await push_docker_tar(path, registry.url, "app", "1")
        registry.manifest("app", "1")

What sets it apart from distribution 2.8: an upload keeps the bytes that came before the connection
broke, tells how many, and takes the rest.
Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md, `end-` names below
are its endpoints. Tokens: https://distribution.github.io/distribution/spec/auth/token/
"""

import hashlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.local_server import LocalServer
from tests.support.logins import Login, actions, needed_scopes

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NAME = r"{name:[a-z0-9]+(?:[._/-]+[a-z0-9]+)*}"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass
class Manifest:
    content: bytes
    media_type: str


@dataclass
class Repository:
    """`blobs` and `manifests` by digest, `tags` to digest, `uploads` by session id."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)


def digest_of(data: bytes | bytearray) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def error(status: int, code: str, message: str = "", **headers: str) -> web.Response:
    """An error response as the specification words it ("Error Codes")."""
    body = {"errors": [{"code": code, "message": message, "detail": None}]}
    return web.json_response(
        body, status=status, headers={key.replace("_", "-"): v for key, v in headers.items()}
    )


class SpecRegistry(LocalServer):
    """The registry; its contents are plain attributes.

    Args:
        basic: credentials to be sent with every request.
        bearer: credentials for this registry's own token endpoint; requests need its tokens.
        anonymous_tokens: the same, but everybody gets tokens.
        mounts: whether a cross-repository mount is granted when the blob is there.
        resumes: whether upload sessions outlive a broken request.
        referrers: whether it lists what has a subject, and says so.
        page_size: most items in one page of a list, whatever is asked for.

    Attributes:
        repositories: everything stored, by name.
        requests: `(method, path)` to how often it was asked.
        received: digest to how often the bytes of that blob were taken, by any repository.
        scopes: scopes that tokens were issued for, in order.
        tokens: valid tokens; clear it to expire them all.
    """

    def __init__(
        self,
        *,
        basic: Login | None = None,
        bearer: Login | None = None,
        anonymous_tokens: bool = False,
        mounts: bool = True,
        resumes: bool = True,
        referrers: bool = False,
        page_size: int = 100,
    ) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: Counter[tuple[str, str]] = Counter()
        self.received: Counter[str] = Counter()
        self.scopes: list[str] = []
        self.tokens: dict[str, set[str]] = {}
        self._basic = basic
        self._bearer = bearer
        self._wants_token = anonymous_tokens or bearer is not None
        self._mounts = mounts
        self._resumes = resumes
        self._referrers = referrers
        self._page_size = page_size
        app = web.Application(middlewares=[self._count, self._authorize], client_max_size=1 << 22)
        app.add_routes(self._routes())
        super().__init__(web.AppRunner(app, shutdown_timeout=0))

    def repository(self, name: str) -> Repository:
        return self.repositories.setdefault(name, Repository())

    def manifest(self, name: str, reference: str) -> dict[str, Any]:
        """A stored manifest by tag or digest, decoded."""
        repository = self.repositories[name]
        digest = repository.tags.get(reference, reference)
        document: dict[str, Any] = json.loads(repository.manifests[digest].content)
        return document

    def _routes(self) -> list[web.RouteDef]:
        blob = f"/v2/{NAME}/blobs/{{digest:sha256:[0-9a-f]+}}"
        upload = f"/v2/{NAME}/blobs/uploads/{{session:[0-9a-f]+}}"
        manifest = f"/v2/{NAME}/manifests/{{reference}}"
        return [
            web.get("/v2/", self._ping),  # end-1
            web.get("/v2/_catalog", self._catalog),
            web.get("/token", self._token),
            web.get(blob, self._get_blob),  # end-2, HEAD too
            web.delete(blob, self._delete_blob),  # end-10
            web.get(manifest, self._get_manifest),  # end-3, HEAD too
            web.put(manifest, self._put_manifest),  # end-7
            web.delete(manifest, self._delete_manifest),  # end-9
            web.post(f"/v2/{NAME}/blobs/uploads/", self._start_upload),  # end-4, end-11
            web.patch(upload, self._patch_upload),  # end-5
            web.put(upload, self._finish_upload),  # end-6
            web.get(upload, self._get_upload),  # end-13
            web.delete(upload, self._cancel_upload),  # end-14
            web.get(f"/v2/{NAME}/tags/list", self._list_tags),  # end-8
        ]

    # Authentication

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests[request.method, request.path] += 1
        return await handler(request)

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        sent = request.headers.get("Authorization", "")
        if request.path == "/token" or (not self._basic and not self._wants_token):
            return await handler(request)
        if self._basic and sent != self._basic.basic:
            return error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="spec"')
        if self._wants_token:
            scopes = needed_scopes(request)
            granted = self.tokens.get(sent.removeprefix("Bearer "))
            if granted is None or not actions(scopes) <= granted:
                scope = f',scope="{" ".join(scopes)}"' if scopes else ""
                challenge = f'Bearer realm="{self.url}/token",service="spec"{scope}'
                return error(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
        return await handler(request)

    async def _token(self, request: web.Request) -> web.Response:
        if self._bearer and request.headers.get("Authorization") != self._bearer.basic:
            return error(401, "UNAUTHORIZED", "wrong username or password")
        # Clients send scopes one a parameter or several in one, separated by spaces.
        scopes = " ".join(request.query.getall("scope", [])).split()
        self.scopes += scopes
        token = uuid.uuid4().hex
        self.tokens[token] = actions(scopes)
        return web.json_response({"token": token, "expires_in": 300})

    # Blobs

    async def _ping(self, _: web.Request) -> web.Response:
        return web.json_response({})

    def _stored(self, request: web.Request) -> Repository:
        """The repository of a request; reading from one that is not there creates nothing."""
        return self.repositories.get(request.match_info["name"], Repository())

    async def _get_blob(self, request: web.Request) -> web.Response:
        digest = request.match_info["digest"]
        blob = self._stored(request).blobs.get(digest)
        if blob is None:
            return error(404, "BLOB_UNKNOWN")
        headers = {"Docker-Content-Digest": digest}
        return web.Response(body=blob, headers=headers, content_type="application/octet-stream")

    async def _delete_blob(self, request: web.Request) -> web.Response:
        if self._stored(request).blobs.pop(request.match_info["digest"], None) is None:
            return error(404, "BLOB_UNKNOWN")
        return web.Response(status=202)

    async def _start_upload(self, request: web.Request) -> web.Response:
        name, query = request.match_info["name"], request.query
        repository = self.repository(name)
        if self._mounts and {"mount", "from"} <= query.keys():
            source = self.repositories.get(query["from"], Repository())
            if blob := source.blobs.get(query["mount"]):
                repository.blobs[query["mount"]] = blob
                return created(f"/v2/{name}/blobs/{query['mount']}", query["mount"])
        if "digest" in query:
            return self._store(name, query["digest"], await request.content.read())
        session = uuid.uuid4().hex
        repository.uploads[session] = bytearray()
        return upload_status(name, session, repository.uploads[session], 202)

    async def _patch_upload(self, request: web.Request) -> web.Response:
        return await self._receive(request) or self._upload_status(request, 202)

    async def _finish_upload(self, request: web.Request) -> web.Response:
        if refused := await self._receive(request):
            return refused
        name, session = request.match_info["name"], request.match_info["session"]
        content = bytes(self.repositories[name].uploads.pop(session))
        return self._store(name, request.query.get("digest", ""), content)

    async def _get_upload(self, request: web.Request) -> web.Response:
        return self._upload_status(request, 204)

    async def _cancel_upload(self, request: web.Request) -> web.Response:
        if self._stored(request).uploads.pop(request.match_info["session"], None) is None:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        return web.Response(status=204)

    async def _receive(self, request: web.Request) -> web.Response | None:
        """Append the body to its session; a response if that is refused."""
        uploads, session = self._stored(request).uploads, request.match_info["session"]
        if session not in uploads:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        held = uploads[session]
        content_range = request.headers.get("Content-Range")
        if content_range and content_range.partition("-")[0] != str(len(held)):
            return self._upload_status(request, 416)
        try:
            async for data in request.content.iter_any():
                held += data
        except OSError:
            if not self._resumes:
                del uploads[session]
            return error(400, "BLOB_UPLOAD_INVALID")  # which nobody reads
        return None

    def _upload_status(self, request: web.Request, status: int) -> web.Response:
        name, session = request.match_info["name"], request.match_info["session"]
        held = self._stored(request).uploads.get(session)
        if held is None:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        return upload_status(name, session, held, status)

    def _store(self, name: str, digest: str, content: bytes) -> web.Response:
        if digest != digest_of(content):
            return error(400, "DIGEST_INVALID", f"content is {digest_of(content)}")
        self.repository(name).blobs[digest] = content
        self.received[digest] += 1
        return created(f"/v2/{name}/blobs/{digest}", digest)

    # Manifests and tags

    async def _get_manifest(self, request: web.Request) -> web.Response:
        repository, reference = self._stored(request), request.match_info["reference"]
        digest = repository.tags.get(reference, reference)
        manifest = repository.manifests.get(digest)
        if manifest is None:
            return error(404, "MANIFEST_UNKNOWN")
        headers = {"Docker-Content-Digest": digest, "Content-Type": manifest.media_type}
        return web.Response(body=manifest.content, headers=headers)

    async def _put_manifest(self, request: web.Request) -> web.Response:
        name, reference = request.match_info["name"], request.match_info["reference"]
        repository, content = self.repository(name), await request.read()
        digest = digest_of(content)
        try:
            missing = references(json.loads(content)) - repository.blobs.keys()
        except (ValueError, TypeError, KeyError) as problem:
            return error(400, "MANIFEST_INVALID", str(problem))
        if missing - repository.manifests.keys():
            return error(404, "MANIFEST_BLOB_UNKNOWN", ", ".join(sorted(missing)))
        if DIGEST.fullmatch(reference) and reference != digest:
            return error(400, "DIGEST_INVALID", f"content is {digest}")
        repository.manifests[digest] = Manifest(content, request.content_type)
        if reference != digest:
            repository.tags[reference] = digest
        response = created(f"/v2/{name}/manifests/{digest}", digest)
        if self._referrers and (subject := json.loads(content).get("subject")):
            response.headers["OCI-Subject"] = subject["digest"]
        return response

    async def _delete_manifest(self, request: web.Request) -> web.Response:
        repository, reference = self._stored(request), request.match_info["reference"]
        if repository.tags.pop(reference, None):
            return web.Response(status=202)
        if repository.manifests.pop(reference, None) is None:
            return error(404, "MANIFEST_UNKNOWN")
        repository.tags = {
            t: digest for t, digest in repository.tags.items() if digest != reference
        }
        return web.Response(status=202)

    async def _list_tags(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.repositories:
            return error(404, "NAME_UNKNOWN")
        return self._page(request, "tags", self.repositories[name].tags, name=name)

    async def _catalog(self, request: web.Request) -> web.Response:
        return self._page(request, "repositories", self.repositories)

    def _page(
        self, request: web.Request, key: str, items: Iterable[str], **extra: str
    ) -> web.Response:
        """One page of a list: up to `n` items after `last`, and a Link to the next."""
        rest = sorted(item for item in items if item > request.query.get("last", ""))
        size = min(int(request.query.get("n", self._page_size)), self._page_size)
        shown, headers = rest[:size], {}
        if shown and len(rest) > size:
            headers["Link"] = f'<{request.path}?n={size}&last={shown[-1]}>; rel="next"'
        return web.json_response({**extra, key: shown}, headers=headers)


def references(manifest: dict[str, Any]) -> set[str]:
    """Digests of everything that a manifest or an index points at, but for foreign layers."""
    layers = [layer for layer in manifest.get("layers", []) if not layer.get("urls")]
    children = [*layers, *manifest.get("manifests", [])]
    if "config" in manifest:
        children.append(manifest["config"])
    return {child["digest"] for child in children}


def created(location: str, digest: str) -> web.Response:
    headers = {"Location": location, "Docker-Content-Digest": digest}
    return web.Response(status=201, headers=headers)


def upload_status(name: str, session: str, held: bytearray, status: int) -> web.Response:
    """Location (with a query that must be kept, as real registries have) and what is held."""
    headers = {
        "Location": f"/v2/{name}/blobs/uploads/{session}?_state={len(held)}",
        "Range": f"0-{max(len(held) - 1, 0)}",
        "Docker-Upload-UUID": session,
    }
    return web.Response(status=status, headers=headers)
