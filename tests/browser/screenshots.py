"""Take the pictures of the page and of a terminal that the documentation shows."""

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, expect

from tests.browser.scene import BACKEND, Scene, job_id_of
from tests.browser.site import run_site, visit
from tests.support.big_images import write_big_archive
from tests.support.browser import run_chromium
from tests.support.proxy import FaultProxy
from tests.support.servers import clean_environment, run_redis, run_registry
from tests.support.terminal import run_on_terminal

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"

WIDE: dict[str, Any] = {"viewport": {"width": 1180, "height": 760}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 760}, "color_scheme": "dark"}

PICTURES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("page.png", "/", WIDE),
    ("page-job.png", f"/?job={job_id_of(BACKEND)}", WIDE),
    ("page-phone.png", "/", PHONE),
)


LAYER_SIZES = [29_000_000, 71_000_000, 12_000_000, 3_000_000]
LINE = 8_000_000
"""Bytes a second of each request."""
HALF_DONE = re.compile(r" 3\d\.\d/71\.0 MB")


async def take(browser: Browser, url: str, name: str, address: str, options: Any) -> None:
    async with visit(browser, url, **options) as visitor:
        page = await visitor.open(address)
        await expect(page.locator("figure svg").first).to_be_visible()
        await expect(page.get_by_role("progressbar").first).to_be_visible()
        await page.screenshot(path=FOLDER / name, full_page="job" in name, animations="disabled")


async def take_terminal(folder: Path) -> None:
    """A push of four layers, half done, to a registry at the end of a slow line."""
    write_big_archive(folder / "app.tar", LAYER_SIZES)
    with run_registry(folder / "registry") as registry:
        async with FaultProxy(registry.url, bandwidth=LINE) as line:
            port = line.url.rpartition(":")[2]
            command = [sys.executable, "-m", "producer", "push", str(folder / "app.tar")]
            env = clean_environment(XDG_CACHE_HOME=str(folder))
            to = f"localhost:{port}/team/app:1.0"
            async with run_on_terminal([*command, "--to", to], env) as terminal:
                await terminal.shows(HALF_DONE.search)
                svg = terminal.picture(f"push-queue push app.tar --to {to}")
    svg = svg.replace(port, "15000")
    (FOLDER / "terminal.svg").write_text(svg)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await take_terminal(Path(folder))
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
