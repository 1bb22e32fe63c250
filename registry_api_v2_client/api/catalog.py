"""Lists, page by page: ``GET /v2/_catalog`` and ``GET /v2/<name>/tags/list``.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-discovery
"""

import re
from collections.abc import AsyncIterator

from yarl import URL

from ..exceptions import ProtocolError, ResponseError, UnsupportedError
from ..http.messages import Answer
from .requests import Endpoint, json_object, path, pull

_LINK = re.compile(r'<([^>]*)>[^<]*?;\s*rel="?([^";,<]*)', re.IGNORECASE)
"""Target and relations of each link in a header."""

_PAGE = 1000
_MAX_PAGES = 10_000
_MAX_NAMES = 1_000_000
"""Limits for one list: a registry that sends more may never end."""


class Catalog:
    """The lists of a registry's repositories, and of their tags."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def repositories(self) -> list[str]:
        """All repositories of the registry.

        Raises:
            UnsupportedError: the registry does not list them, or not to this login.
        """
        pages = self._pages(
            "/v2/_catalog", scope="registry:catalog:*", what="catalog", field="repositories"
        )
        try:
            return [name async for page in pages for name in page]
        except ResponseError as error:
            # Docker Hub answers 401 to everyone: https://github.com/docker/hub-feedback/issues/2094
            if error.status not in (401, 403, 404, 405):
                raise
            raise error.restated(
                UnsupportedError,
                f"{error}; this registry does not list its repositories to this login",
            ) from error

    async def tags(self, repository: str) -> list[str]:
        """All tags of a repository.

        Raises:
            NameUnknownError: there is no such repository.
        """
        pages = self._pages(
            path(repository, "tags", "list"),
            scope=pull(repository),
            what=f"tags of {repository}",
            field="tags",
        )
        return [tag async for page in pages for tag in page]

    async def _pages(
        self, path: str, *, scope: str, what: str, field: str
    ) -> AsyncIterator[list[str]]:
        url: URL | None = (self._endpoint.url / path.lstrip("/")).with_query(n=_PAGE)
        seen: set[URL] = set()
        names = 0
        while url is not None and url not in seen:
            seen.add(url)
            async with self._endpoint.request(
                "GET", url, scope=scope, what=what, ok={200}
            ) as answer:
                # A repository whose last tag was deleted has "tags": null.
                page = json_object(answer.body, what).get(field) or []
                if not isinstance(page, list) or not all(isinstance(name, str) for name in page):
                    raise self._error(f"{what}: {field} is not a list of names")
                url = self._next_page(answer)
                names += len(page)
                if url and (len(seen) == _MAX_PAGES or names > _MAX_NAMES):
                    raise self._error(f"{what}: the list has no end")
            yield page

    def _next_page(self, answer: Answer) -> URL | None:
        """The URL in ``Link: <url>; rel="next"``, on our host: behind a proxy it may name another.

        Source: https://www.rfc-editor.org/rfc/rfc8288#section-3
        """
        for target, relations in _LINK.findall(answer.headers.get("Link", "")):
            if "next" in relations.lower().split():
                following = self._endpoint.join(answer, target)
                return self._endpoint.url.join(following.relative())
        return None

    def _error(self, message: str) -> ProtocolError:
        return ProtocolError(f"{self._endpoint.host}: {message}", status=200)
