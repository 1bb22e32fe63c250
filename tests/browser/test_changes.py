"""Buttons: what they do, who has them, and what is said where they can do nothing."""

import re

import pytest
from playwright.async_api import Dialog, Page, Route, expect

from push_queue.settings.api_tokens import Role
from tests.browser.conftest import OpenPage
from tests.browser.scene import Scene
from tests.browser.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


def answer_dialogs(page: Page, *, accept: bool) -> list[str]:
    """Answer what the page asks; the questions."""
    asked: list[str] = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await (dialog.accept() if accept else dialog.dismiss())

    page.on("dialog", answer)
    return asked


async def test_a_job_is_cancelled_and_retried_where_it_stands(
    open_page: OpenPage, scene: Scene, site: Site, repository: str
) -> None:
    job_id = await scene.queued(f"{repository}:1")
    page = await open_page(f"/?repository={repository}")
    await page.get_by_role("button", name="Cancel the push").click()
    await expect(page.locator("td.state")).to_have_text("cancelled")
    await expect(page.get_by_role("status")).to_have_text(f"job {job_id}: cancelled")
    assert (await site.queue.status(job_id)).cancelled_by == "team-admin"
    await page.get_by_role("button", name="Retry the push").click()
    await expect(page.locator("td.state")).to_have_text("queued")
    assert (await site.queue.status(job_id)).retried_by == "team-admin"


async def test_a_job_is_cancelled_and_retried_in_its_view(
    open_page: OpenPage, scene: Scene, repository: str
) -> None:
    job_id = await scene.queued(f"{repository}:1")
    page = await open_page(f"/?job={job_id}", role=Role.ENQUEUE)
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator("p.state")).to_contain_text("cancelled")
    await expect(page.get_by_role("definition").filter(has_text="team-enqueue")).to_have_count(1)
    await page.get_by_role("button", name="Retry").click()
    await expect(page.locator("p.state")).to_contain_text("waits for a worker")


async def test_a_running_job_is_asked_to_stop_once(
    open_page: OpenPage, scene: Scene, repository: str
) -> None:
    await scene.running(f"{repository}:1")
    page = await open_page(f"/?repository={repository}")
    await page.get_by_role("button", name="Cancel the push").click()
    await expect(page.locator(".why")).to_have_text("its worker was asked to stop")
    await expect(page.get_by_role("button", name="Cancel the push")).to_be_hidden()


async def test_all_that_match_are_cancelled_once_that_is_confirmed(
    open_page: OpenPage, scene: Scene, site: Site, repository: str
) -> None:
    for number in range(3):
        await scene.queued(f"{repository}:{number}")
    await scene.succeeded(f"{repository}:done")
    other = await scene.queued(f"{repository}-of-others:1")
    page = await open_page(f"/?repository={repository}")
    asked = answer_dialogs(page, accept=False)
    cancel = page.get_by_role("button", name="Cancel all")
    async with page.expect_response("**/jobs/cancel?**"):
        await cancel.click()
    await expect(cancel).to_be_enabled()
    assert asked == ["Cancel 3 jobs?"]
    await expect(page.locator("td.state")).to_have_text(["succeeded", *3 * ["queued"]])

    page = await open_page(f"/?repository={repository}")
    answer_dialogs(page, accept=True)
    await page.get_by_role("button", name="Cancel all").click()
    await expect(page.get_by_role("status")).to_have_text("3 jobs cancelled")
    await expect(page.locator("td.state")).to_have_text(["succeeded", *3 * ["cancelled"]])
    assert (await site.queue.status(other)).state == "queued"

    await page.get_by_label("State").select_option("cancelled")
    await expect(page.get_by_role("button", name="Cancel all")).to_have_count(0)
    await page.get_by_role("button", name="Retry all").click()
    await expect(page.get_by_role("status")).to_have_text("3 jobs enqueued again")
    await expect(page.locator(".empty")).to_be_visible()


async def test_nothing_is_asked_where_there_is_nothing_to_do(
    open_page: OpenPage, scene: Scene, repository: str
) -> None:
    await scene.queued(f"{repository}:1")
    page = await open_page(f"/?repository={repository}")
    asked = answer_dialogs(page, accept=True)
    await page.get_by_role("button", name="Retry all").click()
    await expect(page.get_by_role("status")).to_have_text("there is nothing to retry")
    assert asked == []


async def test_without_a_filter_nothing_is_done_to_all(open_page: OpenPage, scene: Scene) -> None:
    await scene.queued("team/somebodys:1")
    page = await open_page()
    await expect(page.get_by_role("link", name="team/somebodys:1")).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile(" all$"))).to_have_count(0)


async def test_whoever_may_only_read_has_no_button_that_changes(
    open_page: OpenPage, scene: Scene, repository: str
) -> None:
    waiting = await scene.queued(f"{repository}:1")
    done = await scene.succeeded(f"{repository}:2")
    page = await open_page(f"/?repository={repository}", role=Role.READ)
    await expect(page.locator("td.state")).to_have_text(["succeeded", "queued"])
    await expect(page.get_by_role("button")).to_have_text(["Log out", "Filter"])
    for job_id, state in ((waiting, "queued"), (done, "succeeded")):
        await page.goto(f"/?job={job_id}")
        await expect(page.locator("p.state")).to_contain_text(state)
        await expect(page.get_by_role("button").filter(has_not_text="Copy")).to_have_text(
            ["Log out"]
        )


async def test_a_change_is_asked_for_again_where_the_network_broke(
    open_page: OpenPage, scene: Scene, repository: str
) -> None:
    await scene.queued(f"{repository}:1")
    page = await open_page(f"/?repository={repository}")
    await page.route("**/cancel", lambda route: route.abort("connectionreset"), times=1)
    await page.get_by_role("button", name="Cancel the push").click()
    await expect(page.locator("td.state")).to_have_text("cancelled")
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_why_a_button_did_nothing_is_said_until_another_is_used(
    open_page: OpenPage, scene: Scene, repository: str
) -> None:
    await scene.queued(f"{repository}:1")
    page = await open_page(f"/?repository={repository}")

    async def refuse(route: Route) -> None:
        problem = {"type": "about:blank", "status": 429, "detail": "too many requests: wait 3 s"}
        await route.fulfill(status=429, content_type="application/problem+json", json=problem)

    await page.route("**/cancel", refuse)
    cancel = page.get_by_role("button", name="Cancel the push")
    await cancel.click()
    await expect(page.get_by_role("alert")).to_have_text("too many requests: wait 3 s")
    await expect(cancel).to_be_enabled()
    await page.unroute("**/cancel")
    await cancel.click()
    await expect(page.locator("td.state")).to_have_text("cancelled")
    await expect(page.get_by_role("alert")).to_have_count(0)
