"""What admins do by the page: pause and resume, drain workers."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Dialog, Page, expect

from push_queue.settings.api_tokens import Role
from tests.browser.conftest import OpenPage
from tests.browser.scene import MIRROR, WORKERS, Scene
from tests.browser.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

ADDRESS = "/?view=workers"


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def everything(scene: Scene) -> None:
    await scene.workers()
    await scene.mirror_down()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def resumed(site: Site) -> AsyncIterator[None]:
    """Nothing stays paused for the next test."""
    yield
    redis = site.stores.database.redis
    await redis.delete(site.keys.paused)


def answer_dialogs(page: Page, text: str | None) -> list[str]:
    """Accept what the page asks with this text, or refuse it; the questions."""
    asked: list[str] = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await (dialog.dismiss() if text is None else dialog.accept(text))

    page.on("dialog", answer)
    return asked


async def test_the_queue_is_paused_with_a_reason_that_all_see(
    open_page: OpenPage, site: Site
) -> None:
    page = await open_page(ADDRESS)
    reader = await open_page(role=Role.READ)
    asked = answer_dialogs(page, " new <b>disks</b> ")
    pause = page.get_by_role("button", name="Pause the queue")
    await pause.focus()
    await page.keyboard.press("Enter")
    resume = page.get_by_role("button", name="Resume the queue")
    await expect(resume).to_be_focused()
    assert asked == ["Why is the queue to be paused? All who see it are told."]
    for person in (page, reader):
        told = person.locator(".paused")
        await expect(told).to_contain_text("The queue is paused by team-admin since ")
        await expect(told).to_contain_text(": new <b>disks</b>. Workers take no new job")
    await resume.click()
    await expect(pause).to_be_visible()
    for person in (page, reader):
        await expect(person.locator(".paused")).to_be_hidden()
    assert await site.queue.paused() is None


async def test_nothing_is_paused_or_drained_unless_one_goes_through_with_it(
    open_page: OpenPage, site: Site
) -> None:
    page = await open_page(ADDRESS)
    asked = answer_dialogs(page, None)
    for name in ("Pause the queue", f"Drain {WORKERS[0]}"):
        button = page.get_by_role("button", name=name)
        await button.click()
        await expect(button).to_be_enabled()
    assert len(asked) == 2
    assert await site.queue.paused() is None
    assert {worker.state for worker in await site.queue.workers()} == {"working"}


async def test_a_registry_is_resumed_and_paused(open_page: OpenPage, site: Site) -> None:
    page = await open_page(ADDRESS)
    answer_dialogs(page, "")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=MIRROR))
    await expect(row).to_contain_text("Connection refused")
    await page.get_by_role("button", name=f"Resume {MIRROR}").click()
    await expect(row).not_to_contain_text("Connection refused")
    await page.get_by_role("button", name=f"Pause {MIRROR}").click()
    await expect(row).to_contain_text("is paused by team-admin since ")
    (registry,) = await site.queue.registries()
    assert registry.pause
    assert registry.pause.reason is None


async def test_a_worker_is_drained(open_page: OpenPage, site: Site) -> None:
    page = await open_page(ADDRESS)
    asked = answer_dialogs(page, "")
    drain = page.get_by_role("button", name=f"Drain {WORKERS[0]}")
    await drain.click()
    row = page.get_by_role("row").filter(has_text=WORKERS[0])
    await expect(row).to_contain_text("draining")
    await expect(drain).to_have_count(0)
    assert asked[0].startswith(f"Drain {WORKERS[0]}?")


async def test_why_it_was_refused_is_said(open_page: OpenPage) -> None:
    page = await open_page(ADDRESS)
    answer_dialogs(page, "x" * 201)
    await page.get_by_role("button", name="Pause the queue").click()
    await expect(page.get_by_role("alert")).to_contain_text("reason")


@pytest.mark.parametrize("role", [Role.READ, Role.ENQUEUE])
async def test_nobody_else_has_these_buttons(open_page: OpenPage, role: Role) -> None:
    page = await open_page(ADDRESS, role)
    await expect(page.get_by_role("row").filter(has_text=MIRROR)).to_be_visible()
    await expect(page.get_by_role("button")).to_have_text(["Log out"])
    await expect(page.get_by_role("columnheader", name="Actions")).to_have_count(0)
