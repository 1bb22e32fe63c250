"""Logins of browsers: the token of each session, until it ends.

Kept in Redis, so that all servers know them and a restart ends none. Redis holds only the SHA-256
of both, which is useless to a reader.
"""

from push_queue.redis.database import Database
from push_queue.settings.api_tokens import hash_of, new_secret

SESSION_SECONDS = 12 * 3600


class Sessions:
    """The sessions of one namespace."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys

    async def begin(self, token_sha256: str) -> str:
        """The secret of a new session for the token."""
        secret = new_secret()
        key = self._keys.session(hash_of(secret))
        await self._database.ask(self._redis.set(key, token_sha256, ex=SESSION_SECONDS))
        return secret

    async def token_of(self, secret: str) -> str | None:
        """The SHA-256 of the session's token; None if there is no such session any more."""
        found = await self._database.ask(self._redis.get(self._keys.session(hash_of(secret))))
        return found.decode() if found else None

    async def close(self, secret: str) -> None:
        """End the session, if there is one."""
        await self._database.ask(self._redis.unlink(self._keys.session(hash_of(secret))))
