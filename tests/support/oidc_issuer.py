"""An OpenID Connect issuer on the loopback, as CI systems have one.

async with OidcIssuer() as issuer:
    token = issuer.token(repository="acme/app")
"""

import json
import time
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.local_server import LocalServer

AUDIENCE = "https://push.example.com"


@cache
def rsa_key(name: str = "") -> rsa.RSAPrivateKey:
    """A key; another one for each name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class OidcIssuer(LocalServer):
    """Signs tokens with one of its keys, and tells everybody the public ones.

    Attributes:
        keys: the private keys by id.
        asked: paths, in order.
        says: answers by path that are not the right ones.
    """

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {"k1": rsa_key()}
        self.asked: list[str] = []
        self.says: dict[str, web.Response] = {}
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        super().__init__(web.AppRunner(application))

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Those of a good token; None leaves one out."""
        now = int(time.time())
        good = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "repo:acme/app:ref:refs/heads/main",
            "repository": "acme/app",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
        }
        return {name: value for name, value in (good | claims).items() if value is not None}

    def token(self, key_id: str = "k1", **claims: Any) -> str:
        """A token signed by the key."""
        key = self.keys[key_id]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(self.claims(**claims), key, algorithm, headers={"kid": key_id})

    def key_set(self) -> dict[str, Any]:
        """The public keys, as the issuer tells them."""
        return {"keys": [_public(key_id, key) for key_id, key in self.keys.items()]}

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.path in self.says:
            return self.says.pop(request.path)
        if request.path == "/keys":
            return web.json_response(self.key_set())
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        return web.Response(status=404)


def _public(key_id: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        written = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())
    else:
        written = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())
    return {**json.loads(written), "kid": key_id, "use": "sig"}
