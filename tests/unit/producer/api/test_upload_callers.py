"""With tokens: who may do what with whose uploads."""

from pathlib import Path

import pytest

from producer.api.routes import ROUTES
from push_queue.settings import Settings
from push_queue.settings.api_tokens import ApiToken, Role, hash_of
from tests.support.api import Api

UPLOADS = "/api/v1/uploads"
ONE = f"{UPLOADS}/{{upload_id}}"
PATTERN = "reg.example.com/team/*"
ROLES = {
    "reader": Role.READ,
    "ci": Role.ENQUEUE,
    "other": Role.ENQUEUE,
    "admin": Role.ADMIN,
    "fleet": Role.WORKER,
}

CONTENT = f"{ONE}/content"

# Of each route: what everybody gets for an upload of `ci`.
EXPECTED = {
    ("POST", UPLOADS): {"reader": 403, "ci": 201, "other": 201, "admin": 201},
    ("PUT", ONE): {"reader": 403, "ci": 201, "other": 404, "admin": 201},
    ("PATCH", ONE): {"reader": 403, "ci": 200, "other": 404, "admin": 200},
    ("GET", ONE): {"reader": 403, "ci": 200, "other": 404, "admin": 200},
    ("DELETE", ONE): {"reader": 403, "ci": 204, "other": 404, "admin": 204},
    ("GET", CONTENT): {"reader": 403, "ci": 403, "other": 403, "admin": 200, "fleet": 200},
    ("POST", f"{UPLOADS}/purge"): {"reader": 403, "ci": 403, "other": 403, "admin": 200},
    ("DELETE", CONTENT): {"reader": 403, "ci": 403, "other": 403, "admin": 204, "fleet": 204},
}
HEADERS = {"PUT": {"Content-Range": "bytes 0-0/1"}, "PATCH": {"Upload-Offset": "0"}}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    tokens = {
        name: ApiToken(
            role=role,
            targets=(PATTERN,) if role in (Role.READ, Role.ENQUEUE) else (),
            sha256=hash_of(name),
        )
        for name, role in ROLES.items()
    }
    return settings.model_copy(
        update={"api_tokens": tokens, "spool": tmp_path / "spool", "spool_keep_free": 0}
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_table_has_every_route() -> None:
    routes = {(route.method.value, route.path) for route in ROUTES if "uploads" in route.path}
    assert routes == EXPECTED.keys()


@pytest.mark.parametrize(
    ("method", "path", "caller", "status"),
    [
        pytest.param(method, path, caller, status, id=f"{method}-{path}-{caller}")
        for (method, path), callers in EXPECTED.items()
        for caller, status in {"fleet": 403, **callers, "nobody": 401}.items()
    ],
)
async def test_every_route_for_everybody(
    api: Api, method: str, path: str, caller: str, status: int
) -> None:
    if path == CONTENT:
        made = await api.ask("PUT", f"{UPLOADS}/app.tar", data=b"x", headers=bearer("ci"))
    else:
        made = await api.post(UPLOADS, headers=bearer("ci"))
    upload_id = made.body["id"]
    url = path.format(upload_id=upload_id)
    data = b"x" if method in HEADERS else None
    headers = {**bearer(caller), **HEADERS.get(method, {})}
    async with api.client.request(method, url, headers=headers, data=data) as answer:
        assert answer.status == status, await answer.text()


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/events", "/api/v1/workers"])
async def test_a_worker_sees_no_jobs(api: Api, path: str) -> None:
    assert (await api.get(path, headers=bearer("fleet"))).kind == "role-missing"


async def test_a_name_that_is_the_id_of_anothers_makes_a_new_one(api: Api) -> None:
    upload_id = (await api.post(UPLOADS, headers=bearer("ci"))).body["id"]
    answer = await api.ask("PUT", f"{UPLOADS}/{upload_id}", data=b"x", headers=bearer("other"))
    assert answer.status == 201
    assert answer.body["id"] != upload_id
