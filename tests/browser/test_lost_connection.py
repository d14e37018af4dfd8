"""The gateway goes away and comes back: pages say so, and go on with their streams."""

import json
import re

from playwright.sync_api import Page, expect

from tests.browser.watch import Watch
from tests.served import Served


def test_a_lost_connection_says_so_and_comes_back_with_its_streams(
    page: Page, gateway: Served, watch: Watch
) -> None:
    page.goto("/explorer#ticks")
    page.get_by_label("Request").fill(json.dumps({"ticks": "1HZ100V", "subscribe": 1}))
    page.get_by_role("button", name="Send").click()
    streams = page.get_by_role("region", name="Running streams")
    expect(streams).to_contain_text(re.compile(r"[2-9] messages"))
    port = page.evaluate("location.port")
    assert gateway.stop() == 0
    expect(page.locator("#connect-state")).not_to_have_text("connected")
    expect(page.get_by_text("The connection to the gateway is lost")).to_be_visible()
    gateway.options = (*gateway.options, "--port", port)
    gateway.start()
    expect(page.locator("#connect-state")).to_have_text("connected")
    before = streams.inner_text()
    expect(streams).not_to_have_text(before)
    expect(streams).not_to_contain_text("has ended")
    watch.take("WebSocket connection to")
