"""The URL of a server of the HTTP API, and the token for it."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr


def check_server_url(text: str) -> str:
    """The URL, if it is that of a server.

    Raises:
        ValueError: it is not; the message shows no login.
    """
    shown = re.sub(r"[^/]*@", "", text)
    none = f"{shown!r} is not the URL of a server, such as http://127.0.0.1:15080"
    try:
        url = urlsplit(text)
        _ = url.port  # Only who asks for it is told that it is none.
    except ValueError:
        raise ValueError(none) from None
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError(none)
    if "/api/v1" in url.path:
        path = url.path[url.path.index("/api/v1") :]
        raise ValueError(f"leave {path} out of the server's URL {shown!r}")
    if url.username is not None:
        raise ValueError(f"the URL of {url.hostname} has a login in it; give a token instead")
    return text


def is_token(text: str) -> bool:
    """Whether a header can have it."""
    return text.isascii() and text.isprintable()


def _check_token(token: SecretStr) -> SecretStr:
    if not is_token(token.get_secret_value()):
        raise ValueError("must be printable ASCII on one line")
    return token


ServerUrl = Annotated[str, AfterValidator(check_server_url)]
ServerToken = Annotated[SecretStr, AfterValidator(_check_token)]
