"""Filters: the address bar holds them, so that a view can be kept and sent to others."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.scene import Scene
from tests.browser.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def team(repository: str) -> str:
    """A repository that this test alone uses."""
    return repository


async def expect_tags(page: Page, *tags: str) -> None:
    links = page.locator("td.targets a")
    await expect(links).to_have_text([re.compile(f":{re.escape(tag)}$") for tag in tags])


async def test_the_address_bar_keeps_the_filters(
    open_page: OpenPage, scene: Scene, team: str
) -> None:
    await scene.failed(f"{team}:broken", "no", "denied")
    await scene.queued(f"{team}:waiting")
    page = await open_page()
    await page.get_by_label("Repository").fill(team)
    await page.keyboard.press("Enter")
    await expect_tags(page, "waiting", "broken")
    await page.get_by_label("State").select_option("failed")
    await expect_tags(page, "broken")
    assert page.url.endswith(f"/?state=failed&repository={team.replace('/', '%2F')}")

    await page.reload()
    await expect_tags(page, "broken")
    await expect(page.get_by_label("State")).to_have_value("failed")
    await expect(page.get_by_label("Repository")).to_have_value(team)
    await page.go_back()
    await expect_tags(page, "waiting", "broken")
    await expect(page.get_by_label("State")).to_have_value("")
    await page.go_forward()
    await expect_tags(page, "broken")

    await page.get_by_role("link", name=f"{team}:broken").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(f"{team}:broken")
    await page.go_back()
    await expect_tags(page, "broken")
    await page.get_by_role("link", name="Show all").click()
    await expect(page.get_by_label("Repository")).to_have_value("")
    await expect(page).to_have_url(re.compile(r"/$"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Registry", "one.example.com"),
        ("Label", "branch=main"),
        ("Label", "branch team=build"),
        ("Error kind", "denied"),
    ],
)
async def test_each_filter_leaves_what_fits_it(
    open_page: OpenPage, scene: Scene, team: str, field: str, value: str
) -> None:
    labels = {"branch": "main", "team": "build"}
    await scene.failed(f"{team}:in", "no", "denied", registry="one.example.com", labels=labels)
    await scene.queued(f"{team}:out", registry="two.example.com", labels={"branch": "next"})
    page = await open_page(f"/?repository={team}")
    await expect_tags(page, "out", "in")
    await page.get_by_label(field, exact=True).fill(value)
    await page.get_by_role("button", name="Filter", exact=True).click()
    await expect_tags(page, "in")
    await page.reload()
    await expect(page.get_by_label(field, exact=True)).to_have_value(value)


async def test_a_job_that_comes_to_fit_appears(
    open_page: OpenPage, scene: Scene, site: Site, team: str
) -> None:
    job_id = await scene.queued(f"{team}:1")
    page = await open_page(f"/?state=cancelled&repository={team}")
    await expect(page.locator(".empty")).to_have_text("No job fits these filters.")
    await site.queue.cancel(job_id)
    await expect_tags(page, "1")


async def test_a_filter_that_cannot_be_is_said(open_page: OpenPage) -> None:
    page = await open_page("/?state=sleeping")
    await expect(page.get_by_role("alert")).to_contain_text("state")


async def test_older_jobs_are_on_pages_of_their_own(
    open_page: OpenPage, scene: Scene, team: str
) -> None:
    for number in range(51):
        await scene.queued(f"{team}:{number}")
    page = await open_page(f"/?repository={team}")
    rows = page.locator("td.targets a")
    await expect(rows).to_have_count(50)
    await page.get_by_role("link", name="Older", exact=True).click()
    await expect_tags(page, "0")
    await page.go_back()
    await expect(rows).to_have_count(50)
    await page.go_forward()
    await page.get_by_role("link", name="Newest", exact=True).click()
    await expect(rows.first).to_contain_text(f"{team}:50")
