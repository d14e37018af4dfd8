"""The operator's page in the browser: what bots do is seen there, and ended."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, WebSocket, expect
from websockets.exceptions import ConnectionClosed

from tests.browser.conftest import Browse
from tests.browser.programs import Program, connected, program, refusal_of, registered
from tests.browser.steps import (
    OPERATOR_TOKEN,
    sign_in_as_demo,
    sign_in_as_operator,
    stop,
)
from tests.browser.test_signing_in import EMAIL, PASSWORD, sign_in
from tests.browser.watch import Watch
from tests.served import Served

pytestmark = pytest.mark.parametrize(
    "gateway", [("--operator-token", OPERATOR_TOKEN)], indirect=True, ids=["operator"]
)


def rows(page: Page, caption: str) -> Locator:
    return page.get_by_role("table", name=caption, exact=True).get_by_role("row")


def agree(page: Page, name: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=name).click()


def end_of(bot: Program) -> tuple[int, str]:
    """The close code and the reason with which a bot's connection ends."""
    with pytest.raises(ConnectionClosed) as ended:
        bot.hear(lambda message: False)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


def test_a_bot_is_watched_and_its_connection_and_user_ended(
    page: Page, browse: Browse, gateway: Served
) -> None:
    created = gateway.command("user", "create", "--email", EMAIL, "--password", PASSWORD)
    loginid = created.split()[0]
    of_bot = ("--loginid", loginid, "--scopes", "read", "--name", "Bot")
    bot_token = gateway.command("token", "create", *of_bot)
    page.goto("/operator")
    sign_in_as_operator(page)
    expect(page.get_by_role("heading", name="Connections")).to_be_visible()
    expect(rows(page, "Connections").filter(has_text="this page")).to_have_count(1)

    with program(gateway, bot_token) as bot:
        bot.ask(ticks="R_100", subscribe=1)
        assert bot.ask(buy="1", price=1)["error"]["code"] == "PermissionDenied"
        seen = rows(page, "Connections").filter(has_text=EMAIL)
        expect(seen).to_have_count(1)
        expect(seen).to_contain_text("app 1089")
        expect(seen).to_contain_text(loginid)
        expect(seen).to_contain_text("127.0.0.1")
        refused = rows(page, "Latest refusals").filter(has_text="buy")
        expect(refused).to_contain_text("PermissionDenied")
        expect(refused).to_contain_text(EMAIL)
        expect(rows(page, "Calls").filter(has_text="ticks")).to_have_count(1)
        expect(rows(page, "Users by connections").filter(has_text=EMAIL)).to_contain_text("1")

        seen.get_by_role("button", name="End").click()
        agree(page, "End connection")
        expect(page.locator("#said")).to_have_text("The connection from 127.0.0.1 was ended.")
        assert end_of(bot) == (4403, "The operator has ended this connection.")
        expect(seen).to_have_count(0)

    with program(gateway, bot_token) as bot:
        user = rows(page, "Users by connections").filter(has_text=EMAIL)
        user.get_by_role("button", name=f"Disable {EMAIL}").click()
        agree(page, "Disable user")
        expect(page.locator("#said")).to_have_text(f"{EMAIL} was disabled.")
        assert end_of(bot) == (4403, "the user was disabled")
    assert refusal_of(gateway, bot_token) == "InvalidToken"
    owner = browse()
    owner.goto("/tokens")
    sign_in(owner)
    expect(owner.get_by_role("alert")).to_contain_text(
        "The e-mail address or the password is wrong"
    )

    disabled = rows(page, "Disabled users and apps").filter(has_text=EMAIL)
    disabled.get_by_role("button", name="Enable").click()
    expect(page.locator("#said")).to_have_text(f"{EMAIL} was enabled.")
    expect(page.get_by_text("Nobody is disabled.")).to_be_visible()
    sign_in(owner)
    expect(owner.get_by_role("heading", name="Your tokens")).to_be_visible()


@pytest.fixture
def app_id(gateway: Served) -> Iterator[int]:
    with registered(gateway, "http://127.0.0.1:9/back", "read") as registered_app:
        yield registered_app


@pytest.mark.lengthy
def test_an_app_is_disabled_and_enabled(
    page: Page, browse: Browse, gateway: Served, app_id: int
) -> None:
    page.goto("/operator")
    sign_in_as_operator(page)
    app = rows(page, "Apps by connections").filter(has_text="Helper")
    with connected(gateway, app_id) as bot:
        assert bot.ask(ping=1)["ping"] == "pong"
        app.get_by_role("button", name="Disable app Helper").click()
        agree(page, "Disable app")
        assert end_of(bot) == (4403, "the app was disabled")
    with connected(gateway, app_id) as bot:
        assert bot.ask(ping=1)["error"]["code"] == "InvalidAppID"
    expect(app).to_have_count(0)
    owner = browse()
    owner.goto("/apps")
    sign_in_as_demo(owner)
    expect(owner.get_by_role("heading", name="Helper")).to_contain_text("disabled by the operator")
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_text("Nobody is disabled.")).to_be_visible()
    with connected(gateway, app_id) as bot:
        assert bot.ask(ping=1)["ping"] == "pong"
    page.get_by_label("Disable another user or app").fill("nobody@example.com")
    page.get_by_role("button", name="Disable", exact=True).click()
    agree(page, "Disable user")
    expect(page.locator("#said")).to_contain_text("There is no user with this e-mail address.")


@pytest.mark.lengthy
def test_a_connection_without_an_app_is_shown_and_ended(page: Page, gateway: Served) -> None:
    page.goto("/operator")
    sign_in_as_operator(page)
    with connected(gateway, "none") as silent:
        app = rows(page, "Apps by connections").filter(has_text="no valid app_id")
        expect(app).to_have_count(1)
        expect(app.get_by_role("button")).to_have_count(0)
        page.get_by_label("Filter by app, user or address").fill("no valid")
        seen = rows(page, "Connections").filter(has_text="no valid app_id")
        expect(seen).to_have_count(1)
        seen.get_by_role("button", name="End").click()
        agree(page, "End connection")
        assert end_of(silent) == (4403, "The operator has ended this connection.")


@pytest.mark.lengthy
def test_the_token_is_kept_nowhere(page: Page, gateway: Served) -> None:
    frames: list[str] = []

    def follow(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: frames.append(str(frame)))

    page.on("websocket", follow)
    page.goto("/operator")
    sign_in_as_operator(page, "wrong-wrong-wrong-wrong")
    expect(page.get_by_role("alert")).to_contain_text("The operator token is wrong.")
    sign_in_as_operator(page)
    expect(rows(page, "Connections").filter(has_text="this page")).to_have_count(1)
    everything = page.evaluate(
        "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href])"
    )
    assert OPERATOR_TOKEN not in everything
    assert OPERATOR_TOKEN not in page.content()
    assert frames
    assert not [frame for frame in frames if OPERATOR_TOKEN in frame]
    page.reload()
    expect(page.get_by_label("Operator token")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)


@pytest.mark.lengthy
def test_a_lost_connection_signs_in_again(page: Page, gateway: Served, watch: Watch) -> None:
    page.goto("/operator")
    sign_in_as_operator(page)
    own = rows(page, "Connections").filter(has_text="this page")
    expect(own).to_have_count(1)
    port = page.evaluate("location.port")
    stop(page, gateway)
    expect(page.get_by_text("what is shown is no longer current")).to_be_visible()
    gateway.options = (*gateway.options, "--port", port)
    gateway.start()
    expect(page.get_by_text("what is shown is no longer current")).to_have_count(0)
    expect(own).to_have_count(1)
    watch.take("WebSocket connection to")


@pytest.mark.lengthy
def test_after_a_start_with_another_token_the_page_asks_for_it(
    page: Page, gateway: Served, watch: Watch
) -> None:
    page.goto("/operator")
    sign_in_as_operator(page)
    expect(rows(page, "Connections").filter(has_text="this page")).to_have_count(1)
    port = page.evaluate("location.port")
    stop(page, gateway)
    other = OPERATOR_TOKEN[::-1]
    gateway.options = (*gateway.options, "--port", port, "--operator-token", other)
    gateway.start()
    expect(page.get_by_text("The operator token is wrong. Sign in again.")).to_be_visible()
    expect(page.get_by_role("heading", name="Connections")).to_be_hidden()
    sign_in_as_operator(page, other)
    expect(rows(page, "Connections").filter(has_text="this page")).to_have_count(1)
    # It was sent once: five wrong ones would have kept the operator out.
    assert gateway.command("audit").count("operator sign-in failed") == 1
    watch.take("WebSocket connection to")
