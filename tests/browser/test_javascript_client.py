"""The JavaScript client in a browser: what it sees under cuts equals the ledger."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.browser.watch import Watch
from tests.client.cutting_proxy import CuttingProxy, cutting_proxy, random_cuts
from tests.client.test_javascript_client import LONGEST_LIFE, PURCHASES, assert_all_is_seen
from tests.served import Served

TRADING = (Path(__file__).parents[1] / "client" / "trading.js").read_text()


@contextmanager
def proxy_before(port: int) -> Iterator[CuttingProxy]:
    """A proxy in a thread of its own: nothing asynchronous can run in this one."""
    begun: list[CuttingProxy] = []
    is_there, end = threading.Event(), threading.Event()

    async def main() -> None:
        async with cutting_proxy(port) as proxy:
            begun.append(proxy)
            is_there.set()
            await asyncio.to_thread(end.wait)

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    is_there.wait()
    try:
        yield begun[0]
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("gateway", [["--speed", "20"]], indirect=True, ids=["fast"])
def test_nothing_is_lost_or_doubled_in_a_browser(page: Page, gateway: Served, watch: Watch) -> None:
    with proxy_before(urlsplit(gateway.page).port or 0) as proxy:
        page.goto(f"http://127.0.0.1:{proxy.port}/scopegate-client.d.ts")  # has no socket itself
        page.evaluate("import('/scopegate-client.js').then(() => null)")
        proxy.next_cut = random_cuts(random.Random(3), LONGEST_LIFE).__next__
        seen = page.evaluate(
            f"""async (given) => {{
              const trade = {TRADING};
              return trade(await import("/scopegate-client.js"), given);
            }}""",
            {
                "url": f"ws://127.0.0.1:{proxy.port}/websockets/v3",
                "token": gateway.token,
                "purchases": PURCHASES,
            },
        )
        cuts = proxy.cuts
    assert cuts > 5
    assert_all_is_seen(seen, gateway)
    watch.take("WebSocket connection to|favicon")
