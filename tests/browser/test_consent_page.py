"""Consent in the browser: what an app asks for, what it is given, and the ways back to it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.programs import buying, owner, program, refusal_of, registered, site
from tests.browser.steps import sign_in_as_demo
from tests.browser.watch import Watch
from tests.served import Served


@pytest.fixture
def gateway(shared_gateway: Served) -> Served:
    return shared_gateway


@pytest.fixture
def address() -> Iterator[str]:
    """Where the app is that asks."""
    with site() as at:
        yield at


@pytest.fixture
def app_id(gateway: Served, address: str) -> Iterator[int]:
    """An app that asks, and is gone with all that it was given when the test ends."""
    with registered(gateway, address, "read", "trade", "payments") as number:
        yield number


def given(page: Page) -> dict[str, str]:
    """What the app was told in the address that the browser came back with."""
    page.wait_for_url("**/back?**")
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_an_app_gets_what_its_user_leaves_ticked(
    page: Page, gateway: Served, address: str, app_id: int
) -> None:
    page.goto(f"/oauth2/authorize?app_id={app_id}&state=a%26b")
    expect(
        page.get_by_role("heading", name="Allow Helper to access your accounts?")
    ).to_be_visible()
    asked = page.locator("#asked")
    expect(asked).to_contain_text("Registered byShown after you sign in")
    expect(asked).to_contain_text(f"Redirects to{address.removesuffix('/back')}")
    expect(asked).to_contain_text("Buy and sell contracts")

    sign_in_as_demo(page)
    expect(asked).to_contain_text("Registered bydemo@scopegate.invalid")
    scopes = page.get_by_role("group", name="Permissions")
    for scope in ("read ", "trade ", "payments "):
        scopes.get_by_label(scope).uncheck()
    page.get_by_role("button", name="Allow Helper").click()
    expect(scopes.locator(".field-error")).to_be_visible()
    scopes.get_by_label("read ").check()
    page.get_by_label("CR900001").uncheck()
    page.get_by_role("button", name="Allow Helper").click()

    told = given(page)
    assert told["state"] == "a&b"
    accounts = [(told[f"acct{number}"], told[f"cur{number}"]) for number in (1, 2)]
    assert accounts == [("CR900002", "USD"), ("VRTC9000001", "USD")]
    assert "acct3" not in told
    with program(gateway, told["token1"], app_id=app_id) as app:
        assert app.ask(balance=1)["balance"]["loginid"] == "CR900002"
        assert app.ask(sell=1, price=0)["error"]["code"] == "PermissionDenied"

    page.goto(gateway.page)
    expect(page.get_by_role("banner").get_by_role("button", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.lengthy
def test_dangerous_permissions_come_first_and_are_not_ticked(
    page: Page, gateway: Served, address: str
) -> None:
    every = ("admin", "payments", "trade", "read", "trading_information")
    with registered(gateway, address, *reversed(every)) as app_id:
        page.goto(f"/oauth2/authorize?app_id={app_id}")
        asked = page.locator("#asked .scope-list dt")
        shown = [scope.replace("_", " ") for scope in every]
        expect(asked).to_have_text(shown)
        sign_in_as_demo(page)
        scopes = page.get_by_role("group", name="Permissions")
        expect(scopes.locator(".badge")).to_have_text(shown)
        for scope in shown:
            box = scopes.get_by_label(f"{scope} ")
            expect(box).to_be_checked(checked=scope in ("read", "trading information"))
        expect(scopes).to_contain_text("It can lose all of that money.")
        expect(scopes).to_contain_text("It cannot touch your own tokens and apps")
        expect(scopes).to_contain_text("Without them the app may not work as expected")
        page.get_by_role("button", name="Allow Helper").click()
        token = given(page)["token1"]
        with program(gateway, token, app_id=app_id) as app:
            told = app.ask(authorize=token)["authorize"]
            assert told["scopes"] == ["read", "trading_information"]
            assert len(told["account_list"]) == 3
            assert app.ask(api_token=1)["error"]["code"] == "PermissionDenied"


@pytest.mark.lengthy
def test_dangerous_permissions_are_not_granted_unless_ticked(
    page: Page, gateway: Served, address: str
) -> None:
    with registered(gateway, address, "trade", "admin") as app_id:
        page.goto(f"/oauth2/authorize?app_id={app_id}")
        sign_in_as_demo(page)
        page.get_by_role("button", name="Allow Helper").click()
        scopes = page.get_by_role("group", name="Permissions")
        expect(scopes.locator(".field-error")).to_be_visible()
        scopes.get_by_label("trade ").check()
        page.get_by_role("button", name="Allow Helper").click()
        token = given(page)["token1"]
        with program(gateway, token, app_id=app_id) as app:
            assert app.ask(authorize=token)["authorize"]["scopes"] == ["trade"]


@pytest.mark.lengthy
def test_a_user_who_has_consented_before_sees_what_changed(
    page: Page, gateway: Served, address: str, app_id: int
) -> None:
    page.goto(f"/oauth2/authorize?app_id={app_id}")
    expect(page.locator("#asked")).to_contain_text("MarkupNone")
    sign_in_as_demo(page)
    expect(page.locator("#changes")).to_be_empty()
    page.get_by_role("button", name="Allow Helper").click()
    token = given(page)["token1"]

    page.goto(f"{gateway.page}oauth2/authorize?app_id={app_id}")
    sign_in_as_demo(page)
    scopes = ["read", "trade", "payments"]
    now = {"name": "Deriv Official", "scopes": scopes, "redirect_uri": address}
    with program(gateway, gateway.token) as maker:
        maker.ask(app_update=app_id, app_markup_percentage=3, **now)
    # Nobody agrees to what they were not shown.
    page.get_by_role("button", name="Allow Helper").click()
    expect(page.get_by_role("alert")).to_contain_text("The name of the app has changed")
    assert refusal_of(gateway, token, app_id=app_id) == "InvalidToken"

    page.reload()
    expect(page.locator("#changes").get_by_role("listitem")).to_have_text(
        [
            "Its name changed from Helper to Deriv Official.",
            "Its markup changed from 0 % to 3 %.",
        ]
    )
    expect(page.locator("#asked")).to_contain_text("Markup3 % of the payout, added to the price")
    page.get_by_role("button", name="Allow Deriv Official").click()
    page.wait_for_url("**/back?**")
    with program(gateway, token, app_id=app_id) as app:
        assert app.ask(balance=1)["balance"]["loginid"] == "CR900001"


@pytest.mark.lengthy
def test_a_sign_in_from_before_stays(page: Page, gateway: Served, app_id: int) -> None:
    page.goto("/tokens")
    sign_in_as_demo(page)
    page.goto(f"/oauth2/authorize?app_id={app_id}")
    page.get_by_role("button", name="Allow Helper").click()
    assert "token1" in given(page)
    page.goto(f"{gateway.page}tokens")
    expect(page.get_by_role("button", name="New token")).to_be_visible()


@pytest.mark.lengthy
def test_refusing_leads_back_without_anything(page: Page, app_id: int) -> None:
    page.goto(f"/oauth2/authorize?app_id={app_id}&state=mine")
    page.get_by_role("button", name="Deny access").click()
    assert given(page) == {
        "error": "access_denied",
        "error_description": "The user refused.",
        "state": "mine",
    }


@pytest.mark.lengthy
def test_a_sign_in_that_ends_amid_it_keeps_the_choices(page: Page, app_id: int) -> None:
    page.goto(f"/oauth2/authorize?app_id={app_id}")
    sign_in_as_demo(page)
    page.get_by_label("trade ").check()
    page.get_by_label("CR900001").uncheck()
    # The same sign-in, ended in another tab.
    with page.expect_popup() as popup:
        page.evaluate("void window.open('/')")
    popup.value.get_by_role("button", name="Sign out").click()
    expect(popup.value.get_by_role("button", name="Sign in")).to_be_visible()

    page.get_by_role("button", name="Allow Helper").click()
    expect(page.get_by_text("Your session has ended. Sign in to continue")).to_be_visible()
    sign_in_as_demo(page)
    expect(page.get_by_label("trade ")).to_be_checked()
    expect(page.get_by_label("CR900001")).not_to_be_checked()
    page.get_by_role("button", name="Allow Helper").click()
    assert "CR900001" not in given(page).values()


@pytest.mark.lengthy
def test_what_cannot_be_allowed_is_explained(
    page: Page, watch: Watch, address: str, app_id: int
) -> None:
    page.goto("/oauth2/authorize?app_id=77777")
    expect(page.get_by_role("alert")).to_contain_text("App not found")
    back = page.get_by_role("link", name="Back to the app")
    expect(back).to_have_count(0)

    page.goto(f"/oauth2/authorize?app_id={app_id}&redirect_uri=https://evil.example/")
    expect(page.get_by_role("alert")).to_contain_text("not the one that Helper has registered")
    expect(back).to_have_count(0)

    page.goto(f"/oauth2/authorize?app_id={app_id}&scopes=admin")
    expect(page.get_by_role("alert")).to_contain_text("which it has not registered for")
    back.click()
    assert page.url.startswith(f"{address}?error=invalid_scope")
    watch.take("status of 400")


@pytest.mark.lengthy
def test_what_was_decided_first_counts(page: Page, address: str, app_id: int) -> None:
    page.goto(f"/oauth2/authorize?app_id={app_id}")
    sign_in_as_demo(page)
    expect(page.get_by_role("button", name="Allow Helper")).to_be_enabled()
    page.locator("#choices form").evaluate(
        "(form) => form.querySelectorAll('.actions button').forEach((button) => button.click())"
    )
    page.wait_for_url(f"{address}?**")
    assert "token1=" in page.url
    assert "error=" not in page.url


def restricted(**fields: Any) -> str:
    """What an app adds to its link to be restricted."""
    details = json.dumps([{"type": "scopegate_restrictions", **fields}])
    return f"&authorization_details={quote(details)}"


@pytest.mark.lengthy
def test_a_user_tightens_the_restrictions_that_an_app_asks_for(
    page: Page, gateway: Served, app_id: int
) -> None:
    link = f"/oauth2/authorize?app_id={app_id}" + restricted(max_stake=10, symbols=["R_100"])
    page.goto(link)
    asked = page.locator("#asked")
    expect(asked).to_contain_text("Helper asks for no more than this:")
    expect(asked).to_contain_text("Highest price of a contract: 10")
    expect(asked).to_contain_text("Symbols: R_100")
    sign_in_as_demo(page)
    page.get_by_label("trade ").check()
    price = page.get_by_label("Highest price of a contract (USD)")
    expect(price).to_have_value("10")
    price.fill("12")
    page.locator("#choices summary").click()  # it is unfolded again by the error
    page.get_by_role("button", name="Allow Helper").click()
    expect(page.locator(".field-error")).to_have_text("Less strict than what the app requests.")
    expect(price).to_be_focused()
    price.fill("5")
    page.get_by_label("Expires").fill("2035-01-31T12:00")
    page.get_by_role("button", name="Allow Helper").click()
    token = given(page)["token1"]
    with program(gateway, token, app_id=app_id) as app:
        assert app.ask(**buying(5.5))["error"]["code"] == "TokenCapReached"
        assert app.ask(**buying(5))["buy"]

        # The owner changes them while the app is at work.
        page.goto(f"{gateway.page}connected")
        sign_in_as_demo(page)
        card = page.get_by_role("listitem").filter(has_text="Helper").first
        expect(card).to_contain_text("Highest price of a contract: USD 5.00")
        expect(card).to_contain_text("Symbols: R_100")
        expect(card).to_contain_text("Expiryexpires in")
        card.get_by_role("button", name="Edit restrictions of Helper").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Expires")).to_have_value("2035-01-31T12:00")
        dialog.get_by_label("Highest price of a contract (USD)").fill("")
        dialog.get_by_label("Stakes per day (USD)").fill("8")
        dialog.get_by_label("Expires").fill("")
        dialog.get_by_role("button", name="Save restrictions").click()
        expect(page.locator("#said")).to_have_text("The restrictions of Helper were changed.")
        expect(card).to_contain_text("Stakes per day: USD 5.00 of 8.00 today")
        expect(card).not_to_contain_text("Expiry")
        assert app.ask(**buying(3.5))["error"]["details"]["remaining"] == 3.0
        assert app.ask(**buying(3))["buy"]
        expect(card).to_contain_text("USD 8.00 of 8.00 today (reached)")


@pytest.mark.lengthy
def test_restrictions_of_an_earlier_consent_stay(page: Page, gateway: Served, app_id: int) -> None:
    def allowed(**more: Any) -> dict[str, Any]:
        with owner(gateway) as pages:
            request = {"query": f"app_id={app_id}", "loginids": gateway.loginids, **more}
            return pages.ask(consent=1, **request)

    with program(gateway, gateway.token) as maker:
        returns_to = maker.ask(app_get=app_id)["app_get"]["redirect_uri"].removesuffix("/back")
    reply = allowed(scopes=["read"], returns_to=returns_to, restrictions={"calls_per_minute": 100})
    assert "error" not in reply, reply
    page.goto(f"/oauth2/authorize?app_id={app_id}")
    sign_in_as_demo(page)
    calls = page.get_by_label("Calls per minute")
    expect(calls).to_have_value("100")
    expect(page.get_by_label("Open contracts")).to_have_value("")
    page.get_by_role("button", name="Allow Helper").click()
    given(page)
    page.goto(f"{gateway.page}connected")
    sign_in_as_demo(page)
    card = page.get_by_role("listitem").filter(has_text="Helper").first
    expect(card).to_contain_text("Calls per minute: 100")


@pytest.mark.lengthy
def test_wrong_details_lead_back_with_the_error(page: Page, watch: Watch, app_id: int) -> None:
    page.goto(f"/oauth2/authorize?app_id={app_id}" + restricted(max_steak=1))
    expect(page.get_by_role("alert")).to_contain_text("authorization_details.max_steak")
    page.get_by_role("link", name="Back to the app").click()
    assert given(page)["error"] == "invalid_authorization_details"
    watch.take("status of 400")
