"""10,000 jobs, and a thousand changes at once."""

import re

import pytest
import pytest_asyncio
from playwright.async_api import Dialog, expect

from push_queue.models.job import make_job
from tests.browser.conftest import OpenPage
from tests.browser.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

JOBS = 10_000
RARE = "team/rare"
SOME = "team/some"
"""Every tenth of them pushes there."""


def repository_of(number: int) -> str:
    if number == 0:
        return RARE
    return "team/app" if number % 10 else SOME


@pytest_asyncio.fixture(loop_scope="session", scope="module", autouse=True)
async def jobs(site: Site) -> None:
    await site.queue.enqueue_many(
        make_job(
            id=f"job-{number}",
            source="/images/app.tar",
            targets=[f"registry.example.com/{repository_of(number)}:{number}"],
        )
        for number in range(JOBS)
    )


async def test_a_page_of_many_is_shown_and_paged(open_page: OpenPage) -> None:
    page = await open_page()
    rows = page.locator("td.targets a")
    await expect(rows).to_have_count(50)
    await expect(rows.first).to_have_text(re.compile(f":{JOBS - 1}$"))
    await page.get_by_role("link", name="Older", exact=True).click()
    await expect(rows.first).to_have_text(re.compile(f":{JOBS - 51}$"))
    await expect(rows).to_have_count(50)


async def test_one_among_many_is_found(open_page: OpenPage) -> None:
    page = await open_page(f"/?repository={RARE}")
    await expect(page.locator("td.targets a")).to_have_text(re.compile(f"/{RARE}:0$"))


async def test_a_thousand_are_cancelled_at_once_and_others_see_it(open_page: OpenPage) -> None:
    looking = await open_page(f"/?repository={SOME}")
    states = looking.locator("td.state")
    await expect(states).to_have_text(50 * ["queued"])
    page = await open_page(f"/?repository={SOME}&registry=registry.example.com")
    asked: list[str] = []

    async def accept(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await dialog.accept()

    page.on("dialog", accept)
    await page.get_by_role("button", name="Cancel all").click()
    await expect(page.get_by_role("status")).to_have_text("999 jobs cancelled")
    assert asked == ["Cancel 999 jobs?"]
    await expect(states).to_have_text(50 * ["cancelled"])
    await looking.get_by_label("State").select_option("queued")
    await expect(looking.locator(".empty")).to_have_text("No job fits these filters.")
