"""What a receiver gets: the job as others see it, in a CloudEvent, with signed headers."""

import hmac
import json
from base64 import b64decode, b64encode
from hashlib import sha256

from push_queue.jobs.codec import fields_of, parse_status
from push_queue.models.job import make_job
from push_queue.models.job_status import JobStatus
from push_queue.webhook_outbox import FinalEvent
from tests.support.webhooks import KEY
from worker.webhooks.cloud_event import event_of_job, event_of_ping
from worker.webhooks.signature import signed_headers


def job(**fields: str) -> JobStatus:
    request = make_job(
        id="build-1",
        source="https://artifacts.example.com/app.tar?X-Amz-Signature=s3cret",
        targets=["reg.example.com/team/app:1"],
        labels={"team": "wéb"},
    )
    rest = {
        "state": "succeeded",
        "sequence": "17",
        "attempt": "2",
        "seconds_run": "1.5",
        "enqueued_at": "2026-01-31T09:30:00.000Z",
        "finished_at": "2026-01-31T09:31:00.123Z",
        "digest": "sha256:11",
        "result:reg.example.com/team/app:1": "sha256:11",
        "fence": "3",
        "token": "worker-only",
    }
    return parse_status(fields_of(request, "ci") | rest | fields)


def test_the_event_of_a_job() -> None:
    event = json.loads(event_of_job(FinalEvent("1769851860123456", "1-0", job(), 0.0), "prod"))
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": "1769851860123456-" + sha256(b"build-1").hexdigest()[:8],
        "source": "push-queue:prod",
        "type": "push-queue.job.succeeded",
        "subject": "build-1",
        "time": "2026-01-31T09:31:00.123000Z",
        "datacontenttype": "application/json",
        "sequence": "1769851860123456",
    }
    assert data == job().model_dump(mode="json")
    assert (data["labels"], data["enqueued_by"]) == ({"team": "wéb"}, "ci")
    assert data["results"][0]["digest"] == "sha256:11"


def test_no_signature_of_a_url_and_nothing_of_the_workers_own_leaves() -> None:
    text = event_of_job(FinalEvent("1", "1-0", job(), 0.0), "push").decode()
    assert '"https://artifacts.example.com/app.tar"' in text
    assert "s3cret" not in text
    assert "worker-only" not in text


def test_a_damaged_job_has_an_event_without_a_time() -> None:
    damaged = job().model_copy(update={"finished_at": None})
    event = json.loads(event_of_job(FinalEvent("1", "1-0", damaged, 0.0), "push"))
    assert "time" not in event


def test_a_ping_is_about_no_job() -> None:
    event = json.loads(event_of_ping("ab12", "push"))
    assert (event["type"], event["id"], event["data"]) == ("push-queue.ping", "ab12", {})
    assert "subject" not in event


def test_a_signature_for_each_key() -> None:
    body = "{é}".encode()
    headers = signed_headers([KEY, b"old" * 8], "17", 1769851860, body)
    assert headers["webhook-id"] == "17"
    assert headers["webhook-timestamp"] == "1769851860"
    signed = b"17.1769851860." + body
    assert headers["webhook-signature"].split(" ") == [
        f"v1,{b64encode(hmac.new(key, signed, 'sha256').digest()).decode()}"
        for key in (KEY, b"old" * 8)
    ]


def test_the_example_of_the_specification() -> None:
    """https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries, their test."""
    key = b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(
        [key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
