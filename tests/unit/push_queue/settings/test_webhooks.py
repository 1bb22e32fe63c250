"""Which receivers can be set up, and what they want to hear of."""

import json
from typing import Any

import pytest

from push_queue.errors import InvalidSettingsError
from push_queue.jobs.codec import fields_of, parse_status
from push_queue.models.job import make_job
from push_queue.models.job_status import FINAL_STATES, JobState, JobStatus
from push_queue.settings import load_settings
from tests.support.webhooks import SECRET, setting, webhook

URL = "https://ci.example.com/hooks/T0P-S3CRET"


def job(state: JobState = JobState.FAILED, **fields: Any) -> JobStatus:
    fields = {"id": "a", "source": "/a.tar", "targets": ["reg.example.com/team/app:1"], **fields}
    rest = {"state": state, "sequence": "1", "enqueued_at": "2026-01-31T09:30:00.000Z"}
    return parse_status(fields_of(make_job(**fields)) | rest)


def test_a_receiver_hears_of_all_that_ends_unless_it_says_more() -> None:
    assert all(webhook().wants(job(state)) for state in FINAL_STATES)


@pytest.mark.parametrize(
    ("filters", "fields", "wanted"),
    [
        ({"states": ["failed"]}, {}, True),
        ({"states": ["succeeded", "superseded"]}, {}, False),
        ({"labels": {"team": "web-*"}}, {"labels": {"team": "web-shop", "more": ""}}, True),
        ({"labels": {"team": "web-*"}}, {"labels": {"team": "db"}}, False),
        ({"labels": {"team": "*"}}, {}, False),
        ({"labels": {"team": "*", "env": "prod"}}, {"labels": {"team": "web"}}, False),
        ({"targets": ["reg.example.com/*"]}, {}, True),
        ({"targets": ["reg.example.com/Team/app"]}, {}, True),
        ({"targets": ["other.example.com/*"]}, {}, False),
        ({"targets": ["localhost:5000/*"]}, {"targets": ["a.io/b:1", "localhost:5000/app"]}, True),
        ({"states": ["failed"], "targets": ["other.example.com/*"]}, {}, False),
    ],
)
def test_filters(filters: dict[str, Any], fields: dict[str, Any], wanted: bool) -> None:
    assert webhook(**filters).wants(job(**fields)) is wanted


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ftp://ci.example.com/T0P-S3CRET"}, "WEBHOOKS: ci.url: must be a URL"),
        ({"url": "https:///T0P-S3CRET"}, "must be a URL"),
        ({"url": "https://ci.example.com:x/T0P-S3CRET"}, "url"),
        ({"url": "https://ci.example.com/T0P-S3CRET \n"}, "must be a URL"),
        ({"url": "https://T0P-S3CRET@ci.example.com/"}, "must have no user"),
        ({"url": None}, "url"),
        ({"secret": "T0P-S3CRET"}, "openssl rand"),
        ({"secret": "whsec_T0P-S3CRET"}, "openssl rand"),
        ({"secret": "whsec_c2hvcnQ="}, "openssl rand"),
        ({"secret": []}, "secret"),
        ({"secret": [SECRET, "T0P-S3CRET"]}, "openssl rand"),
        ({"states": ["running"]}, "must be of succeeded, failed, cancelled, superseded"),
        ({"states": []}, "states"),
        ({"targets": ["reg.example.com"]}, "not a pattern"),
        ({"timeout": 0}, "timeout"),
        ({"backlog": 0}, "backlog"),
        ({"lables": {}}, "lables"),
    ],
)
def test_what_cannot_be_used_is_named_and_shows_no_secret(
    options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = {"url": URL, "secret": SECRET, **options}
    monkeypatch.setenv("PUSH_QUEUE_WEBHOOKS", json.dumps({"ci": receiver}))
    with pytest.raises(InvalidSettingsError) as refusal:
        load_settings()
    message = str(refusal.value)
    assert words in message
    assert message.startswith("PUSH_QUEUE_WEBHOOKS")
    assert len(message.splitlines()) == 1
    assert "S3CRET" not in message
    assert SECRET not in message


def test_nothing_that_is_printed_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_QUEUE_WEBHOOKS", setting(ci={"url": "https://ci.example.com:8443"}))
    settings = load_settings()
    ci = settings.webhooks["ci"]
    for shown in (repr(settings), str(ci), ci.model_dump_json(), ci.origin, ci.fingerprint):
        assert "S3CRET" not in shown
        assert SECRET not in shown
    assert ci.origin == "https://ci.example.com:8443"


def test_the_fingerprint_tells_that_the_url_has_changed() -> None:
    assert webhook().fingerprint == webhook(states=["failed"]).fingerprint
    assert webhook().fingerprint != webhook("http://127.0.0.1:2").fingerprint
