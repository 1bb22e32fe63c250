"""How a caller is told that it may not, and what to send instead (RFC 6750)."""

from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError

_CHALLENGE = 'Bearer realm="push-queue"'


def missing_token() -> ProblemError:
    """Nothing says who calls."""
    return ProblemError(
        ProblemType.TOKEN_MISSING,
        "the token is missing; send it as Authorization: Bearer TOKEN",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def unauthorized(problem: ProblemType, detail: str) -> ProblemError:
    """What says who calls is not good."""
    return ProblemError(problem, detail, headers=_challenge("invalid_token"))


def forbidden(problem: ProblemType, detail: str) -> ProblemError:
    """It is known who calls, and that is not enough."""
    return ProblemError(problem, detail, headers=_challenge("insufficient_scope"))


def _challenge(error: str) -> dict[str, str]:
    return {"WWW-Authenticate": f'{_CHALLENGE}, error="{error}"'}
