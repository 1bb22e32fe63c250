"""What loading redis-py leaves out is there when it is used."""

import subprocess
import sys

READ_LATER = """
import sys
import push_queue.redis
assert "jwt" not in sys.modules
from redis.auth.token import JWToken
import jwt
token = jwt.encode({"iat": 1, "exp": 2_000_000_000}, "x" * 32, algorithm="HS256")
print(JWToken(token).get_expires_at_ms())
"""


def test_who_logs_in_to_redis_by_a_token_still_can() -> None:
    done = subprocess.run([sys.executable, "-c", READ_LATER], capture_output=True, text=True)
    assert float(done.stdout) == 2_000_000_000_000, done.stderr
