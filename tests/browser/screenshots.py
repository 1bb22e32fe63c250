"""Take the pictures of the page that the documentation shows."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, expect

from tests.browser.scene import BACKEND, Scene, job_id_of
from tests.browser.site import run_site, visit
from tests.support.browser import run_chromium
from tests.support.servers import run_redis

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"

WIDE: dict[str, Any] = {"viewport": {"width": 1180, "height": 760}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 760}, "color_scheme": "dark"}

PICTURES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("page.png", "/", WIDE),
    ("page-job.png", f"/?job={job_id_of(BACKEND)}", WIDE),
    ("page-phone.png", "/", PHONE),
)


async def take(browser: Browser, url: str, name: str, address: str, options: Any) -> None:
    async with visit(browser, url, **options) as visitor:
        page = await visitor.open(address)
        await expect(page.locator("figure svg").first).to_be_visible()
        await expect(page.get_by_role("progressbar").first).to_be_visible()
        await page.screenshot(path=FOLDER / name, full_page="job" in name, animations="disabled")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, run_redis(Path(folder) / "redis") as redis:
        async with (
            run_site(Path(folder), redis.url, "push") as site,
            run_chromium() as browser,
        ):
            await Scene(site).everything()
            for picture in PICTURES:
                await take(browser, site.url, *picture)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
