"""The OpenAPI document is right, and is that of what is served."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from producer.api.access.authentication import COOKIE
from producer.api.routes import ROUTES
from push_queue.models.job_status import JobState
from push_queue.settings import Settings
from tests.support.api import JOBS, NEW_JOB, TARGET, Api
from tests.support.tokens import with_tokens


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"spool": tmp_path / "spool", "spool_keep_free": 0})


@pytest.fixture
async def document(api: Api) -> Any:
    answer = await api.get("/openapi.json")
    assert answer.status == 200
    return answer.body


def schema_of(document: Any, *path: str) -> Draft202012Validator:
    """The schema at this place, with all that it refers to."""
    found = document
    for name in path:
        found = found[name]
    return Draft202012Validator({**found, "components": document["components"]})


async def test_the_document_is_valid(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()


async def test_it_has_every_route(document: Any) -> None:
    described = {
        (method, path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == {(route.method.lower(), route.path) for route in ROUTES}


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (NEW_JOB, True),
        ([NEW_JOB, {**NEW_JOB, "id": "b", "not_before": "2026-12-01T00:00:00Z"}], True),
        ({**NEW_JOB, "labels": {"team": "a"}, "max_attempts": 3, "give_up_after": None}, True),
        ({"source": "/app.tar"}, False),
        ({**NEW_JOB, "source": "app.tar"}, False),
        ([], False),
        ({**NEW_JOB, "password": "x"}, False),
        ({**NEW_JOB, "id": "a b"}, False),
        ({**NEW_JOB, "targets": ["app"]}, False),
        ({**NEW_JOB, "targets": ["https://localhost/app:1"]}, False),
        ({**NEW_JOB, "targets": [f"localhost/app@sha256:{'0' * 64}"]}, False),
        ({**NEW_JOB, "targets": [TARGET, TARGET]}, False),
        ({**NEW_JOB, "image": "user@app:1"}, False),
        ({**NEW_JOB, "max_attempts": 3.0, "give_up_after": 60.0}, True),
        ({**NEW_JOB, "max_attempts": 2.5}, False),
        ({**NEW_JOB, "max_attempts": 101}, False),
        ({**NEW_JOB, "ordered": "yes"}, False),
    ],
)
async def test_it_says_of_bodies_what_the_server_does(
    api: Api, document: Any, body: Any, right: bool
) -> None:
    operation = document["paths"][JOBS]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    schema = Draft202012Validator({**content["schema"], "components": document["components"]})
    assert schema.is_valid(body) is right
    answer = await api.post(JOBS, json=body)
    assert (answer.status == 202) is right
    if not right:
        assert "400" in operation["responses"]
        content = document["components"]["responses"]["BadRequest"]["content"]
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert set(content) == {"application/problem+json"}
        schema_of(document, "components", "schemas", "Problem").validate(answer.body)


@pytest.mark.parametrize(
    ("headers", "right"),
    [
        ({"Upload-Offset": "0"}, True),
        ({"Upload-Offset": "0", "Upload-Complete": "?1", "Upload-Length": "3"}, True),
        ({}, False),
        ({"Upload-Offset": "-1"}, False),
        ({"Upload-Offset": "0", "Upload-Complete": "1"}, False),
        ({"Upload-Offset": "0", "Upload-Length": "3 bytes"}, False),
    ],
)
async def test_it_says_of_the_headers_of_uploads_what_the_server_does(
    api: Api, document: Any, headers: dict[str, str], right: bool
) -> None:
    path = "/api/v1/uploads/{upload_id}"
    described = [
        parameter
        for parameter in document["paths"][path]["patch"]["parameters"]
        if parameter["in"] == "header"
    ]
    assert right is all(
        Draft202012Validator(parameter["schema"]).is_valid(headers[parameter["name"]])
        if parameter["name"] in headers
        else not parameter["required"]
        for parameter in described
    )
    upload = (await api.post("/api/v1/uploads")).body
    answer = await api.ask(
        "PATCH", path.format(upload_id=upload["id"]), data=b"abc", headers=headers
    )
    assert (answer.status == 200) is right


async def test_it_says_which_headers_uploads_are_answered_with(api: Api, document: Any) -> None:
    path = "/api/v1/uploads/{upload_id}"
    upload = await api.ask("PUT", "/api/v1/uploads/app.tar", data=b"abc")
    for method, answer in (
        ("put", upload),
        ("get", await api.get(path.format(upload_id=upload.body["id"]))),
    ):
        response = document["paths"][path][method]["responses"][str(answer.status)]
        for name, header in response["headers"].items():
            assert Draft202012Validator(header["schema"]).is_valid(answer.headers[name])
        known = {name for name in answer.headers if name.startswith(("Upload-", "Repr-", "Loc"))}
        assert known == set(response["headers"])


async def test_it_says_where_an_upload_ends_that_bytes_do_not_fit(api: Api, document: Any) -> None:
    path = "/api/v1/uploads/{upload_id}"
    upload = (await api.post("/api/v1/uploads")).body
    answer = await api.ask(
        "PATCH", path.format(upload_id=upload["id"]), data=b"abc", headers={"Upload-Offset": "1"}
    )
    assert (answer.status, answer.headers["Upload-Offset"]) == (409, "0")
    for method in ("put", "patch"):
        assert "Upload-Offset" in document["paths"][path][method]["responses"]["409"]["headers"]
    assert "headers" not in document["paths"][path]["delete"]["responses"]["409"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Range": "bytes=1-"}, 206),
        ({"Range": "bytes=3-"}, 416),
        ({"If-Match": '"other"'}, 412),
    ],
)
async def test_it_says_how_a_tar_is_answered(
    api: Api, document: Any, headers: dict[str, str], status: int
) -> None:
    upload = (await api.ask("PUT", "/api/v1/uploads/app.tar", data=b"abc")).body
    url = f"/api/v1/uploads/{upload['id']}/content"
    path = "/api/v1/uploads/{upload_id}/content"
    described = document["paths"][path]["get"]["responses"][str(status)]
    async with api.client.get(url, headers=headers) as answer:
        assert answer.status == status
        has_body = bool(await answer.read())
        assert described.get("content", {}).keys() == ({answer.content_type} if has_body else set())


async def test_answers_are_as_it_says(api: Api, document: Any) -> None:
    job = await api.enqueue(labels={"team": "a"})
    for path, url in (
        (JOBS, JOBS),
        (f"{JOBS}/{{job_id}}", f"{JOBS}/{job['id']}"),
        ("/api/v1/workers", "/api/v1/workers"),
        ("/healthz", "/healthz"),
    ):
        response = document["paths"][path]["get"]["responses"]["200"]
        schema = response["content"]["application/json"]["schema"]
        answer = await api.get(url)
        Draft202012Validator({**schema, "components": document["components"]}).validate(answer.body)


class TestWithTokens:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return with_tokens(settings)

    async def test_it_has_no_refusal_that_nobody_gets(self, document: Any) -> None:
        assert set(document["components"]["responses"]) == refused(document)

    async def test_an_operation_says_who_may(self, document: Any) -> None:
        assert document["paths"][JOBS]["post"]["description"].endswith("\n\nRole: `enqueue`.")

    async def test_a_token_or_a_session_is_enough(self, document: Any) -> None:
        schemes = document["components"]["securitySchemes"]
        assert schemes["token"].items() >= {"type": "http", "scheme": "bearer"}.items()
        session = {"type": "apiKey", "in": "cookie", "name": COOKIE}
        assert schemes["session"].items() >= session.items()
        jobs = document["paths"][JOBS]
        assert jobs["post"]["security"] == [{"token": ["enqueue"]}, {"session": ["enqueue"]}]
        assert document["paths"]["/healthz"]["get"]["security"] == []


@pytest.mark.parametrize(
    ("action", "states"),
    [
        ("cancel", {"queued", "running", "retrying"}),
        ("retry", {"succeeded", "failed", "cancelled", "superseded"}),
    ],
)
async def test_it_says_which_jobs_can_be_changed(
    api: Api, document: Any, action: str, states: set[str]
) -> None:
    parameters = document["paths"][f"{JOBS}/{action}"]["post"]["parameters"]
    (schema,) = [one["schema"] for one in parameters if one["name"] == "state"]
    assert set(schema["enum"]) == states
    for state in JobState:
        answer = await api.post(f"{JOBS}/{action}", params={"state": state})
        assert (answer.status == 200) is (state in states)


@pytest.mark.parametrize(
    ("seconds", "right"), [(60, True), (60.0, True), (60.5, False), (0, False), ("60", False)]
)
async def test_a_whole_number_may_have_a_point(
    api: Api, document: Any, seconds: Any, right: bool
) -> None:
    schema = schema_of(document, "components", "schemas", "NewPause")
    assert schema.is_valid({"seconds": seconds}) is right
    answer = await api.post("/api/v1/queue/pause", json={"seconds": seconds})
    assert (answer.status == 200) is right


@pytest.mark.parametrize(
    ("registry", "right"),
    [
        ("reg.example.com", True),
        ("localhost:5000", True),
        ("[::1]:5000", True),
        ("reg", False),
        ("-reg.example.com", False),
        ("reg.example.com:65536", False),
    ],
)
async def test_it_says_which_registries_can_be_named(
    api: Api, document: Any, registry: str, right: bool
) -> None:
    path = "/api/v1/registries/{registry}/resume"
    (parameter,) = document["paths"][path]["post"]["parameters"]
    assert Draft202012Validator(parameter["schema"]).is_valid(registry) is right
    answer = await api.post(path.format(registry=registry))
    assert (answer.status == 200) is right


async def test_a_parameter_that_may_be_left_out_is_never_null(document: Any) -> None:
    parameters = {
        parameter["name"]: parameter["schema"]
        for parameter in document["paths"][JOBS]["get"]["parameters"]
    }
    assert parameters["state"] == {"$ref": "#/components/schemas/JobState"}
    assert parameters["limit"]["maximum"] == 1000
    assert not [name for name, schema in parameters.items() if "anyOf" in schema]


def without_description(document: Any) -> Iterator[str]:
    """What of the document has none."""
    for name, schema in document["components"]["schemas"].items():
        for field, one in {"": schema, **schema.get("properties", {})}.items():
            if not one.get("description"):
                yield f"{name} {field}"
        for value in schema.get("enum", ()):
            if f"\n- `{value}`: " not in schema["description"]:
                yield f"{name} {value}"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for name, one in parts_of(operation):
                if not one.get("description"):
                    yield f"{method} {path} {name}"


def parts_of(operation: Any) -> Iterator[tuple[str, Any]]:
    """The operation, its parameters, and the headers of its answers."""
    yield "", operation
    for parameter in operation["parameters"]:
        yield f"{parameter['in']} {parameter['name']}", parameter
    for response in operation["responses"].values():
        yield from response.get("headers", {}).items()


def refused(document: Any) -> set[str]:
    """The responses that operations refer to."""
    return {
        response["$ref"].rpartition("/")[2]
        for operations in document["paths"].values()
        for operation in operations.values()
        for response in operation["responses"].values()
        if "$ref" in response
    }


async def test_it_has_no_refusal_that_nobody_gets(document: Any) -> None:
    assert set(document["components"]["responses"]) == refused(document)


class TestDescriptions:
    async def test_everything_has_one(self, document: Any) -> None:
        assert not list(without_description(document))

    async def test_they_are_the_docstrings(self, document: Any) -> None:
        schema = document["components"]["schemas"]["NewJob"]
        assert schema["description"] == "A push to enqueue."
        assert schema["properties"]["max_attempts"]["description"] == (
            "Attempts before the job fails; without it `PUSH_QUEUE_MAX_ATTEMPTS`."
        )

    async def test_those_of_parameters_stand_beside_their_schemas(self, document: Any) -> None:
        parameters = document["paths"]["/api/v1/jobs/{job_id}"]["get"]["parameters"]
        (wait,) = [parameter for parameter in parameters if parameter["name"] == "wait"]
        assert wait["description"] == "Seconds to wait at most for the job to be final."
        assert "description" not in wait["schema"]

    async def test_an_operation_says_all_that_its_handler_does(self, document: Any) -> None:
        operation = document["paths"][JOBS]["post"]
        assert operation["summary"] == "Enqueue a push, or a list of up to 1000."
        assert operation["description"].startswith(operation["summary"] + " The same job again")
