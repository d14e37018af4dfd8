"""Connected apps in the browser: what each does now and did, and its access taken back."""

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.programs import program, refusal_of, registered, site
from tests.browser.steps import sign_in_as_demo
from tests.served import Served


def test_an_app_is_watched_and_cut_off(page: Page, gateway: Served) -> None:
    page.goto("/connected")
    sign_in_as_demo(page)
    expect(page.get_by_role("heading", name="No connected apps")).to_be_visible()
    expect(page.get_by_role("heading", name="No activity yet")).to_be_visible()
    with site() as address, registered(gateway, address, "read", "trade") as app_id:
        page.goto(f"/oauth2/authorize?app_id={app_id}")
        page.get_by_label("trade ").check()
        page.get_by_role("button", name="Allow Helper").click()
        page.wait_for_url("**/back?**")
        told = parse_qs(urlsplit(page.url).query)
        tokens = [told[f"token{number}"][0] for number in (1, 2, 3)]

        page.goto(f"{gateway.page}connected")
        app = page.get_by_role("listitem").filter(has_text="Helper")
        expect(app).to_contain_text("Buy and sell contracts")
        expect(app).to_contain_text("Live connectionsnone")
        with (
            program(gateway, tokens[0], app_id=app_id) as one,
            program(gateway, tokens[1], app_id=app_id) as other,
        ):
            assert one.ask(balance=1, subscribe=1)["msg_type"] == "balance"
            assert other.ask(balance=1, subscribe=1)["msg_type"] == "balance"
            revoke = app.get_by_role("button", name="Revoke access for Helper")
            revoke.focus()
            expect(app).to_contain_text("2 live")
            expect(revoke).to_be_focused()

            page.get_by_label("Show").select_option(label="App: Helper")
            row = page.get_by_role("row").filter(has_text="balance").first
            expect(row).to_contain_text("Helper")

            revoke.click()
            page.get_by_role("dialog").get_by_role("button", name="Revoke access").click()
            said = page.locator("#said .notice")
            expect(said).to_have_text("Helper no longer has access. Signed out 2 live connections.")
            expect(said).to_be_focused()
            for cut_off in (one, other):
                ended = cut_off.hear(lambda message: "error" in message)
                assert ended["error"]["code"] == "InvalidToken"
        expect(page.get_by_role("heading", name="No connected apps")).to_be_visible()
        expect(row).to_contain_text("access ended")
        changes = page.get_by_role("table", name="Sign-ins and changes").get_by_role("row")
        expect(changes.filter(has_text="app disconnected")).to_contain_text("You")
        expect(changes.filter(has_text="signed in")).to_contain_text("address: 127.0.0.1")
        found = {refusal_of(gateway, token, app_id=app_id) for token in tokens}
        assert found == {"InvalidToken"}

        page.get_by_label("Show").select_option(label="All activity")
        own = page.get_by_role("row").filter(has_text="revoke_access")
        expect(own).to_have_count(0)
        page.get_by_label("Include my activity on these pages").check()
        expect(own).to_contain_text("You")
