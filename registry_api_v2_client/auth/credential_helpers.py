"""Credential helpers: programs that keep the secrets of ``docker login``.

Protocol: https://github.com/docker/docker-credential-helpers#development
"""

import asyncio
import os
import signal
import subprocess
import time
from collections import defaultdict
from contextlib import suppress

from ..exceptions import CredentialsError
from ..json_document import parse_json
from ..reference import DOCKER_HUB
from .credentials import Credentials

_DOCKER_HUB_SERVER = "https://index.docker.io/v1/"
_NOT_FOUND = b"credentials not found"
"""What a helper prints when it fails because it has no secret for a registry."""
_PATIENCE_SECONDS = 30.0
_KEEP_SECONDS = 300.0
"""How long to keep an answer: a helper may ask a cloud service each time."""


class CredentialHelpers:
    """Asks helpers, and keeps their answers for a while. For one event loop."""

    def __init__(self, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._answers: dict[tuple[str, str], tuple[float, Credentials]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def find(
        self, helper: str, registry: str, *, refresh: bool = False
    ) -> Credentials | None:
        """What ``docker-credential-<helper>`` has for a registry key; None if it has nothing.

        ``refresh`` asks it again instead of taking its last answer.

        Raises:
            CredentialsError: it is not installed, fails, or does not answer in time.
        """
        key = helper, registry
        async with self._locks[key]:
            if not refresh and key in self._answers:
                until, credentials = self._answers[key]
                if until > time.monotonic():
                    return credentials
            found = await self._ask(helper, registry)
            if found:
                self._answers[key] = time.monotonic() + _KEEP_SECONDS, found
            return found

    async def _ask(self, helper: str, registry: str) -> Credentials | None:
        program = f"docker-credential-{helper}"
        server = _DOCKER_HUB_SERVER if registry == DOCKER_HUB else registry
        try:
            status, output = await asyncio.to_thread(_talk, program, server, self._patience)
        except OSError as error:
            raise CredentialsError(
                f"{registry}: {program}, which docker's config.json names, cannot be run: "
                f"{error.strerror}; install it where this runs, or take it out there"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise CredentialsError(
                f"{registry}: {program} did not answer within {self._patience:g} seconds"
            ) from error
        if status:
            if _NOT_FOUND in output.lower():
                return None
            # Its output is left out: it may hold anything.
            raise CredentialsError(
                f"{registry}: {program} failed with exit status {status}; "
                f"try: echo {server} | {program} get"
            )
        try:
            answer = parse_json(output)
            return Credentials(str(answer["Username"]), str(answer["Secret"]))
        except (ValueError, LookupError, TypeError) as error:
            raise CredentialsError(
                f"{registry}: {program} answered without Username and Secret"
            ) from error


def _talk(program: str, server: str, patience: float) -> tuple[int, bytes]:
    """Exit status and standard output of ``<program> get``, killed if it takes too long."""
    with subprocess.Popen(
        [program, "get"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(server.encode(), patience)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                # Its children, too: they would hold its output open.
                os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output
