"""What the page shows of a push while it happens: a real worker and a real registry."""

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from push_queue.settings import Settings
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.support.big_images import BigArchive, write_big_archive
from tests.support.processes import ManagedProcess
from tests.support.proxy import FaultProxy, Hold, is_manifest_put, is_patch

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

MB = 1_000_000


@pytest.fixture
def big(tmp_path: Path) -> BigArchive:
    """With more layers than a job sends at once, which no registry has seen."""
    layers = [4 * MB] * (Settings.model_fields["job_uploads"].default + 2)
    return write_big_archive(tmp_path / "big.tar", layers, seed=uuid.uuid4().int)


def hold_uploads(proxy: FaultProxy) -> list[Hold]:
    """As many as a job has at once; so its other layers wait."""
    return [proxy.hold(is_patch) for _ in range(Settings.model_fields["job_uploads"].default)]


async def reached(holds: list[Hold]) -> None:
    for hold in holds:
        await hold.reached.wait()


def release(holds: list[Hold]) -> None:
    for hold in holds:
        hold.release()


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(registry_url: str) -> AsyncIterator[FaultProxy]:
    """In front of the shared registry."""
    async with FaultProxy(registry_url) as proxy:
        yield proxy


async def test_a_push_is_followed_from_the_first_byte_to_the_digest(
    open_page: OpenPage,
    site: Site,
    pushing: ManagedProcess,
    proxy: FaultProxy,
    big: BigArchive,
    repository: str,
) -> None:
    page = await open_page(f"/?repository={repository}")
    await expect(page.locator(".empty")).to_have_text("No job fits these filters.")
    uploads = hold_uploads(proxy)
    target = f"{proxy.host}/{repository}:1"
    job = await site.queue.enqueue(big.path, target)
    await reached(uploads)
    row = page.get_by_role("row").filter(has_text=target)
    await expect(row.get_by_text("running")).to_be_visible()
    bar = row.get_by_role("progressbar")
    await expect(row.locator(".figures")).to_have_text(re.compile(r"^\d+ %, .+ of 20\.\d MB"))
    before = float(await bar.get_attribute("value") or 0)

    manifest = proxy.hold(is_manifest_put)
    release(uploads)
    await manifest.reached.wait()
    await expect(row.locator(".figures")).to_contain_text("100 %")
    assert float(await bar.get_attribute("value") or 0) > before
    manifest.release()
    await expect(row.get_by_text("succeeded")).to_be_visible()
    await expect(bar).to_be_hidden()

    await row.get_by_role("link").click()
    await expect(page).to_have_title(f"succeeded: {target}")
    digest = (await site.queue.status(job.id)).digest
    assert digest
    await expect(page.get_by_text(digest)).to_be_visible()


async def test_the_view_of_a_job_is_live(
    open_page: OpenPage,
    site: Site,
    pushing: ManagedProcess,
    proxy: FaultProxy,
    big: BigArchive,
    repository: str,
) -> None:
    uploads = hold_uploads(proxy)
    job = await site.queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
    await reached(uploads)
    page = await open_page(f"/?job={job.id}")
    await expect(page.locator("p.state")).to_contain_text("running")
    layers = page.get_by_role("region", name="Layers and configs")
    await expect(layers.get_by_role("progressbar")).not_to_have_count(0)
    release(uploads)
    await expect(page.locator("p.state")).to_contain_text("succeeded")
    await expect(layers.get_by_role("cell", name="uploaded")).to_have_count(6)
    attempts = page.get_by_role("region", name="Attempts")
    await expect(attempts.get_by_role("cell", name="succeeded")).to_be_visible()
    await expect(attempts.locator("svg rect.succeeded")).to_have_count(1)
    # What it announced to a screen reader.
    await expect(page.get_by_role("status")).to_have_text(f"job {job.id}: succeeded")


async def test_a_running_push_is_cancelled_and_enqueued_again(
    open_page: OpenPage,
    site: Site,
    pushing: ManagedProcess,
    proxy: FaultProxy,
    big: BigArchive,
    repository: str,
) -> None:
    uploads = hold_uploads(proxy)
    job = await site.queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
    await reached(uploads)
    page = await open_page(f"/?repository={repository}")
    await page.get_by_role("button", name="Cancel the push").click()
    await expect(page.locator("td.state")).to_have_text("cancelled")
    assert (await site.queue.status(job.id)).cancelled_by == "team-admin"
    release(uploads)
    await page.get_by_role("button", name="Retry the push").click()
    await expect(page.locator("td.state")).to_have_text("succeeded")
    assert (await site.queue.status(job.id)).retried_by == "team-admin"


async def test_a_push_adds_to_the_last_hour(
    open_page: OpenPage,
    site: Site,
    pushing: ManagedProcess,
    registry_host: str,
    big: BigArchive,
    repository: str,
) -> None:
    job = await site.queue.enqueue(big.path, f"{registry_host}/{repository}:1")
    await site.queue.wait(job.id)
    page = await open_page()
    plot = page.get_by_role("figure", name="Last hour")
    await expect(plot).to_contain_text(re.compile(r"[1-9]\d* succeeded"))
    drawing = page.get_by_role("img", name="Bytes sent in each minute of the last hour")
    await expect(drawing.locator("rect.background")).to_have_count(60)
    tallest = await drawing.locator("rect.sent").evaluate_all(
        "columns => Math.max(...columns.map((column) => column.height.baseVal.value))"
    )
    assert tallest == 72


async def test_a_worker_and_its_registry_are_listed(
    open_page: OpenPage,
    site: Site,
    pushing: ManagedProcess,
    proxy: FaultProxy,
    big: BigArchive,
    repository: str,
) -> None:
    uploads = hold_uploads(proxy)
    job = await site.queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
    await reached(uploads)
    page = await open_page("/?view=workers")
    worker = page.get_by_role("row").filter(has_text=str(pushing.pid))
    await expect(worker.get_by_role("link", name=job.id)).to_be_visible()
    registry = page.get_by_role("row").filter(has_text=proxy.host)
    await expect(registry.locator("td").nth(1)).to_have_text(re.compile("^3 of "))
    release(uploads)
