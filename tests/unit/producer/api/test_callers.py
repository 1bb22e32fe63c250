"""With tokens: who may do what with whose jobs, and what is said to those who may not."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from producer import PushQueue
from producer.api.routes import ROUTES
from push_queue.models.assignments import Assignment
from push_queue.models.fleet import WorkerInfo
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role, hash_of
from push_queue.worker_roster import WorkerRoster
from tests.support.api import JOBS, NEW_JOB, Answer, Api
from tests.support.stores import Stores
from tests.support.tokens import FOREIGN, OWN, PATTERN, TOKENS, bearer, with_tokens

UNKNOWN = "token-of-nobody"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_tokens(settings)


async def enqueue(api: Api, role: Role, target: str, **fields: Any) -> Answer:
    job = {**NEW_JOB, "targets": [target], **fields}
    return await api.post(JOBS, json=job, headers=bearer(TOKENS[role]))


IDS = {
    "job_id": "a",
    "upload_id": "u",
    "registry": "reg.example.com",
    "worker_id": "w",
    "webhook": "none",
}


def asked(path: str, target: str) -> dict[str, Any]:
    """What a request says beside its path."""
    if path in (f"{JOBS}/cancel", f"{JOBS}/retry", f"{JOBS}/purge"):
        return {"params": {"registry": "reg.example.com"}}
    if path.endswith("/pause"):
        return {"json": {}}
    # With GET the body says nothing.
    return {"json": {**NEW_JOB, "targets": [target]}} if path == JOBS else {}


CONTENT = "/api/v1/uploads/{upload_id}/content"

# Of each route: what the roles get for a target of theirs, and for one of others.
R, E, A = Role.READ, Role.ENQUEUE, Role.ADMIN
EXPECTED: dict[tuple[str, str], dict[Role, tuple[int, int]]] = {
    ("POST", JOBS): {R: (403, 403), E: (202, 403), A: (202, 202)},
    ("GET", JOBS): {R: (200, 200), E: (200, 200), A: (200, 200)},
    ("GET", f"{JOBS}/{{job_id}}"): {R: (200, 404), E: (200, 404), A: (200, 200)},
    ("POST", f"{JOBS}/cancel"): {R: (403, 403), E: (200, 200), A: (200, 200)},
    ("POST", f"{JOBS}/retry"): {R: (403, 403), E: (200, 200), A: (200, 200)},
    ("POST", f"{JOBS}/{{job_id}}/cancel"): {R: (403, 403), E: (200, 404), A: (200, 200)},
    ("POST", f"{JOBS}/{{job_id}}/retry"): {R: (403, 403), E: (200, 404), A: (200, 200)},
    ("GET", f"{JOBS}/{{job_id}}/events"): {R: (200, 404), E: (200, 404), A: (200, 200)},
    ("GET", "/api/v1/events"): {R: (200, 200), E: (200, 200), A: (200, 200)},
    ("GET", "/api/v1/workers"): {R: (200, 200), E: (200, 200), A: (200, 200)},
    ("GET", "/api/v1/registries"): {R: (200, 200), E: (200, 200), A: (200, 200)},
    ("POST", f"{JOBS}/purge"): {R: (403, 403), E: (403, 403), A: (200, 200)},
    ("POST", "/api/v1/registries/{registry}/forget"): {
        R: (403, 403),
        E: (403, 403),
        A: (200, 200),
    },
    ("POST", "/api/v1/uploads/purge"): {R: (403, 403), E: (403, 403), A: (404, 404)},
    ("GET", "/api/v1/queue"): {R: (200, 200), E: (200, 200), A: (200, 200)},
    ("POST", "/api/v1/queue/pause"): {R: (403, 403), E: (403, 403), A: (200, 200)},
    ("POST", "/api/v1/queue/resume"): {R: (403, 403), E: (403, 403), A: (200, 200)},
    ("POST", "/api/v1/registries/{registry}/pause"): {R: (403, 403), E: (403, 403), A: (200, 200)},
    ("POST", "/api/v1/registries/{registry}/resume"): {R: (403, 403), E: (403, 403), A: (200, 200)},
    # There is no worker, which only those are told who may drain one.
    ("POST", "/api/v1/workers/{worker_id}/drain"): {R: (403, 403), E: (403, 403), A: (404, 404)},
    # There is no receiver of webhooks, which only those are told who may try one.
    ("GET", "/api/v1/webhooks"): {R: (403, 403), E: (403, 403), A: (200, 200)},
    ("POST", "/api/v1/webhooks/{webhook}/ping"): {R: (403, 403), E: (403, 403), A: (404, 404)},
    ("POST", "/api/v1/webhooks/{webhook}/forget"): {R: (403, 403), E: (403, 403), A: (404, 404)},
    ("GET", "/api/v1/stats"): {R: (200, 200), E: (200, 200), A: (200, 200)},
    ("GET", "/api/v1/throughput"): {R: (200, 200), E: (200, 200), A: (200, 200)},
    # There is no spool, which only those are told who may upload.
    ("POST", "/api/v1/uploads"): {R: (403, 403), E: (404, 404), A: (404, 404)},
    ("PUT", "/api/v1/uploads/{upload_id}"): {R: (403, 403), E: (404, 404), A: (404, 404)},
    ("PATCH", "/api/v1/uploads/{upload_id}"): {R: (403, 403), E: (404, 404), A: (404, 404)},
    ("GET", "/api/v1/uploads/{upload_id}"): {R: (403, 403), E: (404, 404), A: (404, 404)},
    ("DELETE", "/api/v1/uploads/{upload_id}"): {R: (403, 403), E: (404, 404), A: (404, 404)},
    ("GET", CONTENT): {R: (403, 403), E: (403, 403), A: (404, 404)},
    ("DELETE", CONTENT): {R: (403, 403), E: (403, 403), A: (404, 404)},
    ("GET", "/api/v1/session"): {R: (200, 200), E: (200, 200), A: (200, 200)},
    ("GET", "/metrics"): {R: (200, 200), E: (200, 200), A: (200, 200)},
}
METRICS = ("GET", "/metrics")
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
}


async def status_of(api: Api, method: str, path: str, **options: Any) -> int:
    """Without reading an answer that goes on."""
    async with api.client.request(method, path, **options) as response:
        return response.status


async def test_the_table_has_every_route(api: Api) -> None:
    assert api.client.app
    served = {
        (route.method, route.resource.canonical)
        for route in api.client.app.router.routes()
        if route.resource and route.method != "HEAD"
    }
    known = EXPECTED.keys() | OPEN | {("GET", "/"), ("GET", "/openapi.json")}
    assert {found for found in served - known if not found[1].startswith("/page/")} == set()
    assert {(route.method.value, route.path) for route in ROUTES} | {
        METRICS
    } == EXPECTED.keys() | OPEN


@pytest.mark.parametrize(
    ("method", "path", "role", "target", "status"),
    [
        pytest.param(method, path, role, target, status, id=f"{method}-{path}-{role}-{whose}")
        for (method, path), roles in EXPECTED.items()
        for role, statuses in roles.items()
        for whose, target, status in zip(("own", "foreign"), (OWN, FOREIGN), statuses, strict=True)
    ],
)
async def test_every_route_for_every_role(
    api: Api, method: str, path: str, role: Role, target: str, status: int
) -> None:
    await enqueue(api, Role.ADMIN, target, id="a")
    headers = bearer(TOKENS[role])
    found = await status_of(api, method, path.format(**IDS), headers=headers, **asked(path, target))
    assert found == status
    job = await api.get(f"{JOBS}/a", headers=bearer(TOKENS[Role.ADMIN]))
    own = role is Role.ADMIN or target == OWN
    assert (job.body["state"] == "cancelled") is (path.endswith("cancel") and status == 200 and own)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        bearer(UNKNOWN),
        bearer(f"{TOKENS[A]}x"),
        bearer(hash_of(TOKENS[A])),
        {"Authorization": f"Basic {TOKENS[A]}"},
        {"Authorization": TOKENS[A]},
        {"Cookie": f"token={TOKENS[A]}"},
    ],
)
@pytest.mark.parametrize(("method", "path"), EXPECTED)
async def test_who_has_no_token_gets_nothing(
    api: Api, method: str, path: str, headers: dict[str, str]
) -> None:
    await enqueue(api, Role.ADMIN, OWN, id="a")
    answer = await api.ask(method, path.format(**IDS), headers=headers, **asked(path, OWN))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="push-queue"')
    assert ("invalid_token" in answer.headers["WWW-Authenticate"]) is (
        bool(headers) and "Cookie" not in headers
    )
    assert ("Authorization: Bearer" in answer.problem) or (
        "PUSH_QUEUE_API_TOKENS" in answer.problem
    )
    assert UNKNOWN not in json.dumps(answer.body)


@pytest.mark.parametrize("name", ["access_token", "token"])
async def test_a_token_in_the_url_is_none(api: Api, name: str) -> None:
    answer = await api.get(f"{JOBS}?{name}={TOKENS[A]}")
    assert (answer.status, answer.kind) == (401, "token-missing")


async def test_two_tokens_are_none(api: Api) -> None:
    headers = [("Authorization", f"Bearer {TOKENS[role]}") for role in (A, E)]
    assert (await api.get(JOBS, headers=headers)).status == 401


async def test_a_token_of_any_bytes_is_unknown_and_no_failure(api: Api) -> None:
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    writer.write(
        b"GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
        b"Authorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(api: Api, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKENS[R]}"}
    assert (await api.get(JOBS, headers=headers)).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
async def test_what_probes_and_programs_ask_first_is_open(api: Api, path: str) -> None:
    assert (await api.get(path)).status == 200


async def test_a_refusal_names_what_is_missing(api: Api) -> None:
    answer = await enqueue(api, Role.READ, OWN)
    assert (answer.status, answer.kind) == (403, "role-missing")
    assert answer.problem == "team-read has the role read; this needs enqueue"
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    answer = await enqueue(api, Role.ENQUEUE, FOREIGN)
    assert (answer.status, answer.kind) == (403, "target-not-allowed")
    assert FOREIGN in answer.problem
    assert PATTERN in answer.problem


async def test_one_foreign_target_keeps_the_whole_batch_out(api: Api) -> None:
    headers = bearer(TOKENS[E])
    for body in (
        [{**NEW_JOB, "targets": [OWN]}, {**NEW_JOB, "targets": [FOREIGN]}],
        {**NEW_JOB, "targets": [OWN, FOREIGN]},
    ):
        assert (await api.post(JOBS, json=body, headers=headers)).status == 403
    assert (await api.get(JOBS, headers=bearer(TOKENS[A]))).body["jobs"] == []


@pytest.mark.parametrize(
    "target",
    [
        "reg.example.com/teammate/app:1",
        "reg.example.com:5000/team/app:1",
        "other.example.com/reg.example.com/team/app:1",
        "team/app:1",
    ],
)
async def test_names_that_look_alike_are_foreign(api: Api, target: str) -> None:
    assert (await enqueue(api, Role.ENQUEUE, target)).status == 403


async def test_a_job_of_others_is_as_unknown_as_none(api: Api) -> None:
    await api.post(
        JOBS,
        json={**NEW_JOB, "id": "theirs", "targets": [OWN, FOREIGN]},
        headers=bearer(TOKENS[A]),
    )
    for method, path in EXPECTED:
        if "{job_id}" not in path:
            continue
        theirs, none = [
            await api.ask(method, path.format(job_id=job_id), headers=bearer(TOKENS[E]))
            for job_id in ("theirs", "nobody")
        ]
        assert (theirs.status, theirs.kind) == (404, "unknown-job")
        assert theirs.body == json.loads(json.dumps(none.body).replace("nobody", "theirs"))


async def test_waiting_for_a_job_of_others_is_no_way_to_see_it(api: Api) -> None:
    await enqueue(api, Role.ADMIN, FOREIGN, id="a")
    assert (await api.get(f"{JOBS}/a?wait=300", headers=bearer(TOKENS[R]))).status == 404


async def test_of_an_id_that_others_have_it_says_only_that_it_is_taken(api: Api) -> None:
    await enqueue(api, Role.ADMIN, FOREIGN, id="a", source="/secret/app.tar")
    answer = await enqueue(api, Role.ENQUEUE, OWN, id="a")
    assert (answer.status, answer.kind) == (409, "job-conflict")
    assert answer.problem == "the id a is taken; use another"
    await enqueue(api, Role.ENQUEUE, OWN, id="b", source="/mine/app.tar")
    answer = await enqueue(api, Role.ENQUEUE, OWN, id="b")
    assert "/mine/app.tar" in answer.problem


async def test_lists_have_own_jobs_alone(api: Api) -> None:
    for number in range(4):
        await enqueue(api, Role.ADMIN, FOREIGN if number % 2 else OWN, id=f"j{number}")
    page = await api.get(f"{JOBS}?limit=1", headers=bearer(TOKENS[R]))
    assert [job["id"] for job in page.body["jobs"]] == ["j2"]
    rest = await api.get(f"{JOBS}?cursor={page.body['next']}", headers=bearer(TOKENS[R]))
    assert [job["id"] for job in rest.body["jobs"]] == ["j0"]
    assert rest.body["next"] is None
    everything = await api.get(JOBS, headers=bearer(TOKENS[A]))
    assert len(everything.body["jobs"]) == 4


@pytest.mark.parametrize("late", [False, True])
async def test_streams_tell_of_own_jobs_alone(api: Api, late: bool) -> None:
    """Also to those who go on after an event that the server has not kept."""
    jobs = [("a", FOREIGN), ("b", OWN)]
    last_seen = {"Last-Event-ID": "0-0"} if late else {}
    if late:
        for job_id, target in jobs:
            await enqueue(api, Role.ADMIN, target, id=job_id)
    headers = {**bearer(TOKENS[R]), **last_seen}
    async with asyncio.timeout(60), api.client.get("/api/v1/events", headers=headers) as stream:
        assert stream.status == 200
        await stream.content.readline()
        if not late:
            for job_id, target in jobs:
                await enqueue(api, Role.ADMIN, target, id=job_id)
        while not (line := await stream.content.readline()).startswith(b"data:"):
            pass
        assert json.loads(line.removeprefix(b"data:"))["id"] == "b"


async def test_progress_is_told_of_own_jobs_alone(
    api: Api, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.api.events.progress_board.PROGRESS_SECONDS", 0.001)
    headers = bearer(TOKENS[R])
    async with asyncio.timeout(60), api.client.get("/api/v1/events", headers=headers) as stream:
        await stream.content.readline()
        for job_id, target in (("own", OWN), ("foreign", FOREIGN)):
            await enqueue(api, Role.ADMIN, target, id=job_id)
        for job_id in ("foreign", "own"):
            assignment = await stores.attempts.start(job_id, 0, "worker")
            assert isinstance(assignment, Assignment)
            await stores.attempts.progress(
                assignment, bytes_done=1, bytes_total=2, blobs_done=0, blobs_total=1
            )
        while (await stream.content.readline()) != b"event: progress\n":
            pass
        progress = await stream.content.readline()
        assert json.loads(progress.removeprefix(b"data:"))["id"] == "own"


async def test_which_jobs_workers_run_only_an_admin_is_told(api: Api, stores: Stores) -> None:
    worker = WorkerInfo(
        id="w", host="h", pid=1, version="1", started_at=datetime.now(UTC), running=1, jobs=("a",)
    )
    await WorkerRoster(stores.database).report(worker, 30)
    for role, jobs in ((R, []), (E, []), (A, ["a"])):
        (told,) = (await api.get("/api/v1/workers", headers=bearer(TOKENS[role]))).body["workers"]
        assert (told["running"], told["jobs"]) == (1, jobs)


async def test_an_unreadable_record_is_the_admins_alone(
    api: Api, queue: PushQueue, redis: Any
) -> None:
    await enqueue(api, Role.ENQUEUE, OWN, id="a")
    await redis.hset("push:job:a", "targets", "[")
    assert (await api.get(f"{JOBS}/a", headers=bearer(TOKENS[E]))).status == 404
    assert (await api.get(f"{JOBS}/a", headers=bearer(TOKENS[A]))).status == 200


async def test_a_name_of_its_own_is_served_and_pages_of_others_are_not(api: Api) -> None:
    headers = {**bearer(TOKENS[R]), "Host": "push.example.com"}
    assert (await api.get(JOBS, headers=headers)).status == 200
    other = await api.get(JOBS, headers={**headers, "Origin": "https://evil.example.com"})
    assert (other.status, other.kind) == (403, "other-origin")
    asked = await api.ask(
        "OPTIONS",
        JOBS,
        headers={"Origin": "https://evil.example.com", "Access-Control-Request-Method": "GET"},
    )
    assert asked.status == 403
    assert not [name for name in asked.headers if name.startswith("Access-Control")]


async def test_the_description_says_which_role_is_needed(api: Api) -> None:
    document = (await api.get("/openapi.json")).body
    OpenAPIV31SpecValidator(document).validate()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        ways = [{"token": [route.role]}, {"session": [route.role]}]
        assert operation["security"] == (ways if route.role else [])


async def test_a_job_names_those_who_asked(api: Api) -> None:
    job = (await enqueue(api, Role.ENQUEUE, OWN, id="a")).body
    assert job["enqueued_by"] == "team-enqueue"
    for action, role in (("cancel", Role.ADMIN), ("retry", Role.ENQUEUE)):
        job = (await api.post(f"{JOBS}/a/{action}", headers=bearer(TOKENS[role]))).body
        assert job["cancelled_by" if action == "cancel" else "retried_by"] == f"team-{role}"


@pytest.mark.parametrize("name", ["enqueued_by", "retried_by", "cancelled_by"])
async def test_nobody_names_another(api: Api, name: str) -> None:
    answer = await enqueue(api, Role.ENQUEUE, OWN, **{name: "somebody"})
    assert answer.status == 400
    assert name in answer.problem


async def test_registries_are_those_in_use_that_the_caller_may_push_to(
    api: Api, redis: Any
) -> None:
    stores = Stores(redis)
    targets = {"a": OWN, "b": "elsewhere.example.com/app:1", "c": "idle.example.com/app:1"}
    for job_id, target in targets.items():
        await enqueue(api, Role.ADMIN, target, id=job_id)
    for job_id in ("a", "b"):
        assert isinstance(await stores.attempts.start(job_id, 0, "worker"), Assignment)
    await stores.limits.take_slot("reg.example.com", "blob", 15)
    await stores.limits.pause("reg.example.com", "too many requests", 60)
    seen = {}
    for role in (R, E, A):
        answer = await api.get("/api/v1/registries", headers=bearer(TOKENS[role]))
        seen[role] = {registry["name"]: registry for registry in answer.body["registries"]}
    assert list(seen[Role.ADMIN]) == ["elsewhere.example.com", "reg.example.com"]
    assert list(seen[Role.READ]) == list(seen[Role.ENQUEUE]) == ["reg.example.com"]
    found = seen[Role.READ]["reg.example.com"]
    assert (found["uploads"], found["max_uploads"], found["waiting"]) == (1, 50, 0)
    assert found["pause_reason"] == "too many requests"
    assert found["paused_until"].endswith("Z")
