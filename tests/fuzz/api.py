"""Runs schemathesis against the HTTP API, with a real Valkey: ``python -m tests.fuzz.api``.

It is a program of its own: ``pipx install 'schemathesis>=4.32'``. Arguments are its own, such as
``--max-examples 500``. Streams of events are left out, since they never end.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.api_server import run_api_server
from tests.support.processes import require_program
from tests.support.servers import run_redis
from tests.support.tokens import operator_token

CONFIG = Path(__file__).with_name("schemathesis.toml")


def main() -> int:
    token, tokens = operator_token()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with (
            run_redis(folder) as redis,
            run_api_server(
                folder / "serve.log",
                PUSH_QUEUE_REDIS_URL=redis.url,
                PUSH_QUEUE_SPOOL=str(folder / "spool"),
                PUSH_QUEUE_SPOOL_QUOTA="1GB",
                PUSH_QUEUE_SPOOL_KEEP_FREE="0",
                PUSH_QUEUE_API_TOKENS=tokens,
                PUSH_QUEUE_API_RATE="100000",
            ) as server,
        ):
            command = [
                require_program("schemathesis"),
                f"--config-file={CONFIG}",
                "run",
                f"{server.url}/openapi.json",
                f"--header=Authorization: Bearer {token}",
                "--checks=all",
                # A job may be called `cancel`, so `Allow` of that path has methods which the
                # document has at /jobs/{job_id} alone.
                "--exclude-checks=allow_header_conformance",
                "--exclude-path-regex=/events$",
                "--generation-database=none",
                "--seed=1",
                *sys.argv[1:],
            ]
            return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
