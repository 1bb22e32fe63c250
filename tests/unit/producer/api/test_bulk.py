"""Cancel and retry in bulk: which jobs are changed, by whom, and how it goes on."""

from typing import Any

import pytest

from push_queue.models.assignments import Assignment
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role
from tests.support.api import JOBS, NEW_JOB, Api
from tests.support.redis_client import Redis
from tests.support.stores import Stores
from tests.support.tokens import FOREIGN, OWN, TOKENS, bearer, with_tokens

ADMIN, TEAM = bearer(TOKENS[Role.ADMIN]), bearer(TOKENS[Role.ENQUEUE])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_tokens(settings)


@pytest.fixture
def stores(redis: Redis) -> Stores:
    return Stores(redis)


async def enqueue(api: Api, job_id: str, target: str = OWN, **fields: Any) -> None:
    job = {**NEW_JOB, "id": job_id, "targets": [target], **fields}
    assert (await api.post(JOBS, json=job, headers=ADMIN)).status == 202


async def fail(stores: Stores, job_id: str, kind: str = "denied") -> None:
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    await stores.attempts.fail(assignment, "refused", kind)


async def bulk(api: Api, action: str, headers: dict[str, str] = ADMIN, **params: str) -> list[str]:
    """The ids of the jobs that were changed."""
    answer = await api.post(f"{JOBS}/{action}", params=params, headers=headers)
    assert answer.status == 200, answer.body
    assert answer.body["next"] is None
    return [job["id"] for job in answer.body["jobs"]]


async def states(api: Api) -> dict[str, str]:
    answer = await api.get(JOBS, headers=ADMIN)
    return {job["id"]: job["state"] for job in answer.body["jobs"]}


async def test_all_that_match_are_cancelled(api: Api) -> None:
    await enqueue(api, "a", labels={"branch": "x"})
    await enqueue(api, "b", labels={"branch": "y"})
    await enqueue(api, "c", FOREIGN, labels={"branch": "x"})
    answer = await api.post(f"{JOBS}/cancel", params={"label": "branch=x"}, headers=ADMIN)
    jobs = answer.body["jobs"]
    assert [(job["id"], job["state"], job["cancelled_by"]) for job in jobs] == [
        ("c", "cancelled", "team-admin"),
        ("a", "cancelled", "team-admin"),
    ]
    assert await states(api) == {"a": "cancelled", "b": "queued", "c": "cancelled"}
    assert await bulk(api, "cancel", label="branch=x") == []


async def test_running_jobs_are_asked_to_stop(api: Api, stores: Stores) -> None:
    await enqueue(api, "a")
    await stores.attempts.start("a", 0, "worker")
    assert await bulk(api, "cancel", state="running") == ["a"]
    assert (await stores.jobs.status("a")).cancel_requested


async def test_failed_jobs_are_retried_unless_another_state_is_named(
    api: Api, stores: Stores
) -> None:
    for job_id in ("a", "b", "c"):
        await enqueue(api, job_id)
    await fail(stores, "a")
    await fail(stores, "b", "rate_limited")
    await bulk(api, "cancel", state="queued")
    assert await bulk(api, "retry", error_kind="denied") == ["a"]
    assert await states(api) == {"a": "queued", "b": "failed", "c": "cancelled"}
    assert (await stores.jobs.status("a")).retried_by == "team-admin"
    assert await bulk(api, "retry", state="cancelled") == ["c"]
    assert await bulk(api, "retry", registry="reg.example.com") == ["b"]


@pytest.mark.parametrize(("action", "state"), [("cancel", "queued"), ("retry", "failed")])
async def test_a_dry_run_changes_nothing(api: Api, stores: Stores, action: str, state: str) -> None:
    await enqueue(api, "a")
    if action == "retry":
        await fail(stores, "a")
    before = await stores.jobs.status("a")
    assert await bulk(api, action, state=state, dry_run="true") == ["a"]
    assert await stores.jobs.status("a") == before


async def test_a_team_changes_its_own_alone(api: Api, stores: Stores) -> None:
    await enqueue(api, "own")
    await enqueue(api, "foreign", FOREIGN)
    assert await bulk(api, "cancel", TEAM, state="queued") == ["own"]
    assert await states(api) == {"own": "cancelled", "foreign": "queued"}
    await fail(stores, "foreign")
    assert await bulk(api, "retry", TEAM, registry="reg.example.com") == []
    assert await bulk(api, "retry", TEAM, state="cancelled") == ["own"]


async def test_many_are_changed_page_by_page(api: Api) -> None:
    for number in range(5):
        await enqueue(api, f"j{number}")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        params = {"state": "queued", "limit": "2", **cursor}
        answer = await api.post(f"{JOBS}/cancel", params=params, headers=ADMIN)
        seen += [job["id"] for job in answer.body["jobs"]]
        if answer.body["next"] is None:
            break
        cursor = {"cursor": answer.body["next"]}
    assert seen == ["j4", "j3", "j2", "j1", "j0"]


@pytest.mark.parametrize("action", ["cancel", "retry"])
@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "say which jobs"),
        ({"dry_run": "true"}, "say which jobs"),
        ({"limit": "1000"}, "say which jobs"),
        ({"cursor": "1"}, "say which jobs"),
        ({"stat": "queued"}, "stat"),
        ({"state": "queued", "dryrun": "true"}, "dryrun"),
        ({"state": "queued", "dry_run": "perhaps"}, "dry_run"),
        ({"state": "queued", "limit": "1001"}, "limit"),
    ],
)
async def test_what_does_not_say_which_jobs_changes_none(
    api: Api, action: str, params: dict[str, str], said: str
) -> None:
    await enqueue(api, "a")
    answer = await api.post(f"{JOBS}/{action}", params=params, headers=ADMIN)
    assert (answer.status, answer.kind) == (400, "invalid-request")
    assert said in answer.problem
    assert await states(api) == {"a": "queued"}


@pytest.mark.parametrize(
    ("action", "state"),
    [("cancel", "failed"), ("cancel", "succeeded"), ("retry", "queued"), ("retry", "running")],
)
async def test_a_state_that_cannot_be_changed_is_named(api: Api, action: str, state: str) -> None:
    answer = await api.post(f"{JOBS}/{action}", params={"state": state}, headers=ADMIN)
    assert (answer.status, answer.kind) == (400, "invalid-request")
    assert state in answer.problem


async def test_a_filter_in_the_body_is_not_ignored(api: Api) -> None:
    """Else it would be taken for no filter."""
    await enqueue(api, "a")
    answer = await api.post(
        f"{JOBS}/cancel", params={"state": "queued"}, json={"label": "x"}, headers=ADMIN
    )
    assert answer.status == 400
    assert await states(api) == {"a": "queued"}


async def test_a_job_may_be_called_as_the_action(api: Api) -> None:
    await enqueue(api, "cancel")
    assert (await api.get(f"{JOBS}/cancel", headers=ADMIN)).body["id"] == "cancel"
    assert (await api.post(f"{JOBS}/cancel/cancel", headers=ADMIN)).body["state"] == "cancelled"
