"""PyPI's registry-api-v2-client, in an environment of its own: its package is named like ours."""

import sys
from functools import cached_property
from pathlib import Path

from ..programs import Command

NAME = "PyPI client 1.2.0"
_REQUIREMENT = "registry-api-v2-client==1.2.0"


class PypiClient:
    """Installs the client into ``folder`` on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def python(self) -> Path:
        """The interpreter that has it.

        Raises:
            ContenderError: it cannot be installed.
        """
        interpreter = self._folder / "bin" / "python"
        # Debian packages ensurepip separately; this interpreter's pip can fill an environment, too.
        Command([sys.executable, "-m", "venv", "--without-pip", self._folder]).run()
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        Command([*pip, "--python", interpreter, "install", _REQUIREMENT]).run()
        return interpreter
