"""What people do on more than one page."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.served import Served

OPERATOR_TOKEN = "a-token-of-the-operator"


def sign_in_as_demo(page: Page) -> None:
    """Become the demo user, with the form that the page shows or else has behind a button."""
    demo = page.get_by_role("button", name="Continue as the demo user")
    header = page.get_by_role("banner").get_by_role("button", name="Sign in")
    expect(demo.or_(header).first).to_be_visible()
    if not demo.is_visible():
        header.click()
    demo.last.click()  # behind a dialog the page may have a form of its own
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def sign_in_as_operator(page: Page, token: str = OPERATOR_TOKEN) -> None:
    """Enter the token at the operator's page."""
    page.get_by_label("Operator token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def stop(page: Page, gateway: Served) -> None:
    """Stop the gateway, and wait until the page has tried in vain to come back.

    A gateway that is started again at once may be there before the page notices that it was gone.
    """
    with page.expect_console_message(lambda message: "WebSocket connection" in message.text):
        assert gateway.stop() == 0


def until(page: Page, condition: str, arg: Any = None) -> None:
    """Wait until this JavaScript function returns something true.

    `Page.wait_for_function` evaluates text again and again, which the pages forbid with their
    content security policy: it fails unless the condition is met at once.
    """
    page.evaluate(
        f"""(arg) => new Promise((resolve) => {{
          const condition = {condition};
          const look = () => (condition(arg) ? resolve() : requestAnimationFrame(look));
          look();
        }})""",
        arg,
    )
