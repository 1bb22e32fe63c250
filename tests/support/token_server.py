"""A token server for docker-registry: RS256-signed tokens that live for seconds.

    async with TokenServer(tmp_path, login=Login("alice", "secret"), lifetime=2) as server:
        start_registry(token_server=server)

Tokens: https://distribution.github.io/distribution/spec/auth/jwt/
Refresh tokens: https://distribution.github.io/distribution/spec/auth/oauth/
"""

import base64
import math
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.certificates import ServerCertificate
from tests.support.local_server import LocalServer
from tests.support.logins import Login

ISSUER = "tests"
SERVICE = "registry.test"
LEEWAY_SECONDS = 60
"""How long docker-registry accepts expired tokens; these expire that much sooner.

https://github.com/distribution/distribution/blob/v2.8.2/registry/auth/token/token.go
"""


class TokenServer(LocalServer):
    """Gives tokens for whatever scopes are asked for, to those who sign in.

    Args:
        directory: for the certificate that the registry checks signatures with.
        login: who may sign in with a password.
        refresh_token: the identity token that is accepted here.
        lifetime: seconds for which a token is valid.
        says: seconds of validity that it claims, if not the real ones.
        actions: the most that is granted.
        oauth: whether POST is understood.
        certificate: to be spoken to over TLS.

    Attributes:
        bundle: the certificate, as docker-registry's `rootcertbundle`.
        asked: method and scopes of each request, in order.
        issued: all tokens, in order.
        down: answer 503 to whatever comes.
    """

    def __init__(
        self,
        directory: Path,
        *,
        login: Login,
        refresh_token: str = "",
        lifetime: float = 300,
        says: float | None = None,
        actions: frozenset[str] = frozenset({"pull", "push", "delete", "*"}),
        oauth: bool = True,
        certificate: ServerCertificate | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        # docker-registry knows the signature of RSA keys as RS256.
        authority = trustme.CA(key_type=trustme.KeyType.RSA)
        issued = authority.issue_cert("token.test", key_type=trustme.KeyType.RSA)
        self.bundle = directory / "token-ca.crt"
        authority.cert_pem.write_to_path(str(self.bundle))
        self._key = issued.private_key_pem.bytes()
        certificates = [x509.load_pem_x509_certificate(p.bytes()) for p in issued.cert_chain_pems]
        self._chain = [
            base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in certificates
        ]
        self._login = login
        self._refresh_token = refresh_token
        self._lifetime = lifetime
        self._says = lifetime if says is None else says
        self._actions = actions
        self.asked: list[tuple[str, list[str]]] = []
        self.issued: list[str] = []
        self.down = False
        app = web.Application()
        app.router.add_get("/token", self._get)
        if oauth:
            app.router.add_post("/token", self._post)
        context = certificate.context() if certificate else None
        super().__init__(web.AppRunner(app, shutdown_timeout=0), context)

    @property
    def realm(self) -> str:
        return f"{self.url}/token"

    def count(self, method: str) -> int:
        return sum(asked == method for asked, _ in self.asked)

    async def _get(self, request: web.Request) -> web.Response:
        scopes = " ".join(request.query.getall("scope", [])).split()
        signed_in = request.headers.get("Authorization") == self._login.basic
        return self._answer(request, scopes, signed_in)

    async def _post(self, request: web.Request) -> web.Response:
        form = await request.post()
        scopes = str(form.get("scope", "")).split()
        signed_in = (
            form.get("grant_type") == "refresh_token"
            and form.get("service") == SERVICE
            and bool(form.get("client_id"))
            and form.get("refresh_token") == self._refresh_token
        )
        return self._answer(request, scopes, signed_in)

    def _answer(self, request: web.Request, scopes: list[str], signed_in: bool) -> web.Response:
        self.asked.append((request.method, scopes))
        if self.down:
            return web.Response(status=503)
        if not signed_in:
            return web.json_response({"error": "invalid_grant"}, status=401)
        self.issued.append(self._sign(scopes))
        return web.json_response({"access_token": self.issued[-1], "expires_in": self._says})

    def _sign(self, scopes: list[str]) -> str:
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": SERVICE,
            "sub": self._login.username,
            "exp": math.ceil(now + self._lifetime) - LEEWAY_SECONDS,
            "nbf": int(now - LEEWAY_SECONDS),
            "jti": uuid.uuid4().hex,
            "access": [self._access(scope) for scope in scopes],
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"x5c": self._chain})

    def _access(self, scope: str) -> dict[str, Any]:
        resource, _, actions = scope.rpartition(":")
        kind, _, name = resource.partition(":")
        granted = [action for action in actions.split(",") if action in self._actions]
        return {"type": kind, "name": name, "actions": granted}
