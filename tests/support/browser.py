"""Chromium of this machine, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright, expect

from tests.support.processes import HANG_SECONDS, unavailable

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

HANG_MS = 1000 * HANG_SECONDS

expect.set_options(timeout=HANG_MS)


def chromium_path() -> str:
    """Where Chromium is; skips or fails where there is none."""
    found = filter(None, map(shutil.which, PROGRAMS))
    return next(found, "") or unavailable(f"none of {', '.join(PROGRAMS)} is installed")


@asynccontextmanager
async def run_chromium() -> AsyncIterator[Browser]:
    """A browser without a window, which belongs to the loop that this runs in."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, timeout=HANG_MS)
        try:
            yield browser
        finally:
            await browser.close()
