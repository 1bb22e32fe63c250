"""Which URLs jobs may name, and which of them workers may read."""

import pytest
from yarl import URL

from push_queue.errors import InvalidJobError, InvalidSettingsError
from push_queue.jobs.codec import fields_of
from push_queue.models.formats import format_of
from push_queue.models.job import PushJob, make_job
from push_queue.models.job_status import JobState, JobStatus
from push_queue.models.source_urls import SourceUrls, parse_source_url, shown
from push_queue.settings import load_settings

SIGNED = "https://artifacts.example.com/builds/app.tar?X-Amz-Signature=s%2Fcret%3D&x=%7E"


def job(source: str, **options: object) -> PushJob:
    return make_job(id="job", source=source, targets=("reg.example.com/app:1",), **options)


def test_a_url_is_kept_byte_for_byte() -> None:
    assert job(SIGNED).source == SIGNED
    assert str(parse_source_url(SIGNED)) == SIGNED


def test_older_workers_leave_it_alone() -> None:
    assert format_of(job(SIGNED)) == format_of(job("s3://bucket/app.tar")) == 3
    assert fields_of(job(SIGNED))["source"] == SIGNED


def test_what_is_shown_has_no_query() -> None:
    status = JobStatus(
        **job(SIGNED).model_dump(),
        state=JobState.QUEUED,
        sequence=1,
        enqueued_at="2026-11-28T12:00:00Z",  # type: ignore[arg-type]
    )
    assert "cret" not in status.model_dump_json()
    assert status.model_dump(mode="json")["source"] == shown(SIGNED) == SIGNED.partition("?")[0]
    assert status.job == job(SIGNED)
    assert shown("https://user:pass@host/app.tar") == "https://host/app.tar"
    assert shown("/builds/what?.tar") == "/builds/what?.tar"


@pytest.mark.parametrize(
    "source",
    [
        "ftp://artifacts.example.com/app.tar",
        "file:///etc/passwd",
        "HTTPS://user@artifacts.example.com/app.tar",
        "https://user:secret@artifacts.example.com/app.tar",
        "https://:secret@artifacts.example.com/app.tar",
        "https://artifacts.example.com",
        "https://artifacts.example.com/",
        "https://artifacts.example.com?secret",
        "https://artifacts.example.com/app.tar#part",
        "https://artifacts.example.com/app.tar#",
        "https:///app.tar",
        "https://artifacts.example.com:99999/secret.tar",
        "https://artifacts.example.com:x/app.tar",
        "https://good.example.com\\@evil.example.com/app.tar",
        "https://artifacts%2eexample.com/app.tar",
        "https://[fe80::1%25eth0]/app.tar",
        "https://artifacts.example.com/a b.tar",
        "https://artifacts.example.com/app.tar\r\nHost: evil",
        "https://ärtifacts.example.com/app.tar",
        "https://*/app.tar",
        "https://.artifacts.example.com/app.tar",
        "https://artifacts..example.com/app.tar",
        f"https://{'a' * 64}.example.com/app.tar",
        "s3://bucket",
        "s3://key:secret@bucket/app.tar",
        "s3://bucket:9000/app.tar",
        "s3://bucket/app.tar?versionId=secret",
    ],
)
def test_a_url_that_makes_no_sense_is_refused_without_its_secrets(source: str) -> None:
    with pytest.raises(InvalidJobError, match="source") as caught:
        job(source)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_at_a_url_is_deleted() -> None:
    with pytest.raises(InvalidJobError, match=r"job: cleanup: workers delete .* at a URL"):
        job(SIGNED, cleanup=True)


ALLOWED = SourceUrls(
    [
        "https://artifacts.example.com/builds/",
        "https://*.cdn.example.com/a",
        "http://127.0.0.1:9000/",
        "http://localhost:9001/",
        "10.1.0.0/16",
        "s3://bucket/builds/",
    ]
)


@pytest.mark.parametrize(
    "url",
    [
        "https://artifacts.example.com/builds/app.tar",
        "https://artifacts.example.com:443/builds/app.tar?x=../..",
        "https://ARTIFACTS.example.com./builds/team%2Fapp.tar",
        "https://eu.cdn.example.com/a",
        "https://b.eu.cdn.example.com/a/app.tar",
        "http://127.0.0.1:9000/app.tar",
        "s3://bucket/builds/app.tar",
    ],
)
def test_what_is_below_an_entry_is_read(url: str) -> None:
    assert "10.1.0.0/16" in map(str, ALLOWED.networks(URL(url, encoded=True)))


@pytest.mark.parametrize(
    "url",
    [
        "http://artifacts.example.com/builds/app.tar",
        "https://artifacts.example.com:8443/builds/app.tar",
        "https://artifacts.example.com/other/app.tar",
        "https://artifacts.example.com/buildsapp.tar",
        "https://artifacts.example.com/builds/../other/app.tar",
        "https://artifacts.example.com/builds/%2e%2e/other/app.tar",
        "https://artifacts.example.com/builds/%252e%252e/other/app.tar",
        "https://artifacts.example.com/builds/x%2f..%2f..%2fother/app.tar",
        "https://artifacts.example.com/builds/..%5cother/app.tar",
        "https://artifacts.example.com/builds/..;/other/app.tar",
        "https://artifacts.example.com.evil.com/builds/app.tar",
        "https://evilcdn.example.com/a/app.tar",
        "https://cdn.example.com/a/app.tar",
        "https://evil.com/.cdn.example.com/a/app.tar",
        "https://eu.cdn.example.com/ab",
        "http://127.0.0.1/app.tar",
        "http://127.1:9000/app.tar",
        "http://2130706433:9000/app.tar",
        "http://[::ffff:127.0.0.1]:9000/app.tar",
        "http://10.1.2.3/app.tar",
        "s3://bucket/app.tar",
        "s3://bucket/builds/%2e%2e/app.tar",
        "gs://bucket/builds/app.tar",
    ],
)
def test_what_is_not_below_an_entry_is_not(url: str) -> None:
    with pytest.raises(ValueError, match=r"PUSH_QUEUE_SOURCE_URLS|\.\. in its path"):
        ALLOWED.networks(URL(url, encoded=True))


def test_addresses_are_allowed_by_name_only() -> None:
    def networks(url: str) -> set[str]:
        return set(map(str, ALLOWED.networks(URL(url)))) - {"10.1.0.0/16"}

    assert networks("https://artifacts.example.com/builds/app.tar") == set()
    assert networks("http://127.0.0.1:9000/app.tar") == {"127.0.0.1/32"}
    assert networks("http://localhost:9001/app.tar") == {"127.0.0.0/8", "::1/128"}


def test_without_the_setting_no_url_is_read() -> None:
    with pytest.raises(ValueError, match="set PUSH_QUEUE_SOURCE_URLS"):
        SourceUrls().networks(URL(SIGNED))
    with pytest.raises(ValueError, match="set PUSH_QUEUE_SOURCE_URLS"):
        SourceUrls(["10.0.0.0/8"]).networks(URL("http://10.0.0.1/app.tar"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOURCE_URLS", "artifacts.example.com"),
        ("SOURCE_URLS", "ftp://artifacts.example.com/"),
        ("SOURCE_URLS", "https://secret@artifacts.example.com/"),
        ("SOURCE_URLS", "https://artifacts.example.com/?secret"),
        ("SOURCE_URLS", "https:///builds/"),
        ("SOURCE_URLS", "10.1.2.3/16"),
        ("SOURCE_AUTH", '{"artifacts.example.com": {"token": "secret"}}'),
        ("SOURCE_AUTH", '{"https://artifacts.example.com/builds/": {"token": "secret"}}'),
        ("SOURCE_AUTH", '{"https://artifacts.example.com": {}}'),
        ("SOURCE_AUTH", '{"https://artifacts.example.com": {"username": "secret"}}'),
        (
            "SOURCE_AUTH",
            '{"https://a.example.com": {"username": "a", "password": "secret", "token": "b"}}',
        ),
    ],
)
def test_a_bad_setting_is_named_and_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PUSH_QUEUE_{name}", value)
    with pytest.raises(InvalidSettingsError, match=f"PUSH_QUEUE_{name}") as caught:
        load_settings()
    assert "secret" not in str(caught.value)


def test_logins_go_by_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PUSH_QUEUE_SOURCE_AUTH",
        '{"https://A.example.com:443/": {"username": "user", "password": "pass"},'
        ' "https://b.example.com": {"token": "t"}}',
    )
    assert load_settings().url_options["authorizations"] == {
        "https://a.example.com": "Basic dXNlcjpwYXNz",
        "https://b.example.com": "Bearer t",
    }
