"""What jobs say is text, whatever it is; and nothing but the page's own files runs in it."""

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import OpenPage
from tests.browser.scene import Scene
from tests.browser.site import Site, visit
from tests.support.waiting import becomes

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

SCRIPT = "<script>window.ran = true</script>"
IMAGE = "<img src=x onerror='window.ran = true'>"
BAIT = SCRIPT + IMAGE

RAN = "() => window.ran === true"
MARKUP = "() => document.querySelectorAll('body script, body img').length"


async def test_a_script_in_anything_that_a_job_says_stays_text(
    open_page: OpenPage, scene: Scene, repository: str
) -> None:
    job_id = await scene.failed(
        f"{repository}:1",
        f"no {BAIT}",
        "denied",
        source=f"/images/{BAIT}.tar",
        image=f"app:{BAIT}",
        labels={BAIT: BAIT},
    )
    page = await open_page(f"/?repository={repository}")
    await expect(page.locator(".why")).to_have_text(f"no {BAIT} (denied)")
    await page.get_by_role("link", name=f"{repository}:1").click()
    await expect(page.locator("p.state")).to_contain_text(f"no {BAIT} (denied)")
    facts = page.get_by_role("definition")
    await expect(facts.filter(has_text=f"/images/{BAIT}.tar (app:{BAIT})")).to_be_visible()
    await expect(facts.filter(has_text=f"{BAIT}={BAIT}")).to_be_visible()
    await expect(page.get_by_role("cell", name=f"no {BAIT} (denied)")).to_be_visible()
    assert page.url.endswith(f"?job={job_id}")
    assert await page.evaluate(MARKUP) == 0
    assert not await page.evaluate(RAN)


async def test_a_script_in_what_a_worker_or_registry_says_stays_text(
    open_page: OpenPage, scene: Scene, site: Site
) -> None:
    await scene.queued("team/bait:1", registry="bait.example.com")
    await site.stores.limits.pause("bait.example.com", f"down {BAIT}", 3000)
    job_id = await scene.queued("team/bait:2", registry="bait.example.com")
    await site.stores.attempts.start(job_id, 0, BAIT)
    page = await open_page("/?view=workers")
    await expect(page.get_by_role("cell").filter(has_text=f"down {BAIT}")).to_be_visible()
    assert await page.evaluate(MARKUP) == 0
    assert not await page.evaluate(RAN)


@pytest.mark.parametrize("name", ["job", "state", "repository", "label", "cursor", "view"])
async def test_a_script_in_the_address_stays_text(open_page: OpenPage, name: str) -> None:
    page = await open_page(f"/?{name}={BAIT}&registry={BAIT}")
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(page.locator("#connection.live, [role=alert]:visible").first).to_be_visible()
    assert await page.evaluate(MARKUP) == 0
    assert not await page.evaluate(RAN)


async def test_a_script_that_got_in_would_not_run(browser: Browser, site: Site) -> None:
    """The policy of contents is the second wall: it holds without the first."""
    async with visit(browser, site.url) as visitor:
        page = await visitor.open()
        await page.evaluate(
            """bait => {
                document.body.insertAdjacentHTML("beforeend", bait);
                const script = document.createElement("script");
                script.textContent = "window.ran = true";
                document.body.append(script);
            }""",
            IMAGE,
        )

        async def both_are_refused() -> bool:
            return len(visitor.complaints) == 2

        await becomes(both_are_refused)
        assert not await page.evaluate(RAN)
        assert all("Content Security Policy" in text for text in visitor.complaints)
        visitor.complaints.clear()


async def test_the_page_asks_nobody_but_its_server(
    open_page: OpenPage, scene: Scene, site: Site
) -> None:
    job_id = await scene.succeeded("team/quiet:1")
    page = await open_page()
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    for address in ("/", f"/?job={job_id}", "/?view=workers"):
        await page.goto(address)
        await expect(page.locator("#connection")).to_have_text("live")
    assert asked
    assert [url for url in asked if not url.startswith((f"{site.url}/", "data:"))] == []
