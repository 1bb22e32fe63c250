"""Jobs over HTTP: enqueue, read, list, wait, cancel, retry."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from multidict import CIMultiDict
from redis.asyncio.client import Pipeline

from producer import JobState, PushQueue
from push_queue.models.assignments import Assignment
from tests.support.api import JOBS, NEW_JOB, TARGET, Api
from tests.support.assignments import succeed
from tests.support.stores import Stores
from tests.support.waiting import becomes

DIGEST = "sha256:" + "d" * 64


async def finish(stores: Stores, job_id: str) -> None:
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    await succeed(stores, assignment, DIGEST)


# Enqueueing


async def test_a_job_is_enqueued_and_read_back(api: Api, queue: PushQueue) -> None:
    answer = await api.post(
        JOBS, json={**NEW_JOB, "compression": "zstd", "labels": {"team": "a"}, "give_up_after": 60}
    )
    assert answer.status == 202
    job = answer.body
    assert answer.headers["Location"] == f"{JOBS}/{job['id']}"
    assert (job["state"], job["targets"], job["labels"]) == ("queued", [TARGET], {"team": "a"})
    assert (job["compression"], job["give_up_after"], job["max_attempts"]) == ("zstd", 60, 5)
    read = (await api.get(answer.headers["Location"])).body
    assert read == {**job, "blobs": [], "attempts": []}
    assert (await queue.status(job["id"])).model_dump(mode="json") == job


async def test_the_same_key_is_the_same_job(api: Api) -> None:
    for key in ("build-1", '"build-1"'):
        answer = await api.post(JOBS, json=NEW_JOB, headers={"Idempotency-Key": key})
        assert (answer.status, answer.body["id"]) == (202, "build-1")
    assert len((await api.get(JOBS)).body["jobs"]) == 1


async def test_another_job_of_the_same_key_is_a_conflict(api: Api) -> None:
    await api.enqueue(id="build-1")
    answer = await api.post(
        JOBS, json={**NEW_JOB, "source": "/other.tar"}, headers={"Idempotency-Key": "build-1"}
    )
    assert (answer.status, answer.kind) == (409, "job-conflict")
    assert "/other.tar" in answer.problem


async def test_a_batch_is_enqueued_in_its_order(api: Api) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    moments = [None, later, None]
    batch = [
        {**NEW_JOB, "id": f"b{number}", "not_before": moment}
        for number, moment in enumerate(moments)
    ]
    answer = await api.post(JOBS, json=batch)
    assert answer.status == 202
    jobs = answer.body["jobs"]
    assert [job["id"] for job in jobs] == ["b0", "b1", "b2"]
    assert [job["next_attempt_at"] is not None for job in jobs] == [False, True, False]
    assert jobs[0]["sequence"] < jobs[1]["sequence"] < jobs[2]["sequence"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "source"),
        ({**NEW_JOB, "source": "app.tar"}, "absolute path"),
        ({**NEW_JOB, "targets": []}, "targets"),
        ({**NEW_JOB, "targets": TARGET}, "targets"),
        ({**NEW_JOB, "targets": ["Upper/case:1"]}, "Upper/case"),
        ({**NEW_JOB, "id": "a b"}, "id"),
        ({**NEW_JOB, "id": ".."}, "id"),
        ({**NEW_JOB, "id": "."}, "id"),
        ({**NEW_JOB, "ordered": "yes"}, "ordered"),
        ({**NEW_JOB, "max_attempts": 0}, "max_attempts"),
        ({**NEW_JOB, "password": "x"}, "password"),
        ({**NEW_JOB, "not_before": "2026-01-01T00:00:00"}, "not_before"),
        ({**NEW_JOB, "not_before": 1700000000}, "not_before"),
        ({**NEW_JOB, "not_before": "2999-01-01T00:00:00Z"}, "not_before"),
        ({**NEW_JOB, "labels": {"": "x"}}, "labels"),
        ([], "body"),
        ([NEW_JOB] * 1001, "1000"),
        ([NEW_JOB, {**NEW_JOB, "not_before": "2999-01-01T00:00:00Z"}], "not_before"),
        ([NEW_JOB, {**NEW_JOB, "priority": "urgent"}], "1.priority"),
        ("text", "body"),
    ],
)
async def test_what_makes_no_job_is_named_and_enqueues_nothing(
    api: Api, body: Any, named: str
) -> None:
    answer = await api.post(JOBS, json=body)
    assert (answer.status, answer.kind) == (400, "invalid-request")
    assert named in answer.problem
    assert (await api.get(JOBS)).body == {"jobs": [], "next": None}


@pytest.mark.parametrize("key", ["", "a b", "x" * 129])
async def test_a_key_that_is_no_id_is_refused(api: Api, key: str) -> None:
    answer = await api.post(JOBS, json=NEW_JOB, headers={"Idempotency-Key": key})
    assert answer.status == 400
    assert "Idempotency-Key" in answer.problem


async def test_a_batch_is_enqueued_while_redis_is_started_again(
    api: Api, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_scripts: Any = Pipeline.load_scripts
    restarts = iter([True])

    async def forgotten(pipeline: Pipeline) -> None:
        await load_scripts(pipeline)
        if next(restarts, False):
            await redis.script_flush()

    monkeypatch.setattr(Pipeline, "load_scripts", forgotten)
    answer = await api.post(JOBS, json=[{**NEW_JOB, "id": name} for name in "abc"])
    assert (answer.status, [job["id"] for job in answer.body["jobs"]]) == (202, ["a", "b", "c"])


@pytest.mark.parametrize("image", ["user:s3cret@host", "user:s3cret@host:1/app:1"])
async def test_an_image_with_a_login_is_neither_repeated_nor_kept(api: Api, image: str) -> None:
    answer = await api.post(JOBS, json={**NEW_JOB, "image": image})
    assert answer.kind == "invalid-request"
    assert "a login" in answer.problem
    assert "s3cret" not in answer.problem
    assert not (await api.get(JOBS)).body["jobs"]


async def test_a_key_belongs_to_one_job_without_another_id(api: Api) -> None:
    for body in ([NEW_JOB], {**NEW_JOB, "id": "other"}):
        answer = await api.post(JOBS, json=body, headers={"Idempotency-Key": "key"})
        assert answer.status == 400
        assert "Idempotency-Key" in answer.problem


async def test_a_key_is_given_once(api: Api) -> None:
    headers = CIMultiDict([("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    answer = await api.post(JOBS, json=NEW_JOB, headers=headers)
    assert answer.status == 400
    assert "Idempotency-Key" in answer.problem


# Listing


async def listed(api: Api, **query: Any) -> list[str]:
    answer = await api.get(JOBS, params=query)
    assert answer.status == 200, answer.body
    assert answer.body["next"] is None
    return [job["id"] for job in answer.body["jobs"]]


async def test_jobs_are_found_by_all_that_is_given(api: Api, stores: Stores) -> None:
    await api.enqueue(id="one", labels={"team": "a", "env": "prod"})
    await api.enqueue(id="two", labels={"team": "b"}, targets=["reg.example.com/team/app:1"])
    await api.enqueue(id="three", targets=["reg.example.com/other:1", "localhost:15000/team/app:2"])
    await finish(stores, "one")
    assert await listed(api) == ["three", "two", "one"]
    assert await listed(api, state="succeeded") == ["one"]
    assert await listed(api, registry="reg.example.com") == ["three", "two"]
    assert await listed(api, repository="team/app") == ["three", "two", "one"]
    assert await listed(api, registry="reg.example.com", repository="team/app") == ["two"]
    assert await listed(api, label="team") == ["two", "one"]
    assert await listed(api, label="team=a") == ["one"]
    assert await listed(api, label=["team=a", "env=test"]) == []
    assert await listed(api, label=["team=a", "env=prod"], state="queued") == []


async def test_jobs_are_found_by_error_and_time(api: Api, queue: PushQueue, stores: Stores) -> None:
    await api.enqueue(id="old")
    assignment = await stores.attempts.start("old", 0, "worker")
    assert isinstance(assignment, Assignment)
    await stores.attempts.fail(assignment, error="no", error_kind="denied")
    await api.enqueue(id="new")
    assert await listed(api, error_kind="denied") == ["old"]
    since = (await queue.status("new")).enqueued_at
    before = (await queue.status("old")).enqueued_at
    assert "new" in await listed(api, since=since.isoformat())
    assert await listed(api, since=before.isoformat()) == ["new", "old"]
    assert await listed(api, since=(since + timedelta(milliseconds=1)).isoformat()) == []


async def test_pages_stay_while_jobs_are_added(api: Api) -> None:
    for number in range(5):
        await api.enqueue(id=f"job-{number}")
    first = (await api.get(JOBS, params={"limit": "2"})).body
    await api.enqueue(id="late")
    second = (await api.get(JOBS, params={"limit": "2", "cursor": first["next"]})).body
    third = (await api.get(JOBS, params={"limit": "2", "cursor": second["next"]})).body
    ids = [job["id"] for page in (first, second, third) for job in page["jobs"]]
    assert ids == ["job-4", "job-3", "job-2", "job-1", "job-0"]
    assert third["next"] is None


async def test_a_page_looks_at_so_many_jobs_only(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("push_queue.jobs.store.READ_AT_ONCE", 2)
    monkeypatch.setattr("push_queue.jobs.store.LOOKED_AT", 4)
    await api.enqueue(id="wanted", labels={"x": ""})
    for _ in range(5):
        await api.enqueue()
    first = (await api.get(JOBS, params={"label": "x"})).body
    assert first["jobs"] == []
    second = (await api.get(JOBS, params={"label": "x", "cursor": first["next"]})).body
    assert [job["id"] for job in second["jobs"]] == ["wanted"]


@pytest.mark.parametrize(
    "query",
    [
        "state=done",
        "limit=0",
        "limit=1001",
        "cursor=x",
        "cursor=-1",
        "since=yesterday",
        "since=1700000000",
        "since=2026-01-01T00:00:00",
        "color=red",
        "label=",
        "label==x",
        "state=failed&state=queued",
    ],
)
async def test_a_query_that_makes_no_sense_is_named(api: Api, query: str) -> None:
    answer = await api.get(f"{JOBS}?{query}")
    assert answer.status == 400
    assert query.partition("=")[0] in answer.problem


@pytest.mark.parametrize("wait", ["NaN", "Infinity", "-1", "301", "soon"])
async def test_a_wait_that_makes_no_sense_is_named(api: Api, wait: str) -> None:
    answer = await api.get(f"{JOBS}/a", params={"wait": wait})
    assert (answer.status, answer.kind) == (400, "invalid-request")
    assert answer.problem.startswith("wait: ")
    assert ("finite" in answer.problem) == (wait in ("NaN", "Infinity"))


# One job


@pytest.mark.parametrize("job_id", ["nobody", "a%20b", "x:blobs", "%00", "x" * 200])
@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("POST", "/cancel"), ("POST", "/retry")])
async def test_an_unknown_job_is_not_found(api: Api, method: str, tail: str, job_id: str) -> None:
    answer = await api.ask(method, f"{JOBS}/{job_id}{tail}")
    assert (answer.status, answer.kind) == (404, "unknown-job")


async def test_waiting_ends_when_the_job_does(api: Api, stores: Stores) -> None:
    job = await api.enqueue()
    waiting = asyncio.create_task(api.get(f"{JOBS}/{job['id']}", params={"wait": "60"}))
    await finish(stores, job["id"])
    answer = await waiting
    assert (answer.body["state"], answer.body["digest"]) == ("succeeded", DIGEST)
    assert len(answer.body["attempts"]) == 1


async def test_waiting_ends_when_the_time_is_up(api: Api) -> None:
    job = await api.enqueue()
    answer = await api.get(f"{JOBS}/{job['id']}", params={"wait": "0.05"})
    assert (answer.status, answer.body["state"]) == (200, "queued")


@pytest.mark.parametrize("wait", ["-1", "301", "nan", "inf", "soon"])
async def test_a_wait_that_is_none_is_refused(api: Api, wait: str) -> None:
    job = await api.enqueue()
    answer = await api.get(f"{JOBS}/{job['id']}", params={"wait": wait})
    assert answer.status == 400
    assert "wait" in answer.problem


async def test_waiting_ends_when_the_server_stops(api: Api) -> None:
    job = await api.enqueue()
    waiting = asyncio.create_task(api.get(f"{JOBS}/{job['id']}", params={"wait": "60"}))

    async def asked() -> bool:
        return api.client.server.handler.requests_count > 1

    await becomes(asked)
    await api.client.server.close()
    assert (await waiting).body["state"] == "queued"


async def test_a_job_is_cancelled_and_retried(api: Api, queue: PushQueue) -> None:
    job = await api.enqueue()
    answer = await api.post(f"{JOBS}/{job['id']}/cancel")
    assert (answer.status, answer.body["state"]) == (200, "cancelled")
    answer = await api.post(f"{JOBS}/{job['id']}/retry", json={})
    assert (answer.status, answer.body["state"]) == (200, "queued")
    assert (await queue.status(job["id"])).generation == 1


async def test_a_running_job_is_asked_to_stop(api: Api, stores: Stores) -> None:
    job = await api.enqueue()
    await stores.attempts.start(job["id"], 0, "worker")
    answer = await api.post(f"{JOBS}/{job['id']}/cancel")
    assert (answer.body["state"], answer.body["cancel_requested"]) == (JobState.RUNNING, True)


async def test_a_damaged_record_costs_only_itself(api: Api, redis: Any, keys: Any) -> None:
    job = await api.enqueue()
    await redis.hset(keys.job(job["id"]), "targets", "\\ud800 { no list")
    answer = await api.get(f"{JOBS}/{job['id']}")
    assert (answer.body["state"], answer.body["error_kind"]) == ("failed", "invalid_job")


async def test_a_request_may_name_the_trace_of_its_job(api: Api) -> None:
    named = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await api.post(JOBS, json=NEW_JOB, headers={"traceparent": named})
    assert answer.body["traceparent"] == named
