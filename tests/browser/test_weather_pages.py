"""A gateway without the exchange, installed from the wheel, with its own scopes, in the browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.programs import program, refusal_of, registered, site
from tests.browser.steps import sign_in_as_demo
from tests.installation import ROOT, installed, served, wheel
from tests.served import Served

__all__ = ["installed", "wheel"]
"""The fixtures of `tests.installation`."""


@pytest.fixture
def gateway(browser: Browser, installed: Path, tmp_path: Path) -> Iterator[Served]:
    """The weather example, served by the installed program."""
    folder = tmp_path / "weather"
    shutil.copytree(ROOT / "examples" / "weather", folder)
    with served(installed, folder, "weather:gateway", PYTHONDONTWRITEBYTECODE="1") as running:
        yield running


@pytest.mark.lengthy
def test_its_scopes_are_given_to_an_app_and_taken_back(page: Page, gateway: Served) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="An API gateway of your own")).to_be_visible()
    expect(page.locator("#scopes")).to_contain_text("See your places, and the forecasts for them.")
    expect(page.locator("#pages")).not_to_contain_text("Paper account")
    expect(page.locator("body")).not_to_contain_text("simulated")

    page.goto("/tokens")
    sign_in_as_demo(page)
    page.get_by_role("button", name="New token").click()
    scopes = page.get_by_role("group", name="Scopes")
    expect(scopes).to_contain_text("See your places, add places and remove them.")
    expect(scopes).not_to_contain_text("Buy and sell")

    # Without the exchange there are no caps, and no currency.
    page.locator("#make summary").click()
    labels = ["IP addresses and networks", "Accounts", "Calls per minute", "Expires"]
    expect(page.locator("#make .restriction-fields label")).to_have_text(labels)
    page.get_by_label("Name").fill("Limited")
    scopes.get_by_role("checkbox").first.check()
    page.get_by_label("Calls per minute").fill("30")
    page.get_by_role("button", name="Create token").click()
    row = page.get_by_role("row").filter(has_text="Limited")
    expect(row).to_contain_text("Calls per minute: 30")
    row.get_by_role("button", name="Edit restrictions of token Limited").click()
    page.get_by_role("dialog").get_by_label("Calls per minute").fill("20")
    page.get_by_role("dialog").get_by_role("button", name="Save restrictions").click()
    expect(row).to_contain_text("Calls per minute: 20")

    page.goto("/explorer")
    expect(page.get_by_role("link", name="place_add")).to_be_visible()

    with site() as address, registered(gateway, address, "forecasts", "places") as app_id:
        page.goto(f"/oauth2/authorize?app_id={app_id}")
        choices = page.get_by_role("group", name="Permissions")
        expect(choices.get_by_role("checkbox", name="forecasts See")).to_be_checked()
        expect(choices.get_by_role("checkbox", name="places See")).not_to_be_checked()
        expect(page.get_by_role("group", name="Accounts")).to_have_count(0)
        expect(page.locator("#choices")).to_contain_text("Account: AC1001")
        page.get_by_role("button", name="Allow Helper").click()
        page.wait_for_url("**/back?**")
        told = parse_qs(urlsplit(page.url).query)
        assert sorted(told) == ["acct1", "token1"]
        [token] = told["token1"]
        with program(gateway, token, app_id=app_id) as client:
            assert client.ask(place_list=1)["place_list"] == []
            assert client.ask(place_add="Oslo")["error"]["code"] == "PermissionDenied"
            page.goto(f"{gateway.page}connected")
            app = page.get_by_role("listitem").filter(has_text="Helper")
            expect(app).to_contain_text("See your places, and the forecasts for them.")
            expect(app).to_contain_text("1 live")
            app.get_by_role("button", name="Revoke access for Helper").click()
            page.get_by_role("dialog").get_by_role("button", name="Revoke access").click()
            expect(page.locator("#said .notice")).to_have_text(
                "Helper no longer has access. Signed out 1 live connection."
            )
            assert client.ask(place_list=1)["error"]["code"] == "AuthorizationRequired"
        assert refusal_of(gateway, token, app_id=app_id) == "InvalidToken"
