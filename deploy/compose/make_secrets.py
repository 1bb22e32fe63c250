"""Make the secrets of docker-compose.yml that are not there yet.

They are in the folders redis/, worker/ and api/ below the one that is named, each for one program.
A file that is there stays as it is.
"""

import json
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

from push_queue.settings.api_tokens import hash_of, new_token

REDIS_CONFIG = Path("redis/redis.conf")
REDIS_URLS = (Path("worker/PUSH_QUEUE_REDIS_URL"), Path("api/PUSH_QUEUE_REDIS_URL"))
TOKENS, TOKEN = Path("api/PUSH_QUEUE_API_TOKENS"), Path("api/PUSH_QUEUE_TOKEN")


def make_secrets(folder: Path) -> None:
    """Make what is missing below the folder.

    Raises:
        ValueError: a URL of Redis is missing, and so is the password for it.
    """
    config = folder / REDIS_CONFIG
    if not config.exists():
        write(config, f"requirepass {secrets.token_hex(32)}")
    for url in REDIS_URLS:
        if not (folder / url).exists():
            write(folder / url, f"redis://:{password_in(config)}@redis:6379")
    if not (folder / TOKENS).exists():
        make_token(folder)


def password_in(config: Path) -> str:
    for line in config.read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "requirepass":
            return quote(value.strip().strip('"'), safe="")
    raise ValueError(
        f"{config} has no requirepass; put a URL with a login into each of: "
        + ", ".join(map(str, REDIS_URLS))
    )


def make_token(folder: Path) -> None:
    """Make the token of an admin."""
    token = new_token()
    write(folder / TOKEN, token)
    write(folder / TOKENS, json.dumps({"admin": {"role": "admin", "sha256": hash_of(token)}}))


def write(path: Path, content: str) -> None:
    """Write it whole or not at all, for the user of another container to read."""
    draft = path.with_suffix(".new")
    draft.write_text(content + "\n")
    draft.chmod(0o444)
    draft.rename(path)


def main() -> int:
    try:
        make_secrets(Path(sys.argv[1]))
    except (OSError, ValueError) as error:
        print(f"secrets: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
