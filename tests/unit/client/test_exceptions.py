"""The exception tree: what is below what, what a retry can help, and which word a job shows."""

import pytest

import registry_api_v2_client.exceptions as module
from registry_api_v2_client.exceptions import (
    AnswerCutShortError,
    ArchiveDigestError,
    CredentialsError,
    DeniedError,
    DigestMismatchError,
    InvalidReferenceError,
    NoSlotError,
    RateLimitedError,
    RegistryError,
    RegistryTimeoutError,
    RegistryUnavailableError,
    ResponseError,
    ServerError,
    SourceMissingError,
    SourceUnavailableError,
    SourceUnreadableError,
    TarReadError,
    TLSError,
    TokenExpiredError,
    UnauthorizedError,
    UploadUnknownError,
    ValidationError,
)

ERRORS: list[type[RegistryError]] = [getattr(module, name) for name in module.__all__]


def test_every_error_of_the_module_is_listed() -> None:
    defined = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, RegistryError)
    }
    assert defined == set(module.__all__)


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_a_registry_error(error: type[RegistryError]) -> None:
    assert issubclass(error, RegistryError)


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_drawn_in_the_tree(error: type[RegistryError]) -> None:
    assert module.__doc__ is not None
    assert f" {error.__name__} " in module.__doc__.replace("\n", " ")


@pytest.mark.parametrize("error", ERRORS)
def test_the_kind_is_one_stable_word(error: type[RegistryError]) -> None:
    assert error.kind.replace("_", "").isalpha()
    assert error.kind.islower()


def test_only_what_time_can_mend_is_retryable() -> None:
    assert {error for error in ERRORS if error.retryable} == {
        NoSlotError,
        SourceUnavailableError,
        RegistryUnavailableError,
        RegistryTimeoutError,
        AnswerCutShortError,
        ServerError,
        RateLimitedError,
        UploadUnknownError,
        DigestMismatchError,
        TokenExpiredError,
    }


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (InvalidReferenceError, ValidationError),
        (SourceUnreadableError, ValidationError),
        (SourceMissingError, SourceUnreadableError),
        (TarReadError, ValidationError),
        (ArchiveDigestError, TarReadError),
        (UnauthorizedError, ResponseError),
        (DeniedError, ResponseError),
        (ServerError, ResponseError),
        (TLSError, RegistryError),
        (CredentialsError, RegistryError),
    ],
)
def test_the_tree(error: type[RegistryError], parent: type[RegistryError]) -> None:
    assert error.__bases__[0] is parent


def test_kinds_that_a_job_shows() -> None:
    assert DeniedError.kind == "denied"
    assert UnauthorizedError.kind == CredentialsError.kind == "unauthorized"
    assert ServerError.kind == RegistryUnavailableError.kind == "registry_unavailable"


def test_an_answer_keeps_status_code_and_delay() -> None:
    error = RateLimitedError("slow down", status=429, code="TOOMANYREQUESTS", retry_after=3)
    assert (error.status, error.code, error.retry_after) == (429, "TOOMANYREQUESTS", 3)
    assert str(error) == "slow down"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("a\nERROR forged", r"a\nERROR forged"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u2028b", r"a\u2028b"),
        ("\udcff", r"\udcff"),
        ("Übung … ok", "Übung … ok"),
    ],
)
@pytest.mark.parametrize("error", ERRORS)
def test_no_message_drives_a_terminal_or_forges_a_line(
    error: type[RegistryError], hostile: str, shown: str
) -> None:
    raised = error(hostile, status=400) if issubclass(error, ResponseError) else error(hostile)
    assert str(raised) == shown


def test_a_long_message_keeps_what_it_names_and_what_to_do() -> None:
    message = str(TarReadError(f"layer {'x' * 10_000_000} is missing"))
    assert message.startswith("layer xxx")
    assert message.endswith("xxx is missing")
    assert len(message) < 1100
