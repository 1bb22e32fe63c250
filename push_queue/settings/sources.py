"""Where settings come from: the names of variables and files."""

from pathlib import Path

ENV_PREFIX = "PUSH_QUEUE_"
REDIS_URL_VARIABLES = (f"{ENV_PREFIX}REDIS_URL", "REDIS_URL")
ENV_FILE = Path(".env")
ENV_FILE_ENCODING = "utf-8-sig"
"""Some editors begin a file with a byte order mark, which would be part of the first name."""
SECRETS_FOLDER = Path("/run/secrets")

_SETTINGS = {"authorizations": "source_auth", "certs_dir": "registry_certs_dir"}
"""The settings whose parameter of the library has another name, by that name."""


def variable_of(parameter: str) -> str:
    """The environment variable by which a parameter of the library is set."""
    return f"{ENV_PREFIX}{_SETTINGS.get(parameter, parameter).upper()}"
