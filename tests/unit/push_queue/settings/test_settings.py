import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from push_queue.errors import InvalidSettingsError
from push_queue.settings import doubts, load_settings, model

SECRET = "correct-horse"


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("PUSH_QUEUE_") or name == "REDIS_URL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model, "SECRETS_FOLDER", tmp_path / "secrets")


def test_defaults() -> None:
    settings = load_settings()
    assert str(settings.redis_address) == "localhost:6379"
    assert not settings.redis_configured
    assert (settings.namespace, settings.max_jobs, settings.lease_seconds) == ("push", 10, 15)


@pytest.mark.parametrize("variable", ["PUSH_QUEUE_REDIS_URL", "REDIS_URL"])
def test_either_redis_variable_configures_redis(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "redis://cache:1234/2")
    settings = load_settings()
    assert settings.redis_configured
    assert (str(settings.redis_address), settings.redis_address.database) == ("cache:1234", 2)


def test_our_own_redis_variable_wins_and_an_argument_wins_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://theirs")
    monkeypatch.setenv("PUSH_QUEUE_REDIS_URL", "redis://ours")
    assert load_settings().redis_address.host == "ours"
    assert load_settings(redis_url="redis://argument").redis_address.host == "argument"


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("PUSH_QUEUE_MAX_JOBS", "")
    assert not load_settings().redis_configured
    assert load_settings().max_jobs == 10


def test_env_file_and_secrets_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PUSH_QUEUE_MAX_JOBS=3\nUNRELATED=1\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "push_queue_redis_url").write_text("redis://vault\n")
    settings = load_settings()
    assert (settings.max_jobs, settings.redis_address.host) == (3, "vault")


def test_lists_and_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_QUEUE_PLAIN_HTTP_HOSTS", "registry:5000, other ,")
    monkeypatch.setenv("PUSH_QUEUE_INSECURE_HOSTS", "lab:5000")
    credentials = {"ghcr.io": {"username": "me", "password": SECRET}}
    monkeypatch.setenv("PUSH_QUEUE_REGISTRY_AUTH", json.dumps(credentials))
    options = {"s3://bucket": {"access_key_id": "key", "secret_access_key": SECRET}}
    monkeypatch.setenv("PUSH_QUEUE_STORES", json.dumps(options))
    settings = load_settings()
    assert settings.url_options["stores"] == options
    assert settings.plain_http_hosts == ("registry:5000", "other")
    assert settings.insecure_hosts == ("lab:5000",)
    assert settings.registry_auth["ghcr.io"].password.get_secret_value() == SECRET
    assert SECRET not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    "parameter", ["authorizations", "certs_dir", "insecure_hosts", "plain_http_hosts", "stores"]
)
def test_errors_of_the_library_name_settings(parameter: str) -> None:
    settings = load_settings()
    options = settings.transport_options | settings.url_options
    assert parameter in options
    variable = options["name_of"](parameter)
    assert variable.removeprefix("PUSH_QUEUE_").lower() in type(settings).model_fields


def test_the_redis_password_is_not_shown() -> None:
    settings = load_settings(redis_url=f"redis://user:{SECRET}@host/0")
    assert settings.redis_address.password == SECRET
    assert SECRET not in f"{settings!r} {settings} {settings.redis_address!r}"


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("PUSH_QUEUE_MAX_JOBS", "0", "greater than 0"),
        ("PUSH_QUEUE_MAX_JOBS", "many", "must be a whole number"),
        ("PUSH_QUEUE_MAX_ATTEMPTS", "101", "less than or equal to 100"),
        ("PUSH_QUEUE_GIVE_UP_AFTER_SECONDS", "1000000000000", "less than or equal to 31536000"),
        ("PUSH_QUEUE_NAMESPACE", "a:b", "match pattern"),
        ("PUSH_QUEUE_LOG_FORMAT", "xml", "'text' or 'json'"),
        ("PUSH_QUEUE_REGISTRY_AUTH", "{correct-horse", "must be JSON"),
        ("PUSH_QUEUE_REGISTRY_AUTH", '{"h": {"password": "correct-horse"}}', "h.username"),
        (
            "PUSH_QUEUE_REGISTRY_AUTH",
            '{"auths": {"h": {"auth": "correct-horse"}}, "credsStore": "pass"}',
            '{"username": "…", "password": "…"}}; docker\'s config.json is read where',
        ),
        ("PUSH_QUEUE_REGISTRY_AUTH", '["correct-horse"]', 'must be {"reg.example.com"'),
        ("PUSH_QUEUE_REGISTRY_AUTH", '{"h": "correct-horse"}', "h must have a user and a password"),
        (
            "PUSH_QUEUE_STORES",
            '{"https://h": {"secret_access_key": "correct-horse"}}',
            "s3://bucket",
        ),
        ("PUSH_QUEUE_STORES", '{"s3://bucket/key": {"token": "correct-horse"}}', "s3://bucket"),
        ("PUSH_QUEUE_STORES", '{"s3://bucket": "correct-horse"}', "an object of names"),
        ("PUSH_QUEUE_REDIS_ROUTES", '["redis://h"]', "must be an object of names and values"),
        ("PUSH_QUEUE_REDIS_ROUTES", '{"*": "redis://h"}', "ROUTES: *: '*' is not a pattern"),
        ("PUSH_QUEUE_REDIS_URL", "http://:correct-horse@host", "must start with redis://"),
        ("PUSH_QUEUE_REDIS_URL", "redis://:correct-horse@host:port", "port"),
        ("REDIS_URL", "redis://:correct-horse@host/first", "database"),
        ("PUSH_QUEUE_SERVER", "user:correct-horse@host", "'host' is not the URL of a server"),
        ("PUSH_QUEUE_SERVER", "http://[::1", "is not the URL of a server"),
        ("PUSH_QUEUE_SERVER", "http://u:correct-horse@host", "the URL of host has a login"),
        ("PUSH_QUEUE_SERVER", "http://host/api/v1/", "leave /api/v1/ out"),
        ("PUSH_QUEUE_TOKEN", "correct-horse\nbattery", "must be printable ASCII on one line"),
    ],
)
def test_an_unusable_value_is_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert variable in message
    assert reason in message
    assert SECRET not in message
    assert "\n" not in message


def test_targets_are_patterns_of_registry_and_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_QUEUE_TARGETS", "Reg.example.com:5000/team/*, docker.io/me/*")
    assert load_settings().targets == ("reg.example.com:5000/team/*", "docker.io/me/*")


@pytest.mark.parametrize(
    "pattern", ["reg.example.com", "https://reg.example.com/app", "reg/app:1", "/app", "reg/"]
)
def test_a_pattern_that_can_match_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setenv("PUSH_QUEUE_TARGETS", pattern)
    with pytest.raises(InvalidSettingsError, match=r"PUSH_QUEUE_TARGETS.*not a pattern of"):
        load_settings()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (".env", ".env is not UTF-8; save it as UTF-8"),
        ("secrets/push_queue_registry_auth", "PUSH_QUEUE_REGISTRY_AUTH: must be UTF-8"),
        ("secrets/push_queue_namespace", "PUSH_QUEUE_NAMESPACE: must be UTF-8"),
    ],
)
def test_a_file_that_is_not_utf_8_is_named(file: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / file).write_bytes(f"PUSH_QUEUE_NAMESPACE={SECRET}é".encode("latin-1"))
    with pytest.raises(InvalidSettingsError, match=f"^{re.escape(words)}$") as caught:
        load_settings()
    assert SECRET not in str(caught.value)


def test_an_env_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").touch()

    def refuse(path: Path, *_: object, **__: object) -> None:  # as for anybody but root
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", refuse)
        with pytest.raises(
            InvalidSettingsError, match=r"^\.env cannot be read: Permission denied$"
        ):
            load_settings()


def test_a_mark_at_the_beginning_of_the_env_file_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PUSH_QUEUE_MAX_JOBS=3\n", encoding="utf-8-sig")
    settings = load_settings()
    assert settings.max_jobs == 3
    assert doubts() == []


@pytest.mark.parametrize(
    ("name", "doubt"),
    [
        ("PUSH_QUEUE_MAX_JOB", "is not a setting; did you mean PUSH_QUEUE_MAX_JOBS?"),
        ("push_queue_redis_ur", "is not a setting; did you mean PUSH_QUEUE_REDIS_URL?"),
        ("PUSH_QUEUE_QUITE_ANOTHER_THING", "is not a setting"),
    ],
)
def test_a_variable_that_is_no_setting_is_doubted(
    name: str, doubt: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert doubts() == []
    monkeypatch.setenv(name, "1")
    assert doubts() == [f"{name} {doubt}"]
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"{name}=1\n")
    assert doubts() == [f"{name} {doubt}"]


def test_a_setting_in_lower_case_is_not_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("push_queue_max_jobs", "3")
    assert load_settings().max_jobs == 3
    assert doubts() == []


FOLDERS = [
    ("cache_folder", "XDG_CACHE_HOME", ".cache"),
    ("data_folder", "XDG_DATA_HOME", ".local/share"),
]


@pytest.mark.parametrize(("name", "variable", "default"), FOLDERS)
def test_folders_are_in_those_of_the_user(
    name: str, variable: str, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv(variable, "/var/alice")
    assert getattr(load_settings(), name) == Path("/var/alice/push-queue")
    for ignored in ("", "relative"):
        monkeypatch.setenv(variable, ignored)
        assert getattr(load_settings(), name) == Path("/home/alice", default, "push-queue")


@pytest.mark.parametrize(("name", "variable", "default"), FOLDERS)
def test_who_has_no_home_has_no_folders(
    name: str, variable: str, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert getattr(load_settings(), name) is None


HASH = "a" * 64


def test_tokens_of_the_api(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    tokens = {"ci": {"role": "enqueue", "targets": ["Reg.example.com/team/*"], "sha256": HASH}}
    (tmp_path / "secrets" / "PUSH_QUEUE_API_TOKENS").write_text(json.dumps(tokens))
    token = load_settings().api_tokens["ci"]
    assert (token.role, token.targets) == ("enqueue", ("reg.example.com/team/*",))


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ({"ci": {"role": "enqueue", "sha256": HASH}}, "needs targets"),
        ({"ci": {"role": "read", "targets": [], "sha256": HASH}}, "needs targets"),
        ({"ci": {"role": "admin", "targets": ["*/*"], "sha256": HASH}}, "an admin has all"),
        ({"ci": {"role": "enqueue", "targets": ["team"], "sha256": HASH}}, "is not a pattern"),
        ({"ci": {"role": "root", "sha256": HASH}}, "role"),
        ({"ci": {"role": "admin", "sha256": SECRET}}, "sha256"),
        ({"ci": {"role": "admin", "sha256": HASH, "token": SECRET}}, "token"),
        ({"c i": {"role": "admin", "sha256": HASH}}, "c i"),
        (
            {"a": {"role": "admin", "sha256": HASH}, "b": {"role": "admin", "sha256": HASH}},
            "two names have the same token",
        ),
    ],
)
def test_tokens_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, tokens: dict[str, object], said: str
) -> None:
    monkeypatch.setenv("PUSH_QUEUE_API_TOKENS", json.dumps(tokens))
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith("PUSH_QUEUE_API_TOKENS")
    assert said in message
    assert SECRET not in message


RULE = {"role": "enqueue", "targets": ["reg.example.com/*"], "claims": {"repository": "acme/app"}}
ISSUER = {"issuer": "https://ci.example.com", "audience": "https://push.example.com"}


def test_issuers_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_QUEUE_API_OIDC", json.dumps({"ci": {**ISSUER, "rules": [RULE]}}))
    settings = load_settings()
    (rule,) = settings.api_oidc["ci"].rules
    assert (rule.role, rule.claims) == ("enqueue", {"repository": "acme/app"})
    assert not settings.api_open


@pytest.mark.parametrize(
    ("issuer", "rule", "said"),
    [
        ({"issuer": "http://ci.example.com"}, {}, "https://"),
        ({"issuer": "http://localhost.example.com"}, {}, "https://"),
        ({"issuer": "ci.example.com"}, {}, "must be a URL"),
        ({"issuer": "https://u:p@ci.example.com"}, {}, "must be a URL"),
        ({"issuer": "https://ci.example.com?x=1"}, {}, "must be a URL"),
        ({"audience": ""}, {}, "audience"),
        ({"rules": []}, {}, "rules"),
        ({"keys": []}, {}, "keys"),
        ({}, {"claims": {}}, "claims"),
        ({}, {"claims": {"repository": "*"}}, "strangers"),
        ({}, {"claims": {"repository": "*?"}}, "strangers"),
        ({}, {"claims": {"repository": ""}}, "repository"),
        ({}, {"targets": []}, "needs targets"),
        ({}, {"role": "admin"}, "an admin has all"),
    ],
)
def test_issuers_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, issuer: dict[str, Any], rule: dict[str, Any], said: str
) -> None:
    given = {**ISSUER, "rules": [{**RULE, **rule}], **issuer}
    monkeypatch.setenv("PUSH_QUEUE_API_OIDC", json.dumps({"ci": given}))
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith("PUSH_QUEUE_API_OIDC")
    assert said in str(caught.value)


def test_an_issuer_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {**ISSUER, "rules": [RULE]}
    monkeypatch.setenv("PUSH_QUEUE_API_OIDC", json.dumps({"a": one, "b": one}))
    with pytest.raises(InvalidSettingsError, match="same issuer"):
        load_settings()


@pytest.mark.parametrize(
    ("value", "sources"),
    [
        ("", ("label:team", "caller")),
        ("caller", ("caller",)),
        ("label:cost centre, label:team", ("label:cost centre", "label:team")),
        ("none", ()),
    ],
)
def test_what_tells_a_team(
    monkeypatch: pytest.MonkeyPatch, value: str, sources: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PUSH_QUEUE_FAIR_SHARE_BY", value)
    assert load_settings().fair_share_by == sources


@pytest.mark.parametrize("value", ["team", "none,caller", "label:"])
def test_what_tells_no_team_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PUSH_QUEUE_FAIR_SHARE_BY", value)
    with pytest.raises(InvalidSettingsError, match=r"FAIR_SHARE_BY.* neither caller nor label:"):
        load_settings()


def test_a_registry_may_have_a_rate_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().max_rate_of("reg.example.com") is None
    monkeypatch.setenv("PUSH_QUEUE_REGISTRY_MAX_RATES", '{"reg.example.com": "20MB"}')
    assert load_settings().max_rate_of("reg.example.com") == 20_000_000
    assert load_settings().max_rate_of("other.example.com") is None
    monkeypatch.setenv("PUSH_QUEUE_REGISTRY_MAX_RATE", "50MiB")
    assert load_settings().max_rate_of("reg.example.com") == 20_000_000
    assert load_settings().max_rate_of("other.example.com") == 50 << 20


@pytest.mark.parametrize("rate", ["0", "fast", "-1"])
def test_a_rate_that_sends_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    monkeypatch.setenv("PUSH_QUEUE_REGISTRY_MAX_RATE", rate)
    with pytest.raises(InvalidSettingsError, match="PUSH_QUEUE_REGISTRY_MAX_RATE"):
        load_settings()
