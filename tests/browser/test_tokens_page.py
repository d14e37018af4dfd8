"""API tokens in the browser: made, seen once, restricted, used by a program, watched, deleted."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.programs import buying, owner, program, refusal_of
from tests.browser.steps import sign_in_as_demo
from tests.served import Served


@pytest.fixture
def gateway(shared_gateway: Served) -> Served:
    return shared_gateway


def make(page: Page, name: str, *scopes: str) -> None:
    if page.locator("#make-part").is_hidden():
        page.get_by_role("button", name="New token").click()
    page.get_by_label("Name").fill(name)
    for scope in scopes:
        page.get_by_label(f"{scope} ", exact=False).check()
    page.get_by_role("button", name="Create token").click()


@pytest.mark.lengthy
def test_a_token_is_made_used_and_deleted(page: Page, gateway: Served) -> None:
    page.goto("/tokens")
    sign_in_as_demo(page)
    make(page, "My bot", "read", "trade")
    said = page.locator("#said .notice")
    expect(said).to_be_focused()
    expect(said).to_contain_text("it is not shown again")
    token = said.locator("code").inner_text()

    row = page.get_by_role("row").filter(has_text="My bot")
    expect(row).to_contain_text("never")
    with program(gateway, token) as bot:
        assert bot.ask(balance=1, subscribe=1)["balance"]["loginid"]
        expect(row).to_contain_text("1 live")
        expect(row).to_contain_text("from 127.0.0.1")

        page.reload()
        expect(row).to_contain_text(f"ends in {token[-4:]}")
        assert token not in page.content()
        assert token not in page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")

        row.get_by_role("button", name="Delete token My bot").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        expect(row).to_be_visible()
        row.get_by_role("button", name="Delete token My bot").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete token").click()
        expect(page.locator("#changed .notice")).to_be_focused()
        expect(page.locator("#changed")).to_have_text(
            "“My bot” was deleted and signed out everywhere."
        )
        ended = bot.hear(lambda message: "error" in message)
    assert ended["error"]["code"] == "InvalidToken"
    assert refusal_of(gateway, token) == "InvalidToken"
    expect(row).to_have_count(0)


@pytest.mark.lengthy
def test_a_child_token_shows_its_parent_and_is_deleted_with_it(page: Page, gateway: Served) -> None:
    page.goto("/tokens")
    sign_in_as_demo(page)
    make(page, "Parent", "read", "admin")
    token = page.locator("#said .notice code").inner_text()
    parent = page.get_by_role("row").filter(has=page.get_by_text("Parent", exact=True))
    child = page.get_by_role("row").filter(has=page.get_by_text("Child", exact=True))
    with program(gateway, token) as bot:
        made = bot.ask(api_token=1, new_token="Child", new_token_scopes=["read"])["api_token"]
        [text] = [each["token"] for each in made["tokens"] if each["display_name"] == "Child"]
    with program(gateway, text) as bot:
        assert bot.ask(balance=1, subscribe=1)["balance"]["loginid"]
        expect(child).to_contain_text(f"created with token Parent, ending in {token[-4:]}")
        expect(parent).not_to_contain_text("created with")
        parent.get_by_role("button", name="Delete token Parent").click()
        question = page.get_by_role("dialog")
        expect(question).to_contain_text("Tokens created with it are also deleted.")
        question.get_by_role("button", name="Delete token").click()
        expect(parent).to_have_count(0)
        expect(child).to_have_count(0)
        ended = bot.hear(lambda message: "error" in message)
    assert ended["error"]["code"] == "InvalidToken"


@pytest.mark.lengthy
def test_what_is_wrong_is_said_where_it_is(page: Page, gateway: Served) -> None:
    gateway.command("user", "create", "--email", "ada@example.com", "--password", "correct horse")
    page.goto("/tokens")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Password").fill("wrong horse")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("password is wrong")
    page.get_by_label("Password").fill("correct horse")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No tokens yet")).to_be_visible()

    page.get_by_role("button", name="New token").click()
    accounts = page.get_by_label("Account", exact=True)
    options = accounts.get_by_role("option").all_inner_texts()
    real = next(option for option in options if "real-style" in option)
    accounts.select_option(label=real)
    page.get_by_label("Restrict to this IP address").check()
    make(page, "For the real one")
    wrong = page.locator(".field-error")
    expect(wrong).to_have_text("A new token needs at least one scope.")
    make(page, "For the real one", "read")
    token = page.locator("#said code").inner_text()
    expect(wrong).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="For the real one")
    expect(row).to_contain_text("from 127.0.0.1 only")
    with program(gateway, token) as bot:
        assert bot.ask(balance=1)["balance"]["loginid"] == real.split(" ")[0]

    make(page, "For the real one", "read")
    expect(wrong).to_contain_text("There is already a token with this name. Choose another name")
    expect(page.get_by_label("Name")).to_be_focused()


def delete(page: Page, name: str) -> None:
    page.get_by_role("button", name=f"Delete token {name}", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete token").click()
    expect(page.locator("#changed")).to_contain_text("was deleted")


def test_a_cap_is_set_reached_and_tightened_while_a_bot_trades(page: Page, gateway: Served) -> None:
    page.goto("/tokens")
    sign_in_as_demo(page)
    page.get_by_role("button", name="New token").click()
    page.get_by_text("Restrictions", exact=True).first.click()
    page.get_by_label("Stakes per day (USD)").fill("20")
    page.get_by_label("Symbols").fill("R_100, R_50")
    page.get_by_label("No trading between").fill("03:00 - 03:01")
    make(page, "Capped", "trade")
    token = page.locator("#said code").inner_text()
    row = page.get_by_role("row").filter(has=page.get_by_text("Capped", exact=True))
    expect(row).to_contain_text("Stakes per day: USD 0.00 of 20.00 today")
    expect(row).to_contain_text("Symbols: R_100, R_50")
    expect(row).to_contain_text("No trading between: 03:00-03:01")
    with program(gateway, token) as bot:
        assert bot.ask(**buying(12))["buy"]["buy_price"] == 12
        expect(row).to_contain_text("Stakes per day: USD 12.00 of 20.00 today")
        refused = bot.ask(**buying(9))["error"]
        assert refused["code"] == "TokenCapReached"
        assert refused["details"]["remaining"] == 8.0
        assert bot.ask(**buying(1))["buy"]

        row.get_by_role("button", name="Edit restrictions of token Capped").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Stakes per day (USD)")).to_have_value("20")
        expect(dialog.get_by_label("Symbols")).to_have_value("R_100, R_50")
        dialog.get_by_label("Highest price of a contract (USD)").fill("ten")
        dialog.get_by_role("button", name="Save restrictions").click()
        expect(dialog.locator(".field-error")).to_be_visible()
        dialog.get_by_label("Highest price of a contract (USD)").fill("0.5")
        dialog.get_by_label("Symbols").fill("")
        dialog.get_by_role("button", name="Save restrictions").click()
        expect(page.locator("#changed .notice")).to_be_focused()
        expect(page.locator("#changed")).to_have_text("The restrictions of “Capped” were changed.")
        expect(row).to_contain_text("Highest price of a contract: USD 0.50")
        expect(row).to_contain_text("Stakes per day: USD 13.00 of 20.00 today")
        expect(row).not_to_contain_text("Symbols")
        refused = bot.ask(**buying(1))["error"]
        assert refused["code"] == "TokenCapReached"
        assert refused["details"]["cap"] == "max_stake"

        # All that is left of the day is taken, which the list shows.
        row.get_by_role("button", name="Edit restrictions of token Capped").click()
        dialog.get_by_label("Stakes per day (USD)").fill("13")
        dialog.get_by_role("button", name="Save restrictions").click()
        expect(row).to_contain_text("USD 13.00 of 13.00 today (reached)")
        assert bot.ask(**buying(0.5))["error"]["details"]["remaining"] == 0.0
    delete(page, "Capped")


@pytest.mark.lengthy
def test_what_is_wrong_with_a_restriction_is_said_at_its_field(page: Page, gateway: Served) -> None:
    page.goto("/tokens")
    sign_in_as_demo(page)
    page.get_by_role("button", name="New token").click()
    folded = page.locator("#make details")
    folded.locator("summary").click()
    page.get_by_label("IP addresses and networks").fill("10.0.0.0/8, 300.1.1.1")
    folded.locator("summary").click()
    expect(page.get_by_label("IP addresses and networks")).not_to_be_visible()
    make(page, "Wrong network", "read")
    networks = page.get_by_label("IP addresses and networks")
    expect(networks).to_be_focused()
    expect(page.locator(".field-error")).to_contain_text("Must be an IP address, or a network")
    networks.fill("")
    page.get_by_label("Symbols").fill("R_99")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator(".field-error")).to_contain_text("There is no R_99")
    expect(page.get_by_label("Symbols")).to_be_focused()
    expect(page.get_by_role("row").filter(has_text="Wrong network")).to_have_count(0)


@pytest.mark.lengthy
def test_a_token_is_given_an_expiry_and_a_new_secret(page: Page, gateway: Served) -> None:
    page.goto("/tokens")
    sign_in_as_demo(page)
    page.get_by_role("button", name="New token").click()
    page.locator("#make summary").click()
    soon = datetime.now(UTC) + timedelta(days=3, hours=1)
    page.get_by_label("Expires").fill(soon.strftime("%Y-%m-%dT%H:%M"))
    make(page, "Short", "read")
    first = page.locator("#said code").inner_text()
    row = page.get_by_role("row").filter(has=page.get_by_text("Short", exact=True))
    expect(row).to_contain_text("expires in 3 days")
    expect(row.locator(".advice")).to_have_text("Expires within 7 days.")
    row.get_by_role("button", name="Edit restrictions of token Short").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Expires").fill("")
    dialog.get_by_role("button", name="Save restrictions").click()
    expect(row).not_to_contain_text("xpires")

    row.get_by_role("button", name="Replace secret of token Short").click()
    dialog.get_by_label("In an hour").check()
    dialog.get_by_role("button", name="Replace secret").click()
    said = page.locator("#said .notice")
    expect(said).to_be_focused()
    expect(said).to_contain_text("The old one works until")
    second = said.locator("code").inner_text()
    assert second != first
    for token in (first, second):
        with program(gateway, token) as bot:
            assert bot.ask(balance=1)["balance"]["loginid"]
    old = page.get_by_role("row").filter(has=page.get_by_text("Short replaced", exact=True))
    expect(old).to_contain_text("expires in")
    row.get_by_role("button", name="Replace secret of token Short", exact=True).click()
    dialog.get_by_role("button", name="Replace secret").click()
    expect(said).to_contain_text("The old one no longer works.")
    third = said.locator("code").inner_text()
    assert refusal_of(gateway, second) == "InvalidToken"
    with program(gateway, third) as bot:
        assert bot.ask(balance=1)["balance"]["loginid"]
    delete(page, "Short")
    expect(old).to_have_count(0)  # the old secret ends with the new one


@pytest.mark.lengthy
def test_the_restrictions_of_a_parent_are_shown_at_its_children(
    page: Page, gateway: Served
) -> None:
    with owner(gateway) as pages:
        made = pages.ask(
            token_create=1,
            name="Restricted parent",
            scopes=["read", "admin"],
            restrictions={"calls_per_minute": 1_000, "max_open_contracts": 3},
        )["token_create"]
    with program(gateway, made["token"]) as bot:
        restrictions = {"max_open_contracts": 2}
        bot.ask(token_create=1, name="Its child", scopes=["read"], restrictions=restrictions)
    page.goto("/tokens")
    sign_in_as_demo(page)
    child = page.get_by_role("row").filter(has=page.get_by_text("Its child", exact=True))
    expect(child).to_contain_text("created with token Restricted parent")
    expect(child).to_contain_text("Open contracts: 0 of 2")
    expect(child).to_contain_text("Also those of token Restricted parent:")
    expect(child).to_contain_text("Calls per minute: 1,000")
    expect(child).to_contain_text("Open contracts: 0 of 3")
    child.get_by_role("button", name="Edit restrictions of token Its child").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Open contracts")).to_have_value("2")
    expect(dialog.get_by_label("Calls per minute")).to_have_value("")
    dialog.get_by_role("button", name="Close").click()
    delete(page, "Restricted parent")


@pytest.mark.lengthy
def test_tokens_that_are_not_needed_are_flagged(page: Page, gateway: Served) -> None:
    with owner(gateway) as pages:
        for name in ("Forgotten", "Too mighty"):
            request = {"token_create": 1, "name": name, "scopes": ["read", "trade"]}
            made = pages.ask(**request)["token_create"]
    with program(gateway, made["token"]) as bot:
        assert bot.ask(balance=1)["balance"]["loginid"]
    with sqlite3.connect(gateway.db) as database:
        for name, days in (("Forgotten", 91), ("Too mighty", 8)):
            database.execute(
                "UPDATE tokens SET created_at = created_at - ? WHERE name = ?",
                (days * 86_400, name),
            )
    database.close()
    page.goto("/tokens")
    sign_in_as_demo(page)
    rows = page.get_by_role("row")
    forgotten = rows.filter(has=page.get_by_text("Forgotten", exact=True))
    expect(forgotten.locator(".advice")).to_have_text("Not used for 90 days: delete it?")
    mighty = rows.filter(has=page.get_by_text("Too mighty", exact=True))
    expect(mighty.locator(".advice")).to_have_text(
        "Has never used the permission trade: use a read-only token instead?"
    )
    for name in ("Forgotten", "Too mighty"):
        delete(page, name)
