"""API tokens in the browser: made, seen once, used by a program, watched, deleted."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.programs import program, refusal_of
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
        expect(page.locator("#deleted .notice")).to_be_focused()
        expect(page.locator("#deleted")).to_have_text(
            "“My bot” was deleted and signed out everywhere."
        )
        ended = bot.hear(lambda message: "error" in message)
    assert ended["error"]["code"] == "InvalidToken"
    assert refusal_of(gateway, token) == "InvalidToken"
    expect(row).to_have_count(0)


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
        expect(child).to_contain_text(f"with token Parent, ending in {token[-4:]}")
        expect(parent).not_to_contain_text("with token")
        parent.get_by_role("button", name="Delete token Parent").click()
        question = page.get_by_role("dialog")
        expect(question).to_contain_text("Tokens created with it are also deleted.")
        question.get_by_role("button", name="Delete token").click()
        expect(parent).to_have_count(0)
        expect(child).to_have_count(0)
        ended = bot.hear(lambda message: "error" in message)
    assert ended["error"]["code"] == "InvalidToken"


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
