"""The pages' connection: lost and made good, and streams that end as soon as they began."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import stop
from tests.browser.watch import Watch
from tests.served import Served


def test_a_lost_connection_says_so_and_comes_back_with_its_streams(
    page: Page, gateway: Served, watch: Watch
) -> None:
    page.goto("/explorer#ticks")
    page.get_by_label("Request", exact=True).fill(json.dumps({"ticks": "1HZ100V", "subscribe": 1}))
    page.get_by_role("button", name="Send").click()
    streams = page.get_by_role("region", name="Running streams")
    expect(streams).to_contain_text(re.compile(r"[2-9] messages"))
    port = page.evaluate("location.port")
    stop(page, gateway)
    expect(page.locator("#connect-state")).not_to_have_text("connected")
    expect(page.get_by_text("The connection to the gateway was lost")).to_be_visible()
    gateway.options = (*gateway.options, "--port", port)
    gateway.start()
    expect(page.locator("#connect-state")).to_have_text("connected")
    before = streams.inner_text()
    expect(streams).not_to_have_text(before)
    expect(streams).not_to_contain_text("has ended")
    watch.take("WebSocket connection to")


@pytest.mark.lengthy
def test_streams_are_opened_before_what_they_change_is_read(page: Page) -> None:
    """Otherwise a contract that is settled in between would stay in a page's list for ever."""
    page.goto("/explorer")
    sent = page.evaluate(
        """async () => {
          const { Api } = await import("/assets/socket.js");
          const sockets = [];
          window.WebSocket = class extends WebSocket {
            constructor(...given) {
              super(...given);
              sockets.push(this);
            }
          };
          const api = new Api({ appId: 1089 });
          await api.ready();
          api.stream({ ticks: "R_100" }, () => {});
          const sent = [];
          api.onFrame((direction, text) => direction === "out" && sent.push(JSON.parse(text)));
          await new Promise((resolve) => {
            api.onState((state) => state === "open" && api.ask({ time: 1 }).then(resolve));
            sockets[0].close();
          });
          api.close();
          return sent;
        }"""
    )
    assert [next(iter(request)) for request in sent] == ["ticks", "time"]


@pytest.mark.lengthy
def test_a_sign_in_that_fails_is_tried_less_and_less_often(page: Page) -> None:
    page.goto("/explorer")
    waits = page.evaluate(
        """async () => {
          const { Api } = await import("/assets/socket.js");
          const later = window.setTimeout;
          const waits = [];
          window.setTimeout = (action, wait) => {
            if (![500, 1000, 2000].includes(wait)) {
              return later(action, wait);
            }
            waits.push(wait);
            return later(action, 0);
          };
          await new Promise((resolve) => {
            const api = new Api({
              appId: 1089,
              onOpen: async (ask) => {
                await ask({ ping: 1 });
                if (waits.length < 3) {
                  throw new Error("refused");
                }
                api.close();
                resolve();
              },
            });
          });
          window.setTimeout = later;
          return waits;
        }"""
    )
    assert waits == [500, 1000, 2000]


@pytest.mark.lengthy
def test_a_stream_that_was_stopped_at_once_is_in_nobodys_way(page: Page) -> None:
    """As somebody does who picks a symbol, another, and the first again."""
    page.goto("/")
    told = page.evaluate(
        """async () => {
          const { Api } = await import("/assets/socket.js");
          const api = new Api({ appId: 1089 });
          await api.ready();
          const request = { ticks: "R_100" };
          api.stream(request, () => {}).stop();
          const told = new Promise((resolve) => {
            const says = (message) => resolve(message.msg_type);
            api.stream(request, says, (error) => resolve(error.code));
          });
          return told.finally(() => api.close());
        }"""
    )
    assert told == "tick"
