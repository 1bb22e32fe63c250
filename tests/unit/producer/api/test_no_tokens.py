"""What a server without tokens says of logins."""

from tests.support.api import Api

SESSION = "/api/v1/session"


async def test_everybody_is_an_admin_without_a_name(api: Api) -> None:
    answer = await api.get(SESSION)
    assert answer.body == {"name": None, "role": "admin", "targets": []}


async def test_there_is_nothing_to_log_in_with(api: Api) -> None:
    answer = await api.post(SESSION, json={"token": "pq_any"})
    assert (answer.status, answer.kind) == (409, "no-tokens")
    assert "pq_any" not in answer.problem
