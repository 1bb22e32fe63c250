"""Docker's ``config.json``."""

import base64
import tempfile
from pathlib import Path

from registry_api_v2_client.auth.login_files import LoginFile
from tests.fuzz.strategies import changed_json
from tests.fuzz.target import Target, handles

FILE = Path(tempfile.gettempdir()) / "config.json"
AUTH = base64.b64encode(b"user:pass:word\0").decode()

config = {
    "auths": {
        "https://index.docker.io/v1/": {"auth": AUTH, "email": "a@b"},
        "registry.example.com:5000": {"username": "a", "password": "b"},
        "https://ghcr.io": {"identitytoken": "x", "auth": AUTH},
    },
    "credHelpers": {"gcr.io": "gcloud", "https://a.b/": "x"},
    "credsStore": "desktop",
    "HttpHeaders": {"User-Agent": "x"},
}


def check(content: bytes) -> None:
    FILE.write_bytes(content)
    handles(_read)


def _read() -> None:
    logins = LoginFile(FILE).read()
    for credentials in logins.secrets.values():
        assert isinstance(credentials.username, str)
        assert isinstance(credentials.password, str)
    for helper in (*logins.helpers.values(), logins.store or ""):
        assert "/" not in helper


TARGET = Target("docker config", changed_json(config), check)
