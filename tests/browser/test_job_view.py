"""The view of one job: its layers, its attempts, what can be copied."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.scene import LAYERS, REGISTRY, WORKERS, Scene, digest_of, job_id_of
from tests.browser.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def test_each_layer_says_what_became_of_it(open_page: OpenPage, scene: Scene) -> None:
    job_id = await scene.succeeded("team/layers:1")
    page = await open_page(f"/?job={job_id}")
    layers = page.get_by_role("region", name="Layers and configs").locator("tbody tr")
    await expect(layers).to_have_text(
        [
            re.compile(r"96\.0 MB\s*mounted from another repository"),
            re.compile(r"48\.0 MB\s*was there"),
            re.compile(r"22\.0 MB\s*uploaded"),
            re.compile(r"12\.0 MB\s*sent by another job"),
            re.compile(r"5\.2 kB\s*uploaded"),
        ]
    )
    saved = sum(size for size, _ in LAYERS) // 1_000_000
    await expect(page.locator(".spent")).to_contain_text(f"9.9 MB sent, {saved}.0 MB saved")
    await expect(layers.locator("code").first).to_have_attribute(
        "title", digest_of(f"{job_id} {1}")
    )


async def test_the_layers_of_a_running_job_fill(
    open_page: OpenPage, scene: Scene, site: Site
) -> None:
    assignment = await scene.running("team/fills:1", share=0.5)
    page = await open_page(f"/?job={assignment.job.id}")
    layer = page.get_by_role("region", name="Layers and configs").get_by_role("progressbar")
    await expect(layer).to_have_js_property("value", 105_000_000)
    await scene.progress(assignment, [(210_000_000, ""), (31_000_000, "uploaded")], 0.9)
    await expect(layer).to_have_js_property("value", 189_000_000)


async def test_attempts_stand_on_a_line_by_their_time(open_page: OpenPage, scene: Scene) -> None:
    job_id = await scene.tried_often("team/often:1")
    page = await open_page(f"/?job={job_id}")
    attempts = page.get_by_role("region", name="Attempts")
    await expect(attempts.locator("tbody tr")).to_have_text(
        [
            re.compile(r"^1failed.*1 min 15 s.*503 Service Unavailable \(registry_unavailable\)$"),
            re.compile(r"^2released.*3 min 0 s.*\u2013$"),
            re.compile(r"^2failed.*2 min 15 s.*closed the connection \(connection_lost\)$"),
        ]
    )
    await expect(attempts).to_contain_text("4 attempts in ")
    bars = attempts.locator("svg rect:not(.background)")
    await expect(bars).to_have_count(4)
    classes = await bars.evaluate_all("bars => bars.map((bar) => bar.className.baseVal)")
    assert classes == ["failed", "released", "failed", "running"]
    borders = await bars.evaluate_all(
        """bars => bars.flatMap(({x, width}) => [
            x.baseVal.value, x.baseVal.value + width.baseVal.value
        ])"""
    )
    assert borders == sorted(borders)
    assert borders[-1] == pytest.approx(600)
    await expect(page.locator("p.state")).to_contain_text("the attempt before: ")
    await expect(page.get_by_role("definition").filter(has_text="3 of 8")).to_be_visible()


async def test_targets_digest_and_id_can_be_copied(open_page: OpenPage, scene: Scene) -> None:
    more = f"{REGISTRY}/team/copied:latest"
    job_id = await scene.succeeded("team/copied:1", more)
    page = await open_page(f"/?job={job_id}", permissions=["clipboard-read", "clipboard-write"])
    buttons = page.get_by_role("button", name="Copy")
    await expect(buttons).to_have_count(4)
    copied = page.get_by_role("status")
    for place, (what, text) in enumerate(
        (
            ("target", f"{REGISTRY}/team/copied:1"),
            ("target", more),
            ("digest", digest_of("team/copied:1")),
            ("id", job_id),
        )
    ):
        await copied.evaluate("status => { status.textContent = ''; }")
        await buttons.nth(place).click()
        await expect(copied).to_have_text(f"the {what} copied")
        assert await page.evaluate("navigator.clipboard.readText()") == text


async def test_a_label_leads_to_all_jobs_that_have_it(open_page: OpenPage, scene: Scene) -> None:
    labels = {"팀": "플랫폼 & 도구"}
    job_id = await scene.queued("team/labelled:1", labels=labels)
    await scene.queued("team/labelled:2", labels=labels)
    await scene.queued("team/labelled:3")
    page = await open_page(f"/?job={job_id}")
    await page.get_by_role("link", name="팀=플랫폼 & 도구").click()
    await expect(page.locator("td.targets")).to_have_text(
        [f"{REGISTRY}/team/labelled:2", f"{REGISTRY}/team/labelled:1"]
    )


async def test_a_job_that_is_not_there_is_said_and_nothing_else(open_page: OpenPage) -> None:
    page = await open_page("/?job=nothing")
    await expect(page.get_by_role("alert")).to_contain_text("no job 'nothing'")
    await expect(page.get_by_role("progressbar")).to_have_count(0)
    await expect(page.get_by_role("button")).to_have_text(["Log out"])
    await page.get_by_role("link", name="All jobs").click()
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_workers_lead_to_their_jobs_and_registries_to_theirs(
    open_page: OpenPage, scene: Scene
) -> None:
    await scene.running("team/frontend:2.4.0")
    await scene.workers()
    await scene.mirror_down()
    page = await open_page("/?view=workers")
    troubled = page.get_by_role("row").filter(has_text=WORKERS[1])
    await expect(troubled).to_contain_text("cannot delete finished jobs: Redis does not answer")
    paused = page.get_by_role("row").filter(has_text="mirror.example.net")
    await expect(paused).to_contain_text("Connection refused")
    await expect(paused.locator("td").nth(2)).to_have_text("1")
    await paused.get_by_role("link").click()
    await expect(page.locator("td.targets")).to_have_text(
        "mirror.example.net:5000/team/mirrored:1.0"
    )
    await page.go_back()
    await page.get_by_role("link", name=job_id_of("team/frontend:2.4.0")).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(
        f"{REGISTRY}/team/frontend:2.4.0"
    )
