"""Every page is tidy and accessible on a phone and on a desk, in light and dark.

With SCOPEGATE_SCREENSHOTS set to a folder, a picture of each is left there.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import assert_accessible, assert_tidy
from tests.browser.conftest import Browse
from tests.browser.steps import sign_in_as_demo
from tests.served import Served


class Shown(NamedTuple):
    """A page, a selector of what is there once all is shown, and what is done before that."""

    path: str
    ready: str
    before: Callable[[Page], None] | None = None


def open_sign_in(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()


PAGES = {
    "start": Shown("/", "main:has(#quote:not(:empty)):has(#snippets > *)"),
    "sign-in": Shown("/", "dialog button:text('demo user')", open_sign_in),
    "start-signed-in": Shown("/", "#who:has(.email)", sign_in_as_demo),
}


@pytest.fixture
def gateway(shared_gateway: Served) -> Served:
    return shared_gateway


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_it_is_tidy_and_accessible(
    browse: Browse, name: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = browse(width=width, scheme=scheme)
    shown = PAGES[name]
    page.goto(shown.path)
    if shown.before is not None:
        shown.before(page)
    expect(page.locator(shown.ready).first).to_be_visible()
    if folder := os.environ.get("SCOPEGATE_SCREENSHOTS"):
        picture = Path(folder).absolute() / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=picture, full_page=True)
    assert_tidy(page)
    assert_accessible(page)
