"""Emulators of S3, Google Cloud Storage and Azure, as `make test-stores` installs them.

Each has one tar, at `url`. Workers reach it by a proxy, at `way`.
"""

import base64
import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import ClassVar
from urllib.request import Request, urlopen

import obstore
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from obstore.store import AzureStore, S3Store

from tests.support.processes import ManagedProcess, free_port, require_program
from tests.support.servers import clean_environment, http_answers

KEY = "builds/app.tar"


class Emulator(ABC):
    """A store with the bucket `bucket`, in a folder of its own."""

    program: ClassVar[str]
    scheme: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{self.scheme}://bucket/{KEY}"

    def process(self, way: str) -> ManagedProcess:
        """The emulator, not yet started."""
        argv = [require_program(self.program), *self.arguments(way)]
        return ManagedProcess(argv, self.folder / "emulator.log", clean_environment())

    def start(self, process: ManagedProcess, tar: Path) -> None:
        """Wait for it, and give it the tar."""
        process.wait_ready(lambda: http_answers(f"http://{self.host}/"))
        self.fill(tar)

    @abstractmethod
    def arguments(self, way: str) -> Sequence[str]: ...

    @abstractmethod
    def options(self, host: str) -> Mapping[str, str]:
        """Those of obstore, for the bucket at `host`."""

    @abstractmethod
    def fill(self, tar: Path) -> None: ...


class _S3(Emulator):
    scheme = "s3"

    def options(self, host: str) -> Mapping[str, str]:
        return {
            "endpoint": f"http://{host}",
            "region": "us-east-1",
            "access_key_id": "S3RVER",
            "secret_access_key": "S3RVER",
        }

    def fill(self, tar: Path) -> None:
        with urlopen(Request(f"http://{self.host}/bucket", method="PUT")):
            pass
        options = dict(self.options(self.host))
        store = S3Store("bucket", config=options, client_options={"allow_http": True})  # type: ignore[arg-type]
        obstore.put(store, KEY, tar)


class Moto(_S3):
    """Looks at no signature. Slow: it copies an object for each range of it."""

    program = "moto_server"

    def arguments(self, way: str) -> Sequence[str]:
        return ["-H", "127.0.0.1", "-p", str(self.port)]


class S3rver(_S3):
    program = "s3rver"

    def arguments(self, way: str) -> Sequence[str]:
        return ["-a", "127.0.0.1", "-p", str(self.port), "-d", str(self.folder)]


class Azurite(Emulator):
    """Checks signatures."""

    program = "azurite-blob"
    scheme = "az"
    account = "devstoreaccount1"
    secret = (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )
    """That of every Azurite: https://learn.microsoft.com/azure/storage/common/storage-use-azurite"""

    def arguments(self, way: str) -> Sequence[str]:
        place = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        return [
            *place,
            "--location",
            str(self.folder),
            "--disableTelemetry",
            "--skipApiVersionCheck",
        ]

    def options(self, host: str) -> Mapping[str, str]:
        return {
            "account_name": self.account,
            "account_key": self.secret,
            "endpoint": f"http://{host}/{self.account}",
        }

    def fill(self, tar: Path) -> None:
        self._make_container()
        options = dict(self.options(self.host))
        store = AzureStore("bucket", config=options, client_options={"allow_http": True})  # type: ignore[arg-type]
        obstore.put(store, KEY, tar)

    def _make_container(self) -> None:
        """Source: https://learn.microsoft.com/rest/api/storageservices/create-container"""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        lines = [f"{name}:{value}" for name, value in headers.items()]
        resource = f"/{self.account}/{self.account}/bucket"
        signed = "\n".join(["PUT", *[""] * 11, *lines, resource, "restype:container"])
        digest = hmac.digest(base64.b64decode(self.secret), signed.encode(), hashlib.sha256)
        headers["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        url = f"http://{self.host}/{self.account}/bucket?restype=container"
        with urlopen(Request(url, method="PUT", headers={"Content-Type": "", **headers})):
            pass


class FakeGcs(Emulator):
    """Looks at no signature. It answers only by the name that it is told: that of the way."""

    program = "fake-gcs-server"
    scheme = "gs"

    def arguments(self, way: str) -> Sequence[str]:
        place = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port)]
        return [
            *place,
            "-public-host",
            way,
            "-backend",
            "memory",
            "-data",
            str(self.folder / "data"),
        ]

    def options(self, host: str) -> Mapping[str, str]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "client_email": "worker@example.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "private_key_id": "1",
        }
        return {"service_account_key": json.dumps(account), "base_url": f"http://{host}"}

    def process(self, way: str) -> ManagedProcess:
        (self.folder / "data" / "bucket").mkdir(parents=True)
        return super().process(way)

    def fill(self, tar: Path) -> None:
        url = f"http://{self.host}/upload/storage/v1/b/bucket/o?uploadType=media&name={KEY}"
        with urlopen(Request(url, method="POST", data=tar.read_bytes())):
            pass


EMULATORS = (Moto, S3rver, Azurite, FakeGcs)
