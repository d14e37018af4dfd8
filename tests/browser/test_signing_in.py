"""Signing in at the pages: with a password, kept by its own tab, gone with it."""

import contextlib
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error, Page, WebSocketRoute, expect

from tests.browser.conftest import Browse
from tests.browser.programs import refusal_of
from tests.browser.steps import sign_in_as_demo
from tests.served import Served

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
TOKEN = re.compile(r"[A-Za-z0-9]{28}")


def kept(page: Page) -> list[str]:
    """Every token that the tab keeps anywhere."""
    everything: str = page.evaluate(
        "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href])"
    )
    return TOKEN.findall(everything)


def sign_in(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")


@pytest.fixture
def ada(gateway: Served) -> Served:
    gateway.command("user", "create", "--email", EMAIL, "--password", PASSWORD)
    return gateway


def test_a_password_signs_in_and_a_wrong_one_is_told_so(page: Page, ada: Served) -> None:
    page.goto("/tokens")
    sign_in(page, "something else")
    expect(page.get_by_role("alert")).to_contain_text("The e-mail address or the password is wrong")
    sign_in(page)
    expect(page.get_by_role("banner")).to_contain_text(EMAIL)
    expect(page.get_by_role("heading", name="Your tokens")).to_be_visible()
    assert PASSWORD not in page.evaluate("JSON.stringify({...sessionStorage})")


@pytest.mark.lengthy
def test_a_sign_in_that_takes_too_long_can_be_repeated(page: Page, ada: Served) -> None:
    overdue = ["sign_in"]

    def on_the_way(client: WebSocketRoute) -> None:
        gateway = client.connect_to_server()

        def forward(text: str | bytes) -> None:
            request = json.loads(text)
            if overdue and overdue[0] in request:
                overdue.clear()
                error = {"code": "Timeout", "message": "Timeout"}
                reply = {"req_id": request["req_id"], "msg_type": "sign_in", "error": error}
                client.send(json.dumps(reply))
            else:
                gateway.send(text)

        client.on_message(forward)

    page.route_web_socket("**/websockets/v3*", on_the_way)
    page.goto("/tokens")
    sign_in(page)
    expect(page.get_by_role("alert")).to_contain_text("The gateway took too long to answer.")
    sign_in(page)
    expect(page.get_by_role("banner")).to_contain_text(EMAIL)


@pytest.mark.lengthy
def test_it_survives_a_reload_of_its_own_tab_and_nothing_else(
    page: Page, browse: Browse, ada: Served
) -> None:
    page.goto("/tokens")
    sign_in(page)
    signed_in = page.get_by_role("button", name="Sign out")
    expect(signed_in).to_be_visible()
    page.reload()
    expect(signed_in).to_be_visible()
    page.get_by_role("link", name="Connected apps").click()
    expect(signed_in).to_be_visible()

    tokens = kept(page)
    assert len(tokens) == 2  # one an account
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length") == 0
    other_tab = page.context.new_page()
    other_tab.goto(f"{ada.page}tokens")
    expect(other_tab.get_by_role("banner").get_by_role("button", name="Sign in")).to_be_visible()
    assert kept(other_tab) == []
    # Taken out of the tab they open nothing.
    assert {refusal_of(ada, token) for token in tokens} == {"InvalidToken"}


@pytest.mark.lengthy
def test_signing_out_leaves_nothing_behind(page: Page, gateway: Served) -> None:
    page.goto("/account")
    sign_in_as_demo(page)
    expect(page.get_by_label("Balance")).to_have_text("10,000.00 USD")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Continue as the demo user")).to_be_visible()
    assert kept(page) == []
    page.reload()
    expect(page.get_by_role("button", name="Continue as the demo user")).to_be_visible()


@pytest.mark.lengthy
def test_a_sign_in_that_has_ended_elsewhere_is_said(page: Page, ada: Served) -> None:
    page.goto("/tokens")
    sign_in(page)
    expect(page.get_by_role("heading", name="Your tokens")).to_be_visible()
    page.get_by_role("button", name="New token").click()
    page.get_by_label("Name").fill("Bot")
    page.locator("#make input[value=read]").check()
    ada.command("user", "password", "--email", EMAIL, "--password", "another one entirely")
    with contextlib.suppress(Error):  # the page may have noticed by itself
        page.get_by_role("button", name="Create token").click(timeout=1_000)
    expect(page.get_by_label("Password")).to_be_visible()
    expect(page.locator("main")).to_contain_text(re.compile("ended|sign in", re.IGNORECASE))
    assert json.loads(page.evaluate("JSON.stringify(Object.keys(sessionStorage))")) == []


@pytest.mark.lengthy
def test_the_demo_user_is_the_primary_way_in_until_there_are_others(
    page: Page, gateway: Served
) -> None:
    page.goto("/tokens")
    demo = page.get_by_role("button", name="Continue as the demo user")
    sign_in = page.locator("form.sign-in").get_by_role("button", name="Sign in")
    expect(demo).to_have_class("primary")
    expect(sign_in).not_to_have_class("primary")
    gateway.command("user", "create", "--email", "ada@example.com", "--password", "correct horse")
    page.reload()
    expect(demo).to_be_visible()
    expect(demo).not_to_have_class("primary")
    expect(sign_in).to_have_class("primary")


@pytest.mark.lengthy
def test_a_gateway_without_users_says_how_to_create_one(browse: Browse, tmp_path: Path) -> None:
    """On an address that others can reach: there is no demo user there."""
    folder = tmp_path / "empty"
    folder.mkdir()
    empty = Served(folder, "--host", "0.0.0.0")  # noqa: S104 - it is what is tested
    empty.start(last="users")
    try:
        assert "create one with `scopegate user create --email" in empty.lines[-1]
        page = browse()
        page.goto(f"http://127.0.0.1:{urlsplit(empty.page).port}/tokens")
        expect(page.get_by_text("This gateway has no users yet.")).to_be_visible()
        expect(page.get_by_text("scopegate user create --email")).to_be_visible()
        page.close()  # it may still be loading its icon, and would tell that the gateway is gone
    finally:
        empty.kill()


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("path", "name"),
    [("/tokens", "New token"), ("/apps", "Register app"), ("/account", "Reset balance")],
)
def test_a_button_is_disabled_until_a_click_is_not_lost(page: Page, path: str, name: str) -> None:
    held: list[str | bytes] = []
    routes: list[WebSocketRoute] = []

    def hold_back(route: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            late = json.loads(message)["msg_type"] in ("page_info", "active_symbols")
            if late and routes:
                held.append(message)
            else:
                route.send(message)

        routes.append(route)
        route.connect_to_server().on_message(pass_on)

    page.goto(path)
    sign_in_as_demo(page)
    page.route_web_socket(re.compile("websockets"), hold_back)
    page.reload()
    button = page.get_by_role("button", name=name)
    expect(button).to_be_visible()
    expect(button).to_be_disabled()
    [route] = routes
    routes.clear()
    for message in held:
        route.send(message)
    expect(button).to_be_enabled()
