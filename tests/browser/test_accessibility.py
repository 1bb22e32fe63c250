"""The page for everybody: axe-core, the keyboard alone, small screens, dark mode."""

from itertools import product
from typing import Any, Literal

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, ViewportSize, expect

from push_queue.settings.api_tokens import Role
from tests.browser.conftest import OpenPage
from tests.browser.scene import BACKEND, LONG, Scene, job_id_of
from tests.browser.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

VIEWS = {
    "jobs": ("/", "tbody tr"),
    "filtered": ("/?state=failed", "tbody tr"),
    "none": ("/?repository=none", ".empty"),
    "running job": (f"/?job={job_id_of(LONG)}", "#attempts"),
    "retried job": (f"/?job={job_id_of(BACKEND)}", "#attempts"),
    "finished job": ("/?job=team-web-1.4", "#attempts"),
    "failed job": ("/?job=team-api-2.3.9", "#attempts"),
    "no job": ("/?job=nothing", ".problem"),
    "workers": ("/?view=workers", "#registries"),
    "login": ("/", ".login"),
}
"""The address of each, and what is there once it is shown."""

COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")

DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=360, height=740)
SMALLEST = ViewportSize(width=320, height=640)


@pytest_asyncio.fixture(loop_scope="session", scope="module", autouse=True)
async def everything(site: Site) -> None:
    await Scene(site).everything()


async def look_at(open_page: OpenPage, view: str, **options: Any) -> Page:
    """The page once it shows the view."""
    address, sign = VIEWS[view]
    page = await open_page(address, None if view == "login" else Role.ADMIN, **options)
    await expect(page.locator(sign).first).to_be_visible()
    return page


@pytest.mark.parametrize("view", VIEWS)
async def test_axe_finds_nothing(open_page: OpenPage, view: str) -> None:
    page = await look_at(open_page, view)
    for viewport, colours in product((DESKTOP, PHONE), COLOURS):
        await page.set_viewport_size(viewport)
        await page.emulate_media(color_scheme=colours)
        found = await Axe().run(page)
        assert found.violations_count == 0, f"{viewport} {colours} {found.generate_report()}"


@pytest.mark.parametrize("view", VIEWS)
async def test_nothing_is_wider_than_the_smallest_phone(open_page: OpenPage, view: str) -> None:
    page = await look_at(open_page, view, viewport=SMALLEST, is_mobile=True, has_touch=True)
    widths = await page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths == [320, 320]


async def test_a_finger_hits_every_button(open_page: OpenPage, site: Site, repository: str) -> None:
    """WCAG 2.5.8: 24 pixels at least."""
    await Scene(site).running(f"{repository}:1")
    page = await open_page(
        f"/?repository={repository}", viewport=SMALLEST, is_mobile=True, has_touch=True
    )
    cancel = page.get_by_role("button", name="Cancel the push")
    await expect(cancel).to_be_visible()
    heights = await page.get_by_role("button").evaluate_all(
        "buttons => buttons.map((button) => button.getBoundingClientRect().height)"
    )
    assert min(heights) >= 24
    await cancel.tap()
    await expect(page.locator(".why")).to_have_text("its worker was asked to stop")


async def test_it_is_dark_where_the_reader_wants_it(open_page: OpenPage) -> None:
    brightness = """() => Math.max(
        ...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)
    )"""
    page = await look_at(open_page, "jobs", color_scheme="dark")
    assert await page.evaluate(brightness) < 64
    await page.emulate_media(color_scheme="light")
    assert await page.evaluate(brightness) > 192
