"""A real browser and a gateway for it to visit. `browse()` opens a page of that gateway.

Rules:
- These tests are plain `def`: while Playwright runs, this thread counts as inside its event loop,
  so nothing asynchronous can run in it. That ends with this folder's last test.
- No sleeps: wait for what a person would wait for, with locators and `expect`.
- At the end of a test nothing has gone wrong in its pages (`watch.py` tells what that is) but what
  the test took out of `watch`, and the gateway has written nothing to standard error.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.browser.steps import OPERATOR_TOKEN
from tests.browser.tools import chromium
from tests.browser.watch import Watch
from tests.served import Served, serving

PATIENCE = 30_000
"""Milliseconds that a page may take before a test fails."""

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    # Nothing but this machine can be reached, however a page tries. Playwright's own blocking
    # would leave WebSockets open, and would turn off the cache.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
"""What Playwright's own flags leave to say."""


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = chromium()
    # Beside its profile, which Playwright makes anew, the browser writes into this folder.
    settings = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("chromium"))}
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS, env=settings)
        yield running
        running.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    noting = Watch()
    yield noting
    assert noting.found == []


@pytest.fixture
def gateway(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A gateway for one test; parametrised indirectly, it is served with further options."""
    with serving(tmp_path, *getattr(request, "param", ())) as served:
        yield served


@pytest.fixture(scope="package")
def shared_gateway(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gateway for all tests that leave nothing behind: a module makes this its `gateway`."""
    folder = tmp_path_factory.mktemp("shared")
    with serving(folder, "--operator-token", OPERATOR_TOKEN) as served:
        yield served


class Browse(Protocol):
    """Opens an empty page in a context of its own, as another visitor would have it."""

    def __call__(
        self, *, width: int = 1280, height: int = 800, scheme: Literal["light", "dark"] = "light"
    ) -> Page: ...


@pytest.fixture
def browse(browser: Browser, gateway: Served, watch: Watch) -> Iterator[Browse]:
    with contextlib.ExitStack() as contexts:

        def open_page(
            *, width: int = 1280, height: int = 800, scheme: Literal["light", "dark"] = "light"
        ) -> Page:
            context = browser.new_context(
                base_url=gateway.page,
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",
                locale="en-US",
                timezone_id="UTC",
            )
            contexts.callback(context.close)
            context.set_default_timeout(PATIENCE)
            watch.follow(context)

            def hear_out() -> None:
                """Wait until each page has told what it had to tell."""
                for page in context.pages:
                    with contextlib.suppress(Error):
                        page.evaluate("0")

            contexts.callback(hear_out)
            return context.new_page()

        yield open_page


@pytest.fixture
def page(browse: Browse) -> Page:
    """A page as most visitors would have it."""
    return browse()
