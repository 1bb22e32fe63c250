"""Logging in and out, and what becomes of a page whose login has ended."""

import pytest
from playwright.async_api import Page, expect

from push_queue.settings.api_tokens import Role
from tests.browser.conftest import OpenPage
from tests.browser.scene import Scene
from tests.browser.site import Site
from tests.support.tokens import TOKENS

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def log_in(page: Page, token: str) -> None:
    await page.get_by_label("Token").fill(token)
    await page.keyboard.press("Enter")


async def test_a_token_logs_in_until_one_logs_out(open_page: OpenPage) -> None:
    page = await open_page(role=None)
    await expect(page.get_by_label("Token")).to_be_focused()
    await expect(page.get_by_role("navigation", name="Views")).to_be_hidden()
    await log_in(page, "a wrong one")
    await expect(page.get_by_role("alert")).to_contain_text("no such token")
    await log_in(page, f" {TOKENS[Role.ENQUEUE]} ")
    await expect(page.get_by_text("team-enqueue (enqueue)")).to_be_visible()
    await expect(page.locator("#connection")).to_have_text("live")
    cookies = await page.context.cookies()
    assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies] == [(True, "Strict")]
    assert TOKENS[Role.ENQUEUE] not in str(cookies)
    # Nothing that a script of the page could read holds it, either.
    assert await page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == [
        "",
        0,
        0,
    ]

    await page.reload()
    await expect(page.get_by_text("team-enqueue (enqueue)")).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Token")).to_be_focused()
    await expect(page.get_by_text("team-enqueue")).to_have_count(0)
    await page.reload()
    await expect(page.get_by_label("Token")).to_be_visible()


async def test_the_address_one_came_with_is_shown_after_the_login(
    open_page: OpenPage, scene: Scene
) -> None:
    job_id = await scene.queued("team/login:1")
    page = await open_page(f"/?job={job_id}", role=None)
    await log_in(page, TOKENS[Role.READ])
    await expect(page.get_by_role("heading", level=1)).to_have_text(
        "registry.example.com/team/login:1"
    )


async def test_a_login_that_ends_is_asked_for_again(
    open_page: OpenPage, scene: Scene, site: Site
) -> None:
    page = await open_page("/?repository=team/expired")
    await expect(page.locator("#connection")).to_have_text("live")
    redis = site.stores.database.redis
    async for key in redis.scan_iter(site.keys.session("*")):
        await redis.unlink(key)
    # The stream goes on, and what it tells makes the page ask.
    await scene.queued("team/expired:1")
    await expect(page.get_by_label("Token")).to_be_focused()
    await expect(page.locator(".jobs")).to_have_count(0)
    # Nothing of the views is reachable now, and going back in the history breaks nothing.
    await page.evaluate("history.pushState(null, '', '/?view=workers')")
    await page.go_back()
    await log_in(page, TOKENS[Role.ADMIN])
    await expect(page.get_by_role("link", name="team/expired:1")).to_be_visible()


async def test_a_worker_s_token_is_told_that_it_shows_nothing(open_page: OpenPage) -> None:
    page = await open_page(role=None)
    await log_in(page, TOKENS[Role.WORKER])
    await expect(page.get_by_role("alert")).to_contain_text("team-worker")
