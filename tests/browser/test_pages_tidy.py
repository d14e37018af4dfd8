"""Every page is tidy and accessible on a phone and on a desk, in light and dark.

Each is looked at as somebody finds it who uses it: with tokens, apps, contracts, frames in it.
With SCOPEGATE_SCREENSHOTS set to a folder, a picture of each is left there.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from scopegate.handlers.exchange.exchange_scopes import SCOPES
from tests.browser.checks import assert_accessible, assert_tidy
from tests.browser.conftest import Browse
from tests.browser.programs import device_codes, owner, program, registered
from tests.browser.steps import sign_in_as_demo, sign_in_as_operator
from tests.browser.watch import Watch
from tests.effort import LONG
from tests.served import Served

RESTRICTED = "&authorization_details=" + quote(
    '[{"type": "scopegate_restrictions", "max_stake": 5, "networks": ["2001:db8:1:2::/64"]}]'
)
BACK = "http://127.0.0.1:9/back"  # nobody is there, and nobody is sent there
_numbers = itertools.count(1)
LONG_NAME = "Donaudampfschifffahrtsgesellschaftskapitaen"
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
BOTH: tuple[tuple[int, Scheme], ...] = ((360, "dark"), (1280, "light"))
"""Both widths, in pixels, and both schemes."""
SHOWN_AS = tuple(itertools.product((360, 1280), SCHEMES)) if LONG else BOTH


TRANSITIONS = "document.getAnimations().filter((each) => each instanceof CSSTransition).length"
"""The number of properties that change bit by bit at the moment."""


class Shown(NamedTuple):
    """A page, what is done on it first, and a selector of what is there once all is shown."""

    path: str
    ready: str
    first: Callable[[Page], None] = lambda page: None


def open_menu(page: Page) -> None:
    sign_in_as_demo(page)
    if (menu := page.get_by_role("button", name="Menu")).is_visible():
        menu.click()


def make_a_token(page: Page) -> None:
    sign_in_as_demo(page)
    page.get_by_role("button", name="New token").click()
    page.get_by_label("Name").fill(f"A bot with rather a long name for a phone {next(_numbers)}")
    page.locator("#make input[value=read]").check()
    page.get_by_role("button", name="Create token").click()


def be_told_what_is_wrong(page: Page) -> None:
    sign_in_as_demo(page)
    page.get_by_role("button", name="New token").click()
    page.get_by_label("Name").fill("No scopes")
    page.get_by_role("button", name="Create token").click()


def restrict_a_new_token(page: Page) -> None:
    make_a_token(page)
    page.get_by_role("button", name="New token").click()
    page.locator("#make summary").click()


def edit_restrictions(page: Page) -> None:
    sign_in_as_demo(page)
    page.get_by_role("button", name="Edit restrictions").first.click()


def replace_a_secret(page: Page) -> None:
    sign_in_as_demo(page)
    page.get_by_role("button", name="Replace secret").first.click()


def ask_to_revoke(page: Page) -> None:
    sign_in_as_demo(page)
    page.get_by_role("button", name="Revoke access").first.click()


def register(page: Page) -> None:
    sign_in_as_demo(page)
    page.get_by_role("button", name="Register app").click()


def send_and_stream(page: Page) -> None:
    page.get_by_role("button", name="Send").click()


def buy(page: Page) -> None:
    sign_in_as_demo(page)
    page.get_by_label("Unit").select_option("minutes")
    page.get_by_role("button", name="Buy Rise").click()


def go_on(page: Page) -> None:
    page.get_by_role("button", name="Continue", exact=True).click()


def go_on_and_sign_in(page: Page) -> None:
    go_on(page)
    sign_in_as_demo(page)


PAGES = {
    "start": Shown("/", "main:has(#quote:not(:empty)):has(#snippets > *)"),
    "menu": Shown("/", "#who:has(.email)", open_menu),
    "sign-in": Shown(
        "/", "dialog button:text('demo user')", lambda page: page.click("#who button")
    ),
    "tokens-signed-out": Shown("/tokens", "button:text('demo user')"),
    "tokens": Shown("/tokens", "#said .notice", make_a_token),
    "tokens-wrong": Shown("/tokens", "[aria-invalid=true], .error", be_told_what_is_wrong),
    "tokens-restricted": Shown("/tokens", "#list .restriction-list", restrict_a_new_token),
    "tokens-edit": Shown("/tokens", "dialog[open]", edit_restrictions),
    "tokens-secret": Shown("/tokens", "dialog[open]", replace_a_secret),
    "connected-edit": Shown("/connected", "dialog[open]", edit_restrictions),
    "connected": Shown("/connected", "#activity table", sign_in_as_demo),
    "revoke": Shown("/connected", "dialog[open]", ask_to_revoke),
    "apps": Shown("/apps", "#apps li, #apps article", sign_in_as_demo),
    "apps-register": Shown("/apps", "form [name=redirect_uri]", register),
    "explorer": Shown("/explorer#ticks", "#streams article canvas", send_and_stream),
    "explorer-fields": Shown("/explorer#proposal", "#call-more table"),
    "account": Shown("/account", "#open li, #open article, #open table", buy),
    "consent": Shown("/oauth2/authorize?app_id={app_id}&state=x", "#choices form", sign_in_as_demo),
    "consent-restricted": Shown(
        "/oauth2/authorize?app_id={app_id}" + RESTRICTED,
        "#choices details[open]",
        sign_in_as_demo,
    ),
    "consent-changed": Shown("/oauth2/authorize?app_id={changed}", "#changes li", sign_in_as_demo),
    "consent-signed-out": Shown("/oauth2/authorize?app_id={app_id}", "#refuse button"),
    "consent-refused": Shown("/oauth2/authorize?app_id={app_id}&scopes=root", "#asked .notice"),
    "device": Shown("/device", "#code form"),
    "device-consent": Shown("/device?user_code={code}", "#choices form", go_on_and_sign_in),
    "device-unknown": Shown("/device?user_code=BBBB-BBBB", "#code .error", go_on),
    "operator-signed-out": Shown("/operator", "form [name=operator_token]"),
    "operator": Shown("/operator", "#connections table", sign_in_as_operator),
}


@pytest.fixture
def gateway(shared_gateway: Served) -> Served:
    return shared_gateway


@pytest.fixture(scope="module")
def app_id(shared_gateway: Served) -> Iterator[int]:
    """An app that the demo user has connected, and that is at work; another one has changed."""
    asked = ("read", "trade", "payments")
    with (
        registered(shared_gateway, BACK, *SCOPES, name=LONG_NAME) as registered_app,
        registered(shared_gateway, BACK, *asked, name="Helper") as changed_app,
        owner(shared_gateway) as page,
        program(shared_gateway, shared_gateway.token) as maker,
    ):

        def allow(app_id: int) -> str:
            allowed = page.ask(
                consent=1,
                query=f"app_id={app_id}",
                returns_to="http://127.0.0.1:9",
                loginids=[shared_gateway.loginids[0]],
                scopes=["read", "trade"],
                restrictions={"max_stake": 0.35, "max_loss_per_day": 1, "symbols": ["R_100"]},
                expires_at=4_000_000_000,
            )
            return parse_qs(urlsplit(allowed["consent"]["redirect_to"]).query)["token1"][0]

        allow(changed_app)
        now = {"name": "Deriv Official", "scopes": asked, "redirect_uri": BACK}
        maker.ask(app_update=changed_app, app_markup_percentage=2.5, **now)
        maker.ask(app_flow=1, app_id=registered_app, device_flow=1)
        maker.ask(
            token_create=1,
            name="Made by the demo token",
            scopes=["read"],
            expires_at=int(time.time()) + 3 * 86_400,
            restrictions={
                "networks": ["127.0.0.0/8", "2001:db8:1234:5678::/64"],
                "max_loss_per_day": 0,
                "symbols": ["R_100", "R_50", "R_25", "frxEURUSD"],
            },
        )
        with program(shared_gateway, allow(registered_app), app_id=registered_app) as bot:
            bot.ask(balance=1)
            bot.ask(buy="1", price=1)
            bot.ask(api_token=1)  # refused: it is not for apps
            yield registered_app


@pytest.mark.lengthy
@pytest.mark.parametrize("name", PAGES)
def test_it_is_tidy_and_accessible(
    browse: Browse, gateway: Served, watch: Watch, app_id: int, name: str
) -> None:
    page = browse(width=360)
    shown = PAGES[name]
    code = device_codes(gateway, app_id)["user_code"] if "{code}" in shown.path else ""
    page.goto(shown.path.format(app_id=app_id, changed=app_id + 1, code=code))
    shown.first(page)
    expect(page.locator(shown.ready).first).to_be_visible()
    for width, scheme in SHOWN_AS:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        # Not even for a moment: inherited colours would follow a frame later at each level.
        assert page.evaluate(TRANSITIONS) == 0
        if folder := os.environ.get("SCOPEGATE_SCREENSHOTS"):
            picture = Path(folder).absolute() / f"{name}-{width}-{scheme}.png"
            page.screenshot(path=picture, full_page=True)
        assert_tidy(page)
        if (width, scheme) in BOTH:
            assert_accessible(page)
    if name == "consent-refused":
        watch.take("status of 400")  # the page that says why is answered so
