"""A server that goes away and comes back while somebody looks."""

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.scene import Scene
from tests.browser.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def cancel_while_the_server_is_away(page: Page, site: Site, job_id: str) -> None:
    connection, state = page.locator("#connection"), page.locator(".state .badge")
    await expect(connection).to_have_text("live")
    await expect(state).to_have_text("queued")
    site.server.process.kill()
    await expect(connection).to_have_text("connecting again…")
    await expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    # What is known stays in view.
    await expect(state).to_have_text("queued")
    await site.queue.cancel(job_id)
    site.server.process.start()
    site.server.wait_ready()
    await expect(connection).to_have_text("live")
    await expect(state).to_have_text("cancelled")
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_the_list_goes_on_where_the_server_does(
    open_page: OpenPage, scene: Scene, site: Site
) -> None:
    job_id = await scene.queued("team/list:1")
    page = await open_page("/?repository=team/list")
    await cancel_while_the_server_is_away(page, site, job_id)
    # By the new stream.
    await site.queue.retry(job_id)
    await expect(page.locator(".state .badge")).to_have_text("queued")


async def test_a_server_that_does_not_answer_is_asked_again(
    open_page: OpenPage, scene: Scene
) -> None:
    """As over a connection that is dead without a word."""
    await scene.queued("team/silent:1")
    page = await open_page("/?repository=team/silent")
    await expect(page.get_by_role("link", name="team/silent:1")).to_be_visible()
    silent: list[Route] = []

    async def keep(route: Route) -> None:
        await (route.continue_() if silent else no_answer(route))

    async def no_answer(route: Route) -> None:
        silent.append(route)

    await page.route("**/session", keep)
    await page.clock.install()
    await page.reload()
    await page.clock.fast_forward(15_000)
    await expect(page.get_by_role("alert")).to_have_text("the server does not answer; trying again")
    await page.clock.fast_forward(5_000)
    await expect(page.get_by_role("link", name="team/silent:1")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.unroute("**/session")


async def test_the_view_of_a_job_goes_on_where_the_server_does(
    open_page: OpenPage, scene: Scene, site: Site
) -> None:
    job_id = await scene.queued("team/view:1")
    page = await open_page(f"/?job={job_id}")
    await cancel_while_the_server_is_away(page, site, job_id)
