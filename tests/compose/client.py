"""What the test asks the stack, from outside of it."""

import http.client
import json
from collections.abc import Iterable
from typing import Any

from tests.compose.stack import Stack

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json"
)
PAGE = 1000
FINAL = {"succeeded", "superseded", "failed", "cancelled"}


class Client:
    """A user of the HTTP API, and of the registry."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._token = stack.secret("api", "PUSH_QUEUE_TOKEN")

    def enqueue(self, jobs: Iterable[dict[str, Any]]) -> None:
        """Enqueue jobs that have ids; the same again changes nothing."""
        status, answer = self._ask("POST", "/api/v1/jobs", list(jobs))
        assert status == 202, answer

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs."""
        found, cursor = [], ""
        while True:
            status, answer = self._ask("GET", f"/api/v1/jobs?limit={PAGE}{cursor}")
            assert status == 200, answer
            found += answer["jobs"]
            if not answer["next"]:
                return found
            cursor = f"&cursor={answer['next']}"

    def job(self, job_id: str) -> dict[str, Any]:
        status, answer = self._ask("GET", f"/api/v1/jobs/{job_id}")
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    def pause(self) -> None:
        """Have workers take no job."""
        status, answer = self._ask("POST", "/api/v1/queue/pause", {"reason": "a test"})
        assert status == 200, answer

    def resume(self) -> None:
        status, answer = self._ask("POST", "/api/v1/queue/resume")
        assert status == 200, answer

    def upload(self, content: bytes) -> str:
        """Upload it; the id of the upload."""
        status, answer = self._send("PUT", "/api/v1/uploads/upload.tar", content)
        assert status == 201, answer
        return str(json.loads(answer)["id"])

    def delete_upload(self, upload: str) -> None:
        status, answer = self._send("DELETE", f"/api/v1/uploads/{upload}")
        assert status == 204, answer

    def stats(self) -> dict[str, Any]:
        status, answer = self._ask("GET", "/api/v1/stats")
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    def workers(self) -> list[dict[str, Any]]:
        status, answer = self._ask("GET", "/api/v1/workers")
        assert status == 200, answer
        workers: list[dict[str, Any]] = answer["workers"]
        return workers

    def page(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._stack.api_port, timeout=30)
        connection.request("GET", "/")
        return connection.getresponse().read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all series with these labels."""
        status, text = self._send("GET", "/metrics")
        assert status == 200, text
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.decode().splitlines()
            if line.startswith((f"{name}{{", f"{name} ")) and all(each in line for each in wanted)
        )

    def ready(self) -> bool:
        """Whether the API says that it is ready."""
        try:
            return self._ask("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def repositories(self) -> set[str]:
        """What the registry has."""
        found: list[str] = []
        while True:
            last = f"&last={found[-1]}" if found else ""
            _, _, answer = self._ask_registry("GET", f"/v2/_catalog?n={PAGE}{last}")
            page = json.loads(answer)["repositories"]
            found += page
            if len(page) < PAGE:
                return set(found)

    def tags(self, repository: str) -> dict[str, str | None]:
        """The digest of each of its tags."""
        _, _, answer = self._ask_registry("GET", f"/v2/{repository}/tags/list")
        found = {}
        for tag in json.loads(answer)["tags"] or ():
            path = f"/v2/{repository}/manifests/{tag}"
            status, digest, _ = self._ask_registry("HEAD", path)
            assert status == 200, f"{repository}:{tag} is listed but not there"
            found[tag] = digest
        return found

    def _ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        content = None if body is None else json.dumps(body).encode()
        status, answer = self._send(method, path, content)
        return status, json.loads(answer)

    def _send(self, method: str, path: str, content: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._stack.api_port, timeout=60)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        return response.status, response.read()

    def _ask_registry(self, method: str, path: str) -> tuple[int, str | None, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._stack.registry_port, timeout=60)
        connection.request(method, path, headers={"Accept": MANIFESTS})
        response = connection.getresponse()
        return response.status, response.getheader("Docker-Content-Digest"), response.read()
