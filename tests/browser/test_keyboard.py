"""The page by the keyboard alone, and what a screen reader is told."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from push_queue.settings.api_tokens import Role
from tests.browser.conftest import OpenPage
from tests.browser.scene import Scene
from tests.browser.site import Site
from tests.support.tokens import TOKENS

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

MOST_STOPS = 40


async def tab_to(page: Page, element: Locator) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(MOST_STOPS):
        await page.keyboard.press("Tab")
        if await element.evaluate("element => element === document.activeElement"):
            outline = await element.evaluate("element => getComputedStyle(element).outlineStyle")
            assert outline != "none", "the focus is not to be seen"
            return
    raise AssertionError(f"{element} is not reached by {MOST_STOPS} stops")


async def test_all_of_it_works_by_the_keyboard_alone(
    open_page: OpenPage, scene: Scene, site: Site, repository: str
) -> None:
    job_id = await scene.queued(f"{repository}:1")
    page = await open_page(role=None)
    await expect(page.get_by_label("Token")).to_be_focused()
    await page.keyboard.type(TOKENS[Role.ADMIN])
    await page.keyboard.press("Enter")
    await expect(page.locator("#connection")).to_have_text("live")

    await tab_to(page, page.get_by_label("Repository"))
    await page.keyboard.type(repository)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("repository="))
    await expect(page.locator("td.targets")).to_have_count(1)
    await tab_to(page, page.get_by_role("link", name=f"{repository}:1"))
    await page.keyboard.press("Enter")
    await expect(page.locator("p.state")).to_contain_text("queued")
    await tab_to(page, page.get_by_role("button", name="Cancel"))
    await page.keyboard.press("Space")
    await expect(page.locator("p.state")).to_contain_text("cancelled")
    assert (await site.queue.status(job_id)).state == "cancelled"
    # The same place is the button that comes next.
    await expect(page.get_by_role("button", name="Retry")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("p.state")).to_contain_text("queued")


async def test_the_views_are_skipped_by_the_first_link(open_page: OpenPage, scene: Scene) -> None:
    await scene.queued("team/skipped:1")
    page = await open_page()
    await expect(page.get_by_role("link", name="team/skipped:1")).to_be_visible()
    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    await expect(skip).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("State")).to_be_focused()


async def test_the_focus_stays_while_jobs_come_and_go(
    open_page: OpenPage, scene: Scene, site: Site, repository: str
) -> None:
    kept = await scene.queued(f"{repository}:kept")
    gone = await scene.queued(f"{repository}:gone")
    page = await open_page(f"/?state=queued&repository={repository}")
    button = page.get_by_role("button", name=f"{repository}:kept")
    await button.focus()
    await scene.queued(f"{repository}:new")
    await site.queue.cancel(gone)
    await expect(page.locator("td.targets a")).to_have_text(
        [re.compile(":new$"), re.compile(":kept$")]
    )
    await expect(button).to_be_focused()
    assert (await site.queue.status(kept)).state == "queued"


async def test_a_screen_reader_is_told_what_became_of_the_view(
    open_page: OpenPage, scene: Scene, site: Site, repository: str
) -> None:
    job_id = await scene.queued(f"{repository}:1")
    page = await open_page(f"/?repository={repository}")
    status = page.get_by_role("status")
    await expect(status).to_have_text("1 job shown")
    await page.get_by_role("link", name=f"{repository}:1").click()
    await expect(page.get_by_role("main")).to_be_focused()
    await expect(page).to_have_title(re.compile(f"^queued: .*{repository}:1$"))
    await site.queue.cancel(job_id)
    await expect(status).to_have_text(f"job {job_id}: cancelled")
    await expect(page).to_have_title(re.compile("^cancelled: "))
