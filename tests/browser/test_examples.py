"""The pages of `examples/browser/` do what they show, served from an origin of their own.

Their gateway is another origin, as it is for the pages of any app.
"""

import functools
import re
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from tests.browser.checks import assert_accessible, assert_tidy
from tests.browser.conftest import Browse
from tests.browser.programs import program, serving
from tests.browser.steps import sign_in_as_demo, stop
from tests.browser.tools import node_module
from tests.browser.watch import Watch
from tests.effort import cases
from tests.served import Served

EXAMPLES = Path(__file__).parents[2] / "examples" / "browser"
FAST = pytest.mark.parametrize("gateway", [["--speed", "20"]], indirect=True, ids=["fast"])
A_PRICE = re.compile(r"^\d+\.\d+$")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Where the examples are served, as `python3 -m http.server` does it."""
    with serving(functools.partial(_Quiet, directory=EXAMPLES)) as origin:
        yield origin


def connect(page: Page, gateway: str) -> None:
    page.get_by_label("Gateway").fill(gateway)
    page.get_by_role("button", name="Connect", exact=True).click()


def address(gateway: Served) -> str:
    return f"{gateway.url}?app_id=1089"


def says(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#state")).to_have_text(text)


def restart(page: Page, gateway: Served, watch: Watch) -> None:
    """Start the gateway anew at its port, once the page has tried in vain to come back."""
    stop(page, gateway)
    gateway.options = (*gateway.options, "--port", str(urlsplit(gateway.url).port))
    gateway.start()
    page.evaluate("0")  # what it had to tell is told
    watch.take("^console error: WebSocket connection to .* failed")


def expect_a_change(place: Locator) -> None:
    expect(place).not_to_have_text(place.inner_text())


# A chart of ticks.


def is_drawn_upon(page: Page) -> bool:
    """Whether the chart has been drawn in the colour of its line."""
    found: bool = page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const line = [0x14, 0x60, 0x8f, 0xff];
          for (let at = 0; at < data.length; at += 4) {
            if (line.every((part, offset) => data[at + offset] === part)) {
              return true;
            }
          }
          return false;
        }"""
    )
    return found


@pytest.mark.lengthy
@pytest.mark.parametrize("is_served", [True, False], ids=["served", "file"])
def test_ticks_arrive_and_are_drawn(
    page: Page, gateway: Served, site: str, is_served: bool
) -> None:
    page.goto(f"{site}/ticks.html" if is_served else (EXAMPLES / "ticks.html").as_uri())
    connect(page, address(gateway))
    says(page, "Live.")
    quote = page.locator("#quote")
    expect(quote).to_have_text(A_PRICE)
    expect_a_change(quote)
    assert is_drawn_upon(page)
    symbol = page.get_by_label("Symbol")
    before = quote.inner_text()
    symbol.select_option(label="Volatility 50 Index")
    expect(symbol).to_have_value("R_50")
    expect(quote).to_have_text(re.compile(r"^\d+\.\d{4}$"))
    assert quote.inner_text() != before
    expect_a_change(quote)


@pytest.mark.lengthy
def test_a_lost_gateway_is_found_again(
    page: Page, gateway: Served, site: str, watch: Watch
) -> None:
    page.goto(f"{site}/ticks.html")
    connect(page, address(gateway))
    says(page, "Live.")
    restart(page, gateway, watch)
    says(page, "Live.")
    expect_a_change(page.locator("#quote"))


@pytest.mark.lengthy
def test_an_unknown_app_is_not_asked_for_again(page: Page, gateway: Served, site: str) -> None:
    page.goto(f"{site}/ticks.html")
    connect(page, f"{gateway.url}?app_id=424242")
    says(page, "Your app_id is invalid.")


# A page that trades on an OAuth link.


@pytest.fixture
def app_id(gateway: Served, site: str) -> str:
    """The trading page, registered as its head says."""
    with program(gateway, gateway.token) as owner:
        described = {"name": "Trade page", "redirect_uri": f"{site}/trade.html"}
        reply = owner.ask(app_register=1, scopes=["read", "trade"], **described)
        return str(reply["app_register"]["app_id"])


def ask_for_consent(page: Page, gateway: Served, site: str, app_id: str) -> None:
    page.goto(f"{site}/trade.html")
    page.get_by_label("App ID").fill(app_id)
    connect(page, gateway.page)
    expect(
        page.get_by_role("heading", name="Allow Trade page to access your accounts?")
    ).to_be_visible()


def link(page: Page, gateway: Served, site: str, app_id: str) -> None:
    ask_for_consent(page, gateway, site, app_id)
    page.get_by_role("button", name="Continue as the demo user").click()
    page.get_by_label("trade ").check()
    page.get_by_role("button", name="Allow Trade page").click()
    says(page, f"Connected to {gateway.loginids[1]}.")


def kept(page: Page) -> str:
    text: str = page.evaluate("JSON.stringify({ ...sessionStorage, ...localStorage })")
    return text


@FAST
def test_the_trading_page_trades_until_its_access_is_taken_back(
    page: Page, gateway: Served, site: str, app_id: str
) -> None:
    link(page, gateway, site, app_id)
    assert page.url == f"{site}/trade.html"
    assert page.evaluate("document.referrer") == ""
    balance = page.locator("#balance")
    expect(balance).to_have_text("10000.00 USD")
    assert_tidy(page)
    assert_accessible(page)

    page.get_by_label("Account").select_option(gateway.loginids[0])
    says(page, f"Connected to {gateway.loginids[0]}.")
    for side, number in (("Rise", 1), ("Fall", 2)):
        expect(balance).to_have_text(re.compile(r"^\d+\.\d\d USD$"))
        before = float(balance.inner_text().split()[0])
        page.get_by_role("button", name=re.compile(rf"^{side}: pays \d+\.\d\d USD$")).click()
        contracts = page.locator("#contracts li")
        expect(contracts).to_have_count(number)
        ended = re.compile(
            rf"^{side}: (won \+|lost −)\d+\.\d\d USD, from \d+\.\d+ to \d+\.\d+$"  # noqa: RUF001
        )
        expect(contracts.first).to_have_text(ended)
        told = contracts.first.inner_text()
        profit = float(re.findall(r"\d+\.\d\d(?= USD)", told)[0])
        after = before + profit if "won" in told else before - profit
        expect(balance).to_have_text(f"{after:.2f} USD")

    page.reload()
    says(page, f"Connected to {gateway.loginids[1]}.")
    assert "token" in kept(page)

    owner = page.context.new_page()
    owner.goto("/connected")
    sign_in_as_demo(owner)
    owner.get_by_role("button", name="Revoke access for Trade page").click()
    owner.get_by_role("dialog").get_by_role("button", name="Revoke access").click()
    says(
        page,
        "Access was revoked or has expired. Press Connect to ask for it again.",
    )
    expect(page.get_by_label("App ID")).to_have_value(app_id)
    assert "token" not in kept(page)


@pytest.mark.lengthy
def test_the_trading_page_follows_a_contract_across_a_lost_connection(
    page: Page, gateway: Served, site: str, app_id: str, watch: Watch
) -> None:
    link(page, gateway, site, app_id)
    page.get_by_role("button", name="Fall: pays").click()
    contract = page.locator("#contracts li")
    expect(contract).to_have_text(re.compile("^Fall: (waiting|from)"))
    restart(page, gateway, watch)
    says(page, f"Connected to {gateway.loginids[1]}.")
    expect(contract).to_have_text(re.compile("^Fall: (won|lost)"))


@pytest.mark.lengthy
def test_who_refuses_the_trading_page_gives_it_nothing(
    page: Page, gateway: Served, site: str, app_id: str
) -> None:
    ask_for_consent(page, gateway, site, app_id)
    page.get_by_role("button", name="Deny access").click()
    says(page, "You denied access. Press Connect to ask again.")
    assert page.url == f"{site}/trade.html"
    assert "token" not in kept(page)


@pytest.mark.lengthy
def test_the_trading_page_forgets_its_tokens_when_told_to(
    page: Page, gateway: Served, site: str, app_id: str
) -> None:
    link(page, gateway, site, app_id)
    page.get_by_role("button", name="Disconnect").click()
    told = f"The tokens were removed from this page. To revoke them, go to {gateway.page}connected"
    says(page, told)
    assert "token" not in kept(page)
    page.reload()
    expect(page.get_by_role("button", name="Connect", exact=True)).to_be_visible()


@pytest.mark.lengthy
@pytest.mark.parametrize("with_own_state", [False, True], ids=["unasked", "wrong-state"])
def test_the_trading_page_takes_no_answer_that_it_did_not_ask_for(
    page: Page, gateway: Served, site: str, app_id: str, with_own_state: bool
) -> None:
    if with_own_state:
        ask_for_consent(page, gateway, site, app_id)
    page.goto(f"{site}/trade.html?acct1=CR1&token1=a1-stolen&cur1=USD&state=guessed")
    says(page, "This response was not requested in this tab, so it was ignored.")
    assert page.url == f"{site}/trade.html"
    assert "stolen" not in kept(page)


@pytest.mark.lengthy
def test_the_trading_page_says_when_the_app_is_gone(
    page: Page, gateway: Served, site: str, app_id: str
) -> None:
    """Its tokens are of another database, say."""
    link(page, gateway, site, app_id)
    page.evaluate(
        """() => {
          const key = Object.keys(sessionStorage)[0];
          const changed = { ...JSON.parse(sessionStorage.getItem(key)), appId: "424242" };
          sessionStorage.setItem(key, JSON.stringify(changed));
        }"""
    )
    page.reload()
    says(page, "The gateway has no app with this App ID.")


# The published client.


@pytest.mark.lengthy
@FAST
@pytest.mark.parametrize("is_served", cases([True, False], [True]), ids=["served", "file"])
def test_the_published_client_shows_ticks_and_the_balance(
    page: Page, gateway: Served, site: str, is_served: bool
) -> None:
    page.goto(f"{site}/deriv-api.html" if is_served else (EXAMPLES / "deriv-api.html").as_uri())
    page.get_by_label("Token").fill(gateway.token)
    connect(page, address(gateway))
    says(page, f"Live, as {gateway.loginids[0]}.")
    quote = page.locator("#quote")
    expect(quote).to_have_text(A_PRICE)
    expect_a_change(quote)
    balance = page.locator("#balance")
    expect(balance).to_have_text("10,000.00 USD")
    gateway.command("account", "credit", "--loginid", gateway.loginids[0], "--amount", "500")
    expect(balance).to_have_text("10,500.00 USD")


@pytest.mark.lengthy
def test_the_published_client_says_what_is_wrong(page: Page, gateway: Served, site: str) -> None:
    page.goto(f"{site}/deriv-api.html")
    page.get_by_label("Token").fill("nonsense")
    connect(page, address(gateway))
    says(page, "The token is invalid.")


def test_the_published_client_is_the_released_one() -> None:
    released = node_module("@deriv/deriv-api")
    shipped = EXAMPLES / "vendor" / "deriv-api"
    assert (shipped / "DerivAPI.js").read_bytes() == (released / "dist/DerivAPI.js").read_bytes()
    assert (shipped / "LICENSE").read_bytes() == (released / "LICENSE").read_bytes()


# Bad days (docs/faults.md).

SLOW = 60_000
"""Milliseconds that a page may take to notice what nobody tells it."""
ENDED = re.compile(r"^Rise: (won|lost) .*\d+\.\d\d USD, from \d+\.\d+ to \d+\.\d+$")

TRADING = {
    "latency milliseconds=100 jitter=100": "",
    "lost_reply after=buy": "",
    "half_open after=buy": "",
    "drop before=buy": "",
    "drop after=buy": "",
    "drop_at_random chance=0.1 times=4": "",
    "duplicate_events": "",
    "reorder_events": "",
    "stale_proposals": "",
    "frozen_feed skip=2": "",
    "tick_gap skip=2 seconds=3": "",
    "spike skip=2": "",
    "wrong_clock seconds=3600": "",
    "rate_limit call=buy": "You have reached the rate limit for buy.",
    "internal_error call=buy": "Sorry, an error occurred while processing your request.",
    "market_closed": "This market is presently closed.",
    "price_moved": "The market has moved since you priced the contract.",
    "revoke_token after=buy": (
        "Access was revoked or has expired. Press Connect to ask for it again."
    ),
}
"""What the trading page says; nothing where it buys, and shows how the contract ends."""


def test_every_kind_is_met() -> None:
    assert {text.split()[0] for text in TRADING} == set(MarketFaultKinds().by_name())


def take_lost_connections(watch: Watch) -> None:
    """Take what the browser itself says of connections that end."""
    while any("WebSocket connection" in each for each in watch.found):
        watch.take("^console error: WebSocket connection to .* failed")


@pytest.mark.lengthy
@FAST
@pytest.mark.parametrize("text", cases(TRADING, ["drop before=buy"]))
def test_the_trading_page_says_what_the_books_say(
    page: Page, gateway: Served, site: str, app_id: str, watch: Watch, text: str
) -> None:
    link(page, gateway, site, app_id)
    fault = MarketFaultKinds().parsed(text)
    with program(gateway, gateway.token) as owner:
        begun = owner.ask(fault_start=fault.kind, options=fault.options(), app_id=int(app_id))
        assert "error" not in begun
        page.get_by_label("Account").select_option(gateway.loginids[0])
        rise = page.get_by_role("button", name=re.compile(r"^Rise: pays \d+\.\d\d USD$"))
        rise.click(timeout=SLOW)
        if TRADING[text]:
            says(page, TRADING[text])
        else:
            expect(page.locator("#contracts li")).to_have_text(ENDED, timeout=SLOW)
            balance = owner.ask(balance=1)["balance"]["balance"]
            expect(page.locator("#balance")).to_have_text(f"{balance:.2f} USD")
        bought = [
            each
            for each in owner.ask(statement=1)["statement"]["transactions"]
            if each["action_type"] == "buy"
        ]
        assert len(bought) == (0 if TRADING[text] and fault.kind != "revoke_token" else 1)
    take_lost_connections(watch)


LIVE = ("Live.", "Live.")
NO_ANSWER = "The gateway does not answer. Press Connect to try again."
NO_CONNECTION = "No connection. Press Connect to try again."
REFUSED = "You have reached the rate limit for ticks_history."

SHOWING = {
    "latency milliseconds=100 jitter=100": LIVE,
    # Without the reply, the published client throws an error at the first tick.
    "lost_reply after=ticks_history": ("Live.", NO_CONNECTION),
    "half_open after=ticks_history": ("Live.", NO_ANSWER),
    "drop before=ticks_history": ("Live.", NO_CONNECTION),
    "drop after=ticks_history": ("Live.", NO_CONNECTION),
    "duplicate_events": LIVE,
    "reorder_events": LIVE,
    "rate_limit call=ticks_history": (REFUSED, REFUSED),
    "tick_gap skip=2 seconds=3": LIVE,
}
"""What the page with ticks says in the end, and the one with the published client."""


@pytest.mark.parametrize(
    ("name", "text"),
    cases([(name, text) for text in SHOWING for name in ("ticks", "deriv-api")], []),
)
def test_a_page_that_shows_ticks_says_how_it_is(
    page: Page, site: str, watch: Watch, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "faulty").mkdir()
    with Served(tmp_path / "faulty", "--speed", "5", "--fault", text) as faulty:
        page.goto(f"{site}/{name}.html")
        connect(page, address(faulty))
        expected = SHOWING[text][name == "deriv-api"]
        expect(page.locator("#state")).to_have_text(expected, timeout=SLOW)
        if expected == "Live.":
            expect(page.locator("#quote")).to_have_text(A_PRICE)
            expect_a_change(page.locator("#quote"))
        take_lost_connections(watch)


# All of them.


@pytest.mark.lengthy
@pytest.mark.parametrize("name", ["ticks", "trade", "deriv-api"])
def test_it_is_tidy_and_accessible(browse: Browse, site: str, name: str) -> None:
    looks: tuple[tuple[int, Literal["light", "dark"]], ...] = ((360, "dark"), (1280, "light"))
    for width, scheme in looks:
        page = browse(width=width, scheme=scheme)
        page.goto(f"{site}/{name}.html")
        expect(page.get_by_role("button", name="Connect", exact=True)).to_be_visible()
        assert_tidy(page)
        assert_accessible(page)
