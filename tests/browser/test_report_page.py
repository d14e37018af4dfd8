"""The page of a report, opened from the disk: it needs no script, file or host."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scopegate.reports.page import page_of, write
from scopegate.reports.report import report_of
from scopegate.reports.trades import Trade
from scopegate.testkit import live_gateway
from tests.browser.checks import assert_accessible, assert_tidy
from tests.program.reporting_bot import played

pytestmark = pytest.mark.lengthy


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    with live_gateway(seed="page") as gateway:
        played(gateway, 12)
        write(gateway.report("A bot that goes on"), folder)
    [page] = folder.glob("*.html")
    return page


@pytest.fixture(
    params=[(1280, "light"), (390, "light"), (390, "dark")], ids=["wide", "narrow", "dark"]
)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    yield context.new_page()
    context.close()


def test_it_shows_the_trades_and_the_chart(page: Page, report: Path) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: requests.append(message.text))
    page.goto(report.as_uri())
    expect(page.get_by_role("heading", name="A bot that goes on")).to_be_visible()
    rows = page.get_by_role("table", name="Trades").locator("tbody tr")
    expect(rows).to_have_count(12)
    expect(rows.first).to_contain_text("PUT R_100")
    expect(rows.first).to_contain_text("strictly lower than the entry spot")
    expect(page.get_by_role("img", name="After 12 trades the result is")).to_be_visible()
    expect(page.get_by_role("table", name="Calls")).to_contain_text("1 RateLimit, 1 PriceMoved")
    faults = page.get_by_role("table", name="Faults").locator("tbody tr")
    expect(faults).to_have_count(3)
    expect(faults.last).to_contain_text("connected again, authorize, buy")
    expect(page.locator(".facts")).to_contain_text("Standard error")
    assert requests == [report.as_uri()]
    assert page.locator("script").count() == 0
    assert_tidy(page)
    assert_accessible(page)


def test_an_empty_report_says_so(page: Page, tmp_path: Path) -> None:
    write(report_of("Nothing", [], []), tmp_path)
    page.goto((tmp_path / "Nothing.html").as_uri())
    expect(page.get_by_text("No contract was bought.")).to_be_visible()
    assert_tidy(page)


def test_what_others_wrote_is_no_markup() -> None:
    evil = "<script>alert(1)</script>"
    trade = Trade(1, evil, evil, evil, evil, 1.0, 0, evil, 1, 2.0, 0.0)
    assert "<script" not in page_of(report_of(evil, [], [trade]))
