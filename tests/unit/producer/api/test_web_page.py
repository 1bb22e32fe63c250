"""The page at /: whole, closed to everything from elsewhere, and holding nothing itself."""

import re
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from producer.api.web_page import FILES
from tests.support.api import JOBS, Api

PATHS = {
    "/" if file.name == "index.html" else f"/page/{file.name}": file for file in FILES.iterdir()
}
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("path", PATHS)
async def test_every_file_is_served_as_what_it_is(api: Api, path: str) -> None:
    content = PATHS[path].read_bytes()
    async with api.client.get(path) as response:
        assert response.status == 200
        assert await response.read() == content
        kind = TYPES[PATHS[path].name.rpartition(".")[2]]
        assert response.headers["Content-Type"] == f"{kind}; charset=utf-8"
    async with api.client.head(path) as response:
        assert response.status == 200
        assert response.headers["Content-Length"] == str(len(content))
        assert await response.read() == b""


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_from_elsewhere_can_run_in_it_or_show_it(api: Api, path: str) -> None:
    async with api.client.get(path) as response:
        rules = dict(
            rule.split(" ", 1) for rule in response.headers["Content-Security-Policy"].split("; ")
        )
        assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
        for kind in ("script-src", "style-src", "connect-src", "form-action"):
            assert rules[kind] == "'self'"
        assert rules["img-src"] == "'self' data:"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_an_answer_of_the_api_keeps_its_own_rules(api: Api) -> None:
    answer = await api.get(JOBS)
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("path", PATHS)
async def test_what_a_browser_has_is_not_sent_again(api: Api, path: str) -> None:
    async with api.client.get(path) as response:
        assert response.headers["Cache-Control"] == "no-cache"
        tag = response.headers["ETag"]
    async with api.client.get(path, headers={"If-None-Match": tag}) as response:
        assert response.status == 304
        assert response.headers["ETag"] == tag
        assert await response.read() == b""
    async with api.client.get(path, headers={"If-None-Match": '"old"'}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "path", ["/page/", "/page/nothing.js", "/page/..%2fweb_page.py", "/nothing"]
)
async def test_another_path_is_none(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.kind) == (404, "not-found")


async def test_a_link_of_another_site_leads_to_the_page_and_to_nothing_else(api: Api) -> None:
    async with api.client.get("/?job=a", headers=LINK) as response:
        assert response.status == 200
    for path, headers in (
        (JOBS, LINK),
        ("/page/app.js", LINK),
        ("/", {**LINK, "Sec-Fetch-Dest": "iframe"}),
        ("/", {**LINK, "Sec-Fetch-Mode": "no-cors"}),
        ("/", {**LINK, "Origin": "https://evil.example.com"}),
    ):
        answer = await api.get(path, headers=headers)
        assert (answer.status, answer.kind) == (403, "other-origin")
    assert (await api.post("/", headers=LINK)).status == 403


def test_an_installation_has_the_whole_page() -> None:
    wheel = WheelBuilder(str(Path(__file__).resolve().parents[4]))
    installed = {file.distribution_path for file in wheel.recurse_included_files()}
    assert {f"producer/api/page/{file.name}" for file in FILES.iterdir()} <= installed


def test_no_markup_holds_a_script_or_a_style() -> None:
    """The policy would keep them from running, so the page would be broken."""
    markup = (FILES / "index.html").read_text()
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", markup)
    assert set(re.findall(r'(?:src|href)="(page/[^"]+)"', markup)) <= {
        path.removeprefix("/") for path in PATHS
    }


@pytest.mark.parametrize("path", [path for path in PATHS if path.endswith(".js")])
def test_no_script_makes_markup_of_text_or_asks_elsewhere(path: str) -> None:
    script = PATHS[path].read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in script
    assert re.findall(r"https?://[^\s\"']+", script) in ([], ["http://www.w3.org/2000/svg"])
    for module in re.findall(r'from "\./([^"]+)"', script):
        assert f"/page/{module}" in PATHS
