"""What the page says while people have paused the queue, or a registry."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from producer.operator import Operator
from push_queue.settings.api_tokens import Role
from tests.browser.conftest import OpenPage
from tests.browser.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

REASON = "새 디스크 <b>"
HOST = "reg.example.com"


@pytest_asyncio.fixture(loop_scope="session")
async def operator(site: Site) -> AsyncIterator[Operator]:
    operator = Operator(site.queue)
    yield operator
    await operator.resume()
    await operator.resume_registry(HOST)


@pytest.mark.parametrize("address", ["/", "/?view=workers"])
async def test_a_paused_queue_is_announced_until_it_is_resumed(
    open_page: OpenPage, operator: Operator, address: str
) -> None:
    page = await open_page(address, role=Role.READ)
    notice = page.get_by_role("status").filter(has_text="The queue is paused")
    await expect(page.get_by_role("heading").first).to_be_attached()
    await expect(notice).to_have_count(0)
    await operator.pause(reason=REASON, caller="앨리스")
    await expect(notice).to_contain_text("is paused by 앨리스 since")
    await expect(notice).to_contain_text(f": {REASON}. Workers take no new job")
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    await operator.resume()
    await expect(notice).to_have_count(0)


async def test_a_paused_registry_says_why(open_page: OpenPage, operator: Operator) -> None:
    await operator.pause_registry(HOST, seconds=3600, reason=REASON)
    page = await open_page("/?view=workers")
    row = page.get_by_role("row").filter(has_text=HOST)
    await expect(row).to_contain_text("is paused until")
    await expect(row).to_contain_text(REASON)
    await operator.resume_registry(HOST)
    await expect(row).to_have_count(0)
