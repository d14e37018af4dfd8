"""What goes wrong in a page is noted, and no page reaches another machine."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.watch import Watch
from tests.served import Served

pytestmark = pytest.mark.lengthy


@pytest.fixture
def gateway(shared_gateway: Served) -> Served:
    return shared_gateway


@pytest.mark.parametrize("address", ["https://example.test/a.png", "http://192.0.2.1/a.png"])
def test_a_request_to_another_host_is_noted_and_goes_nowhere(
    page: Page, watch: Watch, address: str
) -> None:
    with page.expect_event("requestfailed") as failed:
        page.set_content(f"<img alt='' src='{address}'>")
    assert failed.value.failure == "net::ERR_NAME_NOT_RESOLVED"
    watch.take(f"^request to another host: {address}$")
    watch.take("^console error: Failed to load resource")


def test_a_socket_to_another_host_is_noted_and_goes_nowhere(page: Page, watch: Watch) -> None:
    code = page.evaluate(
        "new Promise((done) => {"
        " new WebSocket('wss://192.0.2.1/').onclose = (event) => done(event.code); })"
    )
    assert code == 1006
    watch.take("^request to another host: wss://192.0.2.1/$")
    watch.take("^console error: WebSocket connection .* failed")


def test_the_console_is_noted(page: Page, watch: Watch) -> None:
    page.evaluate("console.log('fine'); console.warn('look out'); console.error('broken')")
    assert len(watch.take("^console warning: look out")) == 1
    assert len(watch.take("^console error: broken")) == 1


def test_an_error_that_nobody_caught_is_noted(page: Page, watch: Watch) -> None:
    with page.expect_event("pageerror"):
        page.evaluate("setTimeout(() => { throw new Error('lost'); })")
    watch.take("^error not caught: lost")


def test_a_rejection_that_nobody_caught_is_noted(page: Page, watch: Watch) -> None:
    with page.expect_event("pageerror"):
        page.evaluate("void Promise.reject(new Error('refused'))")
    watch.take("^error not caught: refused")


def test_a_popup_is_watched(page: Page, watch: Watch) -> None:
    with page.expect_popup() as popup:
        page.evaluate("void window.open('about:blank')")
    popup.value.evaluate("console.error('popped up')")
    watch.take("^console error: popped up")


def test_a_violation_of_the_policy_is_noted_and_the_policy_in_force(
    page: Page, watch: Watch
) -> None:
    page.goto("/")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " { textContent: 'document.title = \"taken over\"' }))"
    )
    expect(page).not_to_have_title("taken over")
    watch.take("^content security policy: script-src-elem inline")
    watch.take("^console error: Executing inline script violates")


def test_nothing_can_be_taken_that_was_not_noted(page: Page, watch: Watch) -> None:
    page.goto("/")
    with pytest.raises(AssertionError, match="nothing like 'lost'"):
        watch.take("lost")
