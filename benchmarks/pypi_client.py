"""PyPI's registry-api-v2-client, installed into an environment of its own."""

import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from .errors import ContenderError
from .process import Command

REQUIREMENT = "registry-api-v2-client==1.2.0"
NAME = "PyPI client 1.2.0"


class PypiClient:
    """Installs the client when it is first asked for; gone with the object's ``close``."""

