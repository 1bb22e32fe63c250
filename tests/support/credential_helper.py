"""A credential helper to be found in PATH, as docker finds its own.

Protocol: https://github.com/docker/docker-credential-helpers#development
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

_PROGRAM = """\
#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
server = sys.stdin.read()
with open(here / "{name}.calls", "a") as calls:
    print(" ".join(sys.argv[1:]), server, file=calls)
known = json.loads((here / "{name}.json").read_text())
if server not in known:
    print("credentials not found in native keychain")
    sys.exit(1)
username, secret = known[server]
print(json.dumps({{"ServerURL": server, "Username": username, "Secret": secret}}))
"""


class CredentialHelper:
    """`docker-credential-<name>` in `folder`, which must be in the PATH."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.name = name
        self.keep({})
        self.write(_PROGRAM.format(python=sys.executable, name=name))

    def keep(self, known: Mapping[str, tuple[str, str]]) -> None:
        """User name and secret by what docker calls the server."""
        (self._folder / f"{self.name}.json").write_text(json.dumps(known))

    def write(self, program: str) -> None:
        """Be another program instead."""
        path = self._folder / f"docker-credential-{self.name}"
        path.write_text(program)
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """Arguments and server of each call so far."""
        calls = self._folder / f"{self.name}.calls"
        return calls.read_text().splitlines() if calls.exists() else []


def in_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the folder searched for programs first."""
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder
