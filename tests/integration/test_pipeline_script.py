"""examples/pipelines/push.sh does what it says, with a real server, queue and registry."""
# ruff: noqa: ASYNC240 - a folder of the tests

import asyncio
import json
import os
from pathlib import Path

import pytest
from aiohttp import web

from producer import JobState, PushQueue
from tests.support.api_server import ApiServer, Serve
from tests.support.images import ARCHIVES
from tests.support.oidc_issuer import AUDIENCE, OidcIssuer
from tests.support.processes import HANG_SECONDS, require_program
from tests.support.servers import REPOSITORY_ROOT, StartWorker, clean_environment
from tests.support.skopeo import skopeo_inspect

pytestmark = pytest.mark.integration

SCRIPT = REPOSITORY_ROOT / "examples" / "pipelines" / "push.sh"
NOWHERE = "localhost:1/app:1"


async def push(server: str, *arguments: str | Path, **env: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of the script."""
    for program in ("curl", "jq"):
        require_program(program)
    process = await asyncio.create_subprocess_exec(
        "sh",
        SCRIPT,
        *arguments,
        env=clean_environment(PUSH_QUEUE_SERVER=server, **env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said = await asyncio.wait_for(process.communicate(), HANG_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, said[0].decode(), said[1].decode()


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return ARCHIVES["docker-oci"](tmp_path).path


async def test_it_pushes_to_all_targets_and_writes_the_digest(
    server: ApiServer,
    worker: StartWorker,
    spool: Path,
    tar: Path,
    registry_host: str,
    repository: str,
) -> None:
    worker(PUSH_QUEUE_SPOOL=str(spool))
    targets = [f"{registry_host}/{repository}:{tag}" for tag in ("1", "latest")]
    status, digest, said = await push(server.url, tar, *targets)
    assert status == 0, said
    assert {skopeo_inspect(target)["Digest"] for target in targets} == {digest.strip()}


async def test_a_push_that_failed_is_1_and_says_why(
    server: ApiServer, worker: StartWorker, spool: Path, tar: Path
) -> None:
    worker(PUSH_QUEUE_SPOOL=str(spool), PUSH_QUEUE_TARGETS="reg.example.com/*")
    status, digest, said = await push(server.url, tar, NOWHERE)
    assert (status, digest) == (1, "")
    assert "failed: " in said
    assert "workers push only where PUSH_QUEUE_TARGETS allows it" in said


async def test_bad_input_is_2_and_leaves_no_upload(
    server: ApiServer, spool: Path, tar: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no tar")
    for arguments in ([], [tar], [tmp_path / "none.tar", NOWHERE], [tar, "no reference"]):
        assert (await push(server.url, *arguments))[0] == 2, arguments
    status, _, said = await push(server.url, broken, NOWHERE)
    assert status == 2
    assert "is not a readable tar" in said
    assert not list(spool.iterdir())


async def test_a_server_that_is_away_is_3(tar: Path, tmp_path: Path) -> None:
    # What curl says once it has tried often enough, which takes it half a minute.
    curl = tmp_path / "curl"
    curl.write_text("#!/bin/sh\nexit 7\n")
    curl.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    status, _, said = await push("http://127.0.0.1:1", tar, NOWHERE, PATH=path)
    assert status == 3
    assert said == "push.sh: http://127.0.0.1:1: no answer (curl 7)\n"


async def test_what_is_not_known_yet_is_4_and_goes_on(
    server: ApiServer, queue: PushQueue, tar: Path
) -> None:
    status, digest, said = await push(server.url, tar, NOWHERE, PUSH_QUEUE_TIMEOUT="0")
    assert (status, digest) == (4, "")
    assert "goes on without this script" in said
    assert [job.state for job in await queue.list()] == [JobState.QUEUED]


class GitHub(OidcIssuer):
    """Gives workflows their tokens, too."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[tuple[str, str]] = []

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path != "/token":
            return await super()._answer(request)
        self.wanted.append((request.headers["Authorization"], request.query["audience"]))
        return web.json_response({"value": self.token()})


async def test_github_gives_a_token_for_each_request(serve: Serve, spool: Path, tar: Path) -> None:
    async with GitHub() as github:
        rule = {"claims": {"repository": "acme/app"}, "role": "enqueue", "targets": ["*/*"]}
        issuer = {"issuer": github.url, "audience": AUDIENCE, "rules": [rule]}
        server = serve(
            PUSH_QUEUE_SPOOL=str(spool), PUSH_QUEUE_API_OIDC=json.dumps({"github": issuer})
        )
        refused = await push(server.url, tar, NOWHERE, PUSH_QUEUE_TIMEOUT="0")
        status, _, said = await push(
            server.url,
            tar,
            NOWHERE,
            PUSH_QUEUE_TIMEOUT="0",
            PUSH_QUEUE_AUDIENCE=AUDIENCE,
            ACTIONS_ID_TOKEN_REQUEST_URL=f"{github.url}/token?api-version=2.0",
            ACTIONS_ID_TOKEN_REQUEST_TOKEN="of-the-workflow",
        )
    assert refused[0] == 2
    assert status == 4, said
    assert github.wanted == [("Bearer of-the-workflow", AUDIENCE)] * 2


async def test_a_token_is_not_in_the_list_of_processes(tar: Path, tmp_path: Path) -> None:
    arguments, received = tmp_path / "arguments", tmp_path / "received"
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\necho "$@" >>{arguments}\ncat >>{received}\nexit 7\n')
    curl.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    await push("http://127.0.0.1:1", tar, NOWHERE, PATH=path, PUSH_QUEUE_TOKEN="secret-token")
    assert "secret-token" not in arguments.read_text()
    assert "Bearer secret-token" in received.read_text()
