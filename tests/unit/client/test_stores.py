"""Tars in buckets: read by links that are signed by the worker's own credentials."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from yarl import URL

from registry_api_v2_client import (
    HttpSettings,
    ImageArchive,
    RetryPolicy,
    SourceNotAllowedError,
    SourceUnavailableError,
    SourceUnreadableError,
    UrlSources,
)
from tests.support.images import ARCHIVES
from tests.support.object_server import ObjectServer


class Buckets:
    """Allows nothing but what is below `builds/` in buckets of that name."""

    def networks(self, url: URL) -> tuple[()]:
        if url.host != "bucket" or not url.path.startswith("/builds/"):
            raise ValueError("is not for you")
        return ()


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return ARCHIVES["docker-oci"](tmp_path).path


@pytest.fixture
def urls() -> Iterator[UrlSources]:
    logins = {"http://127.0.0.1": "Bearer token"}
    urls = UrlSources(HttpSettings(Buckets(), logins), retry=RetryPolicy(base=0.0))
    yield urls
    urls.close()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials for a store whose address is still to be set, and nothing else."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def test_an_object_is_read_where_the_operator_says_that_the_store_is(
    tar: Path, urls: UrlSources, endpoint: pytest.MonkeyPatch
) -> None:
    async with ObjectServer(tar) as server:
        endpoint.setenv("AWS_ENDPOINT_URL", server.url)
        with await urls.open("s3://bucket/builds/a%20b.tar") as source:
            assert source.path == "s3://bucket/builds/a%20b.tar"
            assert source.size == (await asyncio.to_thread(tar.stat)).st_size
            (await asyncio.to_thread(ImageArchive, source)).close()
        for request in server.requests:
            assert request.path == "/bucket/builds/a b.tar"
            assert request.query["X-Amz-Credential"].startswith("key/")
            assert "Authorization" not in request.headers


@pytest.fixture(scope="module")
def private_key() -> str:
    """Of a service account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def s3(server: ObjectServer, _: str) -> tuple[dict[str, str], str, str]:
    """Options, the path of a link, and what it is signed with."""
    options = {
        "endpoint": server.url,
        "region": "eu-west-1",
        "access_key_id": "key",
        "secret_access_key": "s3cret",
    }
    return options, "/bucket/builds/app.tar", "X-Amz-Signature"


def gs(server: ObjectServer, private_key: str) -> tuple[dict[str, str], str, str]:
    account = {
        "client_email": "worker@example.iam.gserviceaccount.com",
        "private_key": private_key,
        "private_key_id": "1",
    }
    options = {"service_account_key": json.dumps(account), "base_url": server.url}
    return options, "/bucket/builds/app.tar", "X-Goog-Signature"


def az(server: ObjectServer, _: str) -> tuple[dict[str, str], str, str]:
    options = {
        "account_name": "account",
        "account_key": base64.b64encode(b"s3cret").decode(),
        "endpoint": server.url,
    }
    return options, "/bucket/builds/app.tar", "sig"


@pytest.mark.parametrize("store", [s3, gs, az])
async def test_a_bucket_may_have_its_own_credentials(
    store: Callable[[ObjectServer, str], tuple[dict[str, str], str, str]],
    tar: Path,
    private_key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    async with ObjectServer(tar) as server:
        options, path, signature = store(server, private_key)
        bucket = f"{store.__name__}://bucket"
        urls = UrlSources(HttpSettings(Buckets(), stores={bucket: options}))
        with await urls.open(f"{bucket}/builds/app.tar") as source:
            (await asyncio.to_thread(ImageArchive, source)).close()
        urls.close()
        assert {request.path for request in server.requests} == {path}
        assert all(signature in request.query for request in server.requests)
        assert "another" not in str(server.requests[0].url)


async def test_an_option_that_does_not_exist_is_told() -> None:
    stores = {"s3://bucket": {"secret_acess_key": "s3cret"}}
    urls = UrlSources(HttpSettings(Buckets(), stores=stores, name_of=str.upper))
    with pytest.raises(SourceUnreadableError, match="STORES has an option") as caught:
        await urls.open("s3://bucket/builds/app.tar")
    urls.close()
    assert "s3cret" not in str(caught.value)


async def test_a_link_that_has_run_out_is_signed_anew(
    tar: Path, urls: UrlSources, endpoint: pytest.MonkeyPatch
) -> None:
    async with ObjectServer(tar) as server:
        endpoint.setenv("AWS_ENDPOINT_URL", server.url)
        with await urls.open("s3://bucket/builds/app.tar") as source:
            endpoint.setenv("AWS_ACCESS_KEY_ID", "new")
            server.answer = lambda request: (
                web.Response(status=403)
                if request.query["X-Amz-Credential"].startswith("key/")
                else None
            )
            (await asyncio.to_thread(ImageArchive, source)).close()


async def test_what_is_not_allowed_is_not_signed(
    urls: UrlSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SourceNotAllowedError, match=r"s3://other/app\.tar: is not for you"):
        await urls.open("s3://other/app.tar")
    with pytest.raises(SourceUnreadableError, match="extra `stores`"):
        await urls.open("s3://bucket/builds/app.tar")


async def test_a_store_leads_nowhere_else(
    tar: Path, urls: UrlSources, endpoint: pytest.MonkeyPatch
) -> None:
    async with ObjectServer(tar) as server, ObjectServer(tar) as other:
        endpoint.setenv("AWS_ENDPOINT_URL", server.url)
        server.answer = lambda _: web.Response(
            status=307, headers={"Location": other.url_of_object}
        )
        with pytest.raises(SourceNotAllowedError, match="redirects to"):
            await urls.open("s3://bucket/builds/app.tar")
        assert not other.requests


async def test_without_credentials_nothing_is_signed_and_none_is_told(
    urls: UrlSources, endpoint: pytest.MonkeyPatch
) -> None:
    endpoint.setenv("AWS_ENDPOINT_URL", "no URL with s3cret")
    with pytest.raises((SourceUnavailableError, SourceUnreadableError)) as caught:
        await urls.open("s3://bucket/builds/app.tar")
    assert "s3cret" not in str(caught.value)
