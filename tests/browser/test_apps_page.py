"""My apps in the browser: registered, tried, changed, deleted."""

from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.programs import device_codes, registered, site
from tests.browser.steps import sign_in_as_demo
from tests.browser.watch import Watch
from tests.served import Served


@pytest.fixture
def gateway(shared_gateway: Served) -> Served:
    return shared_gateway


def card(page: Page, name: str) -> Locator:
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.get_by_role("listitem").filter(has=heading)


def test_an_app_is_registered_tried_changed_and_deleted(page: Page, gateway: Served) -> None:
    page.goto("/apps")
    sign_in_as_demo(page)
    page.get_by_role("button", name="Register app").click()
    form = page.get_by_role("dialog")
    with site() as address:
        form.get_by_label("Name").fill("Helper")
        form.get_by_label("Redirect URL").fill(address)
        flows = form.get_by_role("group", name="Redirect flow")
        expect(flows.get_by_role("radio")).to_have_count(2)
        for flow in flows.get_by_role("radio").all():
            expect(flow).not_to_be_checked()
        form.get_by_role("button", name="Register").click()
        expect(flows.locator(".field-error")).to_have_text("Choose a redirect flow.")
        expect(flows).to_be_focused()
        flows.get_by_label("Deriv v3 web app").check()
        form.get_by_label("trade ").check()
        form.get_by_label("Allowed origins").fill("https://bot.example.com\nhttps://b.example")
        form.get_by_role("button", name="Register").click()
        said = page.locator("#said .notice")
        expect(said).to_contain_text("“Helper” was registered as app")
        expect(said).to_be_focused()

        card(page, "Helper").get_by_role("link", name="try it").click()
        page.get_by_label("trade ").check()
        page.get_by_role("button", name="Allow Helper").click()
        page.wait_for_url(f"{address}?acct1=**")
        page.goto(f"{gateway.page}connected")
        expect(card(page, "Helper")).to_have_count(1)

    page.goto(f"{gateway.page}apps")
    page.get_by_role("button", name="Edit Helper").click()
    expect(form.get_by_label("Allowed origins")).to_have_value(
        "https://bot.example.com\nhttps://b.example"
    )
    expect(form.get_by_label("Deriv v3 web app")).to_be_checked()
    form.get_by_label("Name").fill("Helper 2")
    form.get_by_role("button", name="Save").click()
    question = page.get_by_role("dialog").filter(has_text="must consent again")
    question.get_by_role("button", name="Save changes").click()
    expect(said).to_have_text("“Helper 2” was saved.")

    page.get_by_role("button", name="Edit Helper 2").click()
    form.get_by_label("trade ").uncheck()
    form.get_by_label("Markup").fill("1.5")
    form.get_by_role("button", name="Save").click()
    question.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(card(page, "Helper 2")).to_contain_text("1.5 % of the payout")
    page.goto(f"{gateway.page}connected")
    changed = card(page, "Helper 2")
    expect(changed).to_contain_text("needs your consent again")
    expect(changed.get_by_role("listitem")).to_have_text(
        [
            "Its name changed from Helper to Helper 2.",
            "It no longer asks for trade.",
            "Its markup changed from 0 % to 1.5 %.",
        ]
    )
    expect(changed).to_contain_text("1.5 % of the payout, added to the price")

    page.goto(f"{gateway.page}apps")
    page.get_by_role("button", name="Delete Helper 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete app").click()
    expect(said).to_have_text("“Helper 2” was deleted.")
    expect(card(page, "Helper 2")).to_have_count(0)


@pytest.mark.lengthy
def test_an_app_that_takes_a_code_gets_no_tokens(page: Page, gateway: Served, watch: Watch) -> None:
    page.goto("/apps")
    sign_in_as_demo(page)
    with site() as address, registered(gateway, address, "read") as app_id:
        app = card(page, "Helper")
        expect(app).to_contain_text("FlowEither, depending on the link")
        page.get_by_role("button", name="Edit Helper").click()
        form = page.get_by_role("dialog")
        expect(form.get_by_label("Either, depending on the link")).to_be_checked()
        form.get_by_label("Code with PKCE only").check()
        form.get_by_role("button", name="Save").click()
        expect(app).to_contain_text("FlowCode with PKCE only")
        expect(app).to_contain_text(f"response_type=code&client_id={app_id}")
        expect(app.get_by_role("link", name="try it")).to_have_count(0)

        page.goto(f"{gateway.page}oauth2/authorize?app_id={app_id}&state=x")
        expect(page.get_by_role("alert")).to_contain_text("does not accept tokens in a URL")
        expect(page.get_by_role("button", name="Allow Helper")).to_have_count(0)
        page.get_by_role("link", name="Back to the app").click()
        page.wait_for_url("**/back?**")
        told = parse_qs(urlsplit(page.url).query)
        assert told["error"] == ["unauthorized_client"]
        assert told["iss"] == [gateway.page.rstrip("/")]
        assert "token1" not in told
    watch.take("status of 400")


@pytest.mark.lengthy
def test_what_is_wrong_stands_beside_its_field(page: Page) -> None:
    page.goto("/apps")
    sign_in_as_demo(page)
    page.get_by_role("button", name="Register app").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Code with PKCE only").check()
    form.get_by_label("Redirect URL").fill("http://example.com/back")
    form.get_by_label("Markup").fill("4")
    form.get_by_text("More details").click()
    form.get_by_label("Homepage URL").fill("example.com")
    form.get_by_text("More details").click()
    form.get_by_role("button", name="Register").click()
    expect(form.get_by_label("Name")).to_be_focused()
    expect(form.get_by_label("Name")).to_have_accessible_description(
        "Shown to users on the consent page. Letters, digits, spaces, - and _. "
        "Use letters, digits, spaces, - and _, with at least one letter or digit."
    )
    wrong = form.locator(".field-error")
    expect(wrong).to_have_count(4)
    expect(wrong.last).to_be_visible()

    form.get_by_label("Name").fill("Helper")
    form.get_by_label("Redirect URL").fill("")
    form.get_by_label("Markup").fill("0")
    form.get_by_label("Homepage URL").fill("")
    form.get_by_label("Allowed origins").fill("bot.example.com")
    form.get_by_role("button", name="Register").click()
    expect(wrong).to_contain_text("an origin as browsers write it")
    form.get_by_label("Allowed origins").fill("https://bot.example.com")
    form.get_by_role("button", name="Register").click()
    expect(page.locator("#said")).to_contain_text("Helper")
    expect(card(page, "Helper")).to_have_count(1)
    page.get_by_role("button", name="Delete Helper").click()
    form.get_by_role("button", name="Delete app").click()
    expect(card(page, "Helper")).to_have_count(0)


@pytest.mark.lengthy
def test_a_client_secret_is_created_replaced_and_deleted(page: Page, gateway: Served) -> None:
    with registered(gateway, "https://bot.example.com/back", "read", name="Server") as app_id:
        page.goto("/apps")
        sign_in_as_demo(page)
        shown = card(page, "Server")
        expect(shown.get_by_role("button", name="Delete secret")).to_be_hidden()
        shown.get_by_role("button", name="Create secret").click()
        said = page.locator("#said .notice")
        expect(said).to_contain_text("it is not shown again")
        first = said.locator("code").inner_text()
        assert introspection(gateway, app_id, first) == 200
        expect(shown).to_contain_text("Client secretCreated ")

        shown.get_by_role("button", name="Replace secret").click()
        question = page.get_by_role("dialog").filter(has_text="stops working immediately")
        question.get_by_role("button", name="Replace secret").click()
        expect(said.locator("code")).not_to_have_text(first)
        second = said.locator("code").inner_text()
        assert introspection(gateway, app_id, first) == 401
        assert introspection(gateway, app_id, second) == 200

        shown.get_by_role("button", name="Delete secret").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete secret").click()
        expect(said).to_have_text("The client secret of “Server” was deleted.")
        expect(shown.get_by_role("button", name="Create secret")).to_be_visible()
        assert introspection(gateway, app_id, second) == 401


@pytest.mark.lengthy
def test_the_device_flow_is_switched_on_and_off(page: Page, gateway: Served) -> None:
    with registered(gateway, "https://box.example.com/back", "read", name="Box") as app_id:
        page.goto("/apps")
        sign_in_as_demo(page)
        form = page.get_by_role("dialog")
        for wanted in (True, False):
            page.get_by_role("button", name="Edit Box").click()
            box = form.get_by_label("Device flow")
            expect(box).to_be_checked(checked=not wanted)
            box.set_checked(wanted)
            form.get_by_role("button", name="Save").click()
            expect(page.locator("#said .notice")).to_have_text("“Box” was saved.")
            shown = expect(card(page, "Box"))
            text = "Users can connect devices with a code"
            (shown.to_contain_text if wanted else shown.not_to_contain_text)(text)
            assert ("user_code" in device_codes(gateway, app_id)) == wanted


def introspection(gateway: Served, app_id: int, secret: str) -> int:
    """The status with which the gateway answers an app that shows this secret."""
    form = {"client_id": app_id, "client_secret": secret, "token": "x"}
    response = httpx2.post(f"{gateway.page}oauth2/introspect", data=form, trust_env=False)
    return response.status_code
