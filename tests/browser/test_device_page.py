"""The page at which the code of a device is entered, and its program let in or refused."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.programs import device_codes, polled, program, registered
from tests.browser.steps import sign_in_as_demo, until
from tests.served import Served


@pytest.fixture
def gateway(shared_gateway: Served) -> Served:
    return shared_gateway


@pytest.fixture
def app_id(gateway: Served) -> Iterator[int]:
    """An app that is used on devices, and is gone when the test ends."""
    with registered(gateway, "", "read", "trade", name="Box") as number:
        with program(gateway, gateway.token) as maker:
            maker.ask(app_flow=1, app_id=number, device_flow=1)
        yield number


def enter(page: Page, code: str) -> None:
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue", exact=True).click()


def test_a_device_gets_what_its_user_allows(page: Page, gateway: Served, app_id: int) -> None:
    codes = device_codes(gateway, app_id)
    page.goto("/device")
    expect(page.get_by_label("Code")).to_be_focused()
    enter(page, codes["user_code"].lower())
    expect(page.get_by_role("heading", name="Allow Box to access your accounts?")).to_be_visible()
    asked = page.locator("#asked")
    expect(asked).to_contain_text(f"Code on the device{codes['user_code']}")
    expect(asked).to_contain_text("If somebody sent you the code or a link, deny access")
    assert polled(gateway, app_id, codes)["error"] == "authorization_pending"
    sign_in_as_demo(page)
    expect(asked).to_contain_text("Registered bydemo@scopegate.invalid")
    expect(page.get_by_label("trade ")).not_to_be_checked()
    page.get_by_label("CR900002").uncheck()
    page.get_by_role("button", name="Allow Box").click()
    expect(page.get_by_role("heading", name="Access granted")).to_be_focused()
    expect(asked).to_contain_text("Return to your device")
    until(page, "() => sessionStorage.length === 0")  # the sign-in was made for this

    token = polled(gateway, app_id, codes)
    assert token["scope"] == "read"
    assert [each["loginid"] for each in token["accounts"]] == ["CR900001", "VRTC9000001"]
    with program(gateway, token["access_token"], app_id=app_id) as box:
        assert box.ask(balance=1)["balance"]["loginid"] == "CR900001"


@pytest.mark.lengthy
def test_a_code_in_the_address_is_only_filled_in(page: Page, gateway: Served, app_id: int) -> None:
    codes = device_codes(gateway, app_id)
    page.goto(codes["verification_uri_complete"])
    expect(page.get_by_label("Code")).to_have_value(codes["user_code"])
    expect(page.locator("#asked")).to_be_empty()
    page.get_by_role("button", name="Continue", exact=True).click()
    page.get_by_role("button", name="Deny access").click()  # nobody has to sign in for that
    expect(page.get_by_role("heading", name="Access denied")).to_be_focused()
    assert polled(gateway, app_id, codes)["error"] == "access_denied"


@pytest.mark.lengthy
def test_a_wrong_code_can_be_corrected(page: Page, gateway: Served, app_id: int) -> None:
    codes = device_codes(gateway, app_id)
    page.goto("/device")
    enter(page, "BBBB-BBBB")
    form = page.locator("#code form")
    expect(form).to_contain_text("The code is unknown, or has expired.")
    expect(page.get_by_label("Code")).to_have_value("BBBB-BBBB")
    enter(page, codes["user_code"])
    expect(page.get_by_role("heading", name="Allow Box to access your accounts?")).to_be_visible()
