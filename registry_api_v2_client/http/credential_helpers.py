"""Credential helpers: programs that keep the secrets of ``docker login``.

Protocol: https://github.com/docker/docker-credential-helpers#development
"""

import asyncio
import json
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import defaultdict
from contextlib import suppress

from ..exceptions import CredentialsError
from ..reference import DOCKER_HUB
from .credentials import Credentials

_DOCKER_HUB_SERVER = "https://index.docker.io/v1/"
_NOT_FOUND = b"credentials not found"
"""On standard output, with an exit status, when a helper just knows no secret for a registry."""
_PATIENCE_SECONDS = 30.0
_KEEP_SECONDS = 300.0
"""A helper may ask a cloud service; its answers serve the tokens of many repositories."""


class CredentialHelpers:
    """Asks helpers, and keeps their answers for a while. One event loop."""

    def __init__(self, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._answers: dict[tuple[str, str], tuple[float, Credentials | None]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def find(self, helper: str, registry: str, *, anew: bool = False) -> Credentials | None:
        """What ``docker-credential-<helper>`` has for a registry key; None if it has nothing.

        ``anew`` says that its last answer did not serve.

        Raises:
            CredentialsError: it is not there, fails, or does not answer in time.
        """
        key = helper, registry
        async with self._locks[key]:
            until, credentials = self._answers.get(key, (0.0, None))
            if anew or until <= time.monotonic():
                credentials = await self._ask(helper, registry)
                self._answers[key] = time.monotonic() + _KEEP_SECONDS, credentials
            return credentials

    async def _ask(self, helper: str, registry: str) -> Credentials | None:
        program = f"docker-credential-{helper}"
        server = _DOCKER_HUB_SERVER if registry == DOCKER_HUB else registry
        try:
            process = await asyncio.create_subprocess_exec(
                program, "get", stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise CredentialsError(
                f"{registry}: {program}, which docker's config.json names, cannot be run: "
                f"{error.strerror}"
            ) from error
        try:
            async with asyncio.timeout(self._patience):
                output = await _talk(process, server.encode())
        except TimeoutError as error:
            raise CredentialsError(
                f"{registry}: {program} gave no answer in {self._patience:g} seconds"
            ) from error
        if process.returncode:
            if _NOT_FOUND in output.lower():
                return None
            # What it printed may hold anything.
            raise CredentialsError(
                f"{registry}: {program} failed with exit status {process.returncode}; "
                f"try: echo {server} | {program} get"
            )
        try:
            answer = json.loads(output)
            return Credentials(str(answer["Username"]), str(answer["Secret"]))
        except (ValueError, LookupError, TypeError) as error:
            raise CredentialsError(
                f"{registry}: {program} answered without Username and Secret"
            ) from error


async def _talk(process: Process, text: bytes) -> bytes:
    """What the process says to the text; one that is not waited for any longer is ended."""
    try:
        output, _ = await process.communicate(text)
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started holds its output open, too
        raise
    return output
