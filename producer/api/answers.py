"""Models as answers."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from producer.api.inputs import JSON


def answer(
    model: BaseModel,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The model as JSON."""
    body = model.model_dump_json().encode()
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)
