"""Tokens of the HTTP API for tests, one of each role."""

import json

from push_queue.settings import Settings
from push_queue.settings.api_tokens import ApiToken, Role, hash_of

PATTERN = "reg.example.com/team/*"
OWN = "reg.example.com/team/app:1"
FOREIGN = "reg.example.com/others/app:1"
TOKENS = {role: f"token-of-{role}" for role in Role}


def with_tokens(settings: Settings) -> Settings:
    """The settings of a server that knows these tokens; ``team-ROLE`` is the name of each."""
    tokens = {
        f"team-{role}": ApiToken(
            role=role,
            targets=(PATTERN,) if role in (Role.READ, Role.ENQUEUE) else (),
            sha256=hash_of(token),
        )
        for role, token in TOKENS.items()
    }
    return settings.model_copy(update={"api_tokens": tokens})


def operator_token() -> tuple[str, str]:
    """The token of an admin, and the ``PUSH_QUEUE_API_TOKENS`` that knows it."""
    token = TOKENS[Role.ADMIN]
    return token, json.dumps({"operator": {"role": Role.ADMIN, "sha256": hash_of(token)}})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
