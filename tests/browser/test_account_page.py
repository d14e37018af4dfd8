"""The paper account in the browser: contracts bought, settled, sold; a gateway restarted."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.programs import program
from tests.browser.steps import sign_in_as_demo, stop, until
from tests.browser.watch import Watch
from tests.served import Served

EVEN = {
    "contract_type": "DIGITEVEN",
    "symbol": "R_100",
    "currency": "USD",
    "duration": 10,
    "duration_unit": "t",
    "basis": "stake",
    "amount": 20,
}


def open_account(page: Page) -> None:
    page.goto("/account")
    sign_in_as_demo(page)
    expect(balance(page)).to_have_text("10,000.00 USD")


def balance(page: Page) -> Locator:
    return page.get_by_label("Balance", exact=True)


def contracts(page: Page, table: str) -> Locator:
    return page.get_by_role("table", name=table).get_by_role("row").filter(has_text="Pays USD")


def buy(page: Page, side: str, *, duration: int, unit: str) -> None:
    page.get_by_label("Duration").fill(str(duration))
    page.get_by_label("Unit").select_option(unit)
    button = page.get_by_role("button", name=f"Buy {side}")
    expect(button).to_have_attribute("aria-disabled", "false")
    button.click()
    expect(page.locator("#ticket-said")).to_have_text(f"Bought {side} for 10.00 USD.")
    expect(button).to_be_focused()


@pytest.mark.parametrize("gateway", [("--speed", "5")], indirect=True)
def test_a_contract_is_bought_and_settles(page: Page) -> None:
    open_account(page)
    buy(page, "Rise", duration=5, unit="ticks")
    row = contracts(page, "Open contracts")
    expect(row).to_contain_text("cannot be sold early")
    # The payout of the purchase: the market may have moved since the quote was looked at.
    [payout] = re.findall(r"Pays USD ([0-9.]+)", row.inner_text())
    result = contracts(page, "Recent results")
    expect(result).to_be_visible()
    expect(row).to_have_count(0)
    got, profit = result.get_by_role("cell").all_inner_texts()[-2:]
    assert got in ("0.00 USD", f"{payout} USD")
    gain = float(payout) - 10
    assert profit == ("\N{MINUS SIGN}10.00 USD" if got == "0.00 USD" else f"+{gain:.2f} USD")
    expect(balance(page)).to_have_text(f"{9_990 + float(got.split()[0]):,.2f} USD")


@pytest.mark.lengthy
def test_a_contract_is_sold_and_the_account_reset(page: Page, gateway: Served) -> None:
    open_account(page)
    buy(page, "Fall", duration=60, unit="minutes")
    row = contracts(page, "Open contracts")
    expect(row).to_contain_text("59:5")
    with program(gateway, gateway.token) as bot:
        bot.ask(buy=1, price=20, parameters=EVEN)
    expect(row).to_have_count(2)
    row.get_by_role("button", name="Sell contract 1").click()
    expect(page.get_by_text("Sold for")).to_be_visible()
    expect(contracts(page, "Recent results")).to_contain_text("sold")
    expect(row).to_have_count(1)

    page.get_by_role("button", name="Reset balance").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset balance").click()
    expect(page.locator("#said")).to_have_text(
        "The balance of VRTC9000001 was reset to 10,000.00 USD."
    )
    expect(balance(page)).to_have_text("10,000.00 USD")


@pytest.mark.lengthy
def test_what_cannot_be_bought_is_explained_and_each_account_shows_its_own(page: Page) -> None:
    open_account(page)
    page.get_by_label("Stake").fill("0.1")
    expect(page.locator("#ticket-said")).to_contain_text("Minimum stake of 0.35")
    page.get_by_label("Stake").fill("10")
    expect(page.locator("#ticket-said")).to_have_text("")
    page.get_by_label("Symbol").select_option("R_50")
    expect(page.get_by_role("heading", name="Volatility 50 Index")).to_be_visible()
    buy(page, "Rise", duration=60, unit="minutes")
    expect(contracts(page, "Open contracts")).to_contain_text("Volatility 50 Index")

    page.get_by_label("Account", exact=True).select_option("CR900001")
    expect(page.get_by_role("heading", name="No open contracts")).to_be_visible()
    expect(balance(page)).to_have_text("10,000.00 USD")
    buy(page, "Fall", duration=60, unit="minutes")
    expect(balance(page)).to_have_text("9,990.00 USD")
    expect(contracts(page, "Open contracts")).to_contain_text("strictly lower")


@pytest.mark.lengthy
def test_what_is_said_of_a_purchase_is_not_wiped_by_what_was_typed_before(page: Page) -> None:
    page.clock.install()
    open_account(page)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    # The terms are typed before the symbol's contracts have arrived, which ask for prices too.
    page.evaluate(
        """([symbol, stake]) => {
          const change = (field, value) => {
            field.value = value;
            field.dispatchEvent(new Event("input", { bubbles: true }));
          };
          change(symbol, "R_50");
          change(stake, "10");
        }""",
        [page.get_by_label(name).element_handle() for name in ("Symbol", "Stake")],
    )
    button = page.get_by_role("button", name="Buy Rise")
    expect(button).to_have_attribute("aria-disabled", "false")
    button.click()
    said = page.locator("#ticket-said")
    expect(said).to_have_text("Bought Rise for 10.00 USD.")
    page.clock.run_for(1_000)
    expect(said).to_have_text("Bought Rise for 10.00 USD.")


@pytest.mark.lengthy
def test_all_comes_back_after_the_gateway_was_gone(
    page: Page, gateway: Served, watch: Watch
) -> None:
    open_account(page)
    buy(page, "Rise", duration=1, unit="minutes")
    buy(page, "Fall", duration=1440, unit="minutes")
    row = contracts(page, "Open contracts")
    expect(row).to_have_count(2)
    stop(page, gateway)
    expect(page.get_by_text("The connection to the gateway was lost")).to_be_visible()
    expect(page.get_by_text("no price")).to_have_count(2)

    port = str(urlsplit(gateway.page).port)
    gateway.options = (*gateway.options, "--port", port, "--speed", "60")
    gateway.start()
    expect(page.get_by_text("Reconnected.")).to_be_visible()
    expect(contracts(page, "Recent results")).to_have_count(1)
    expect(row).to_have_count(1)
    left = row.get_by_role("cell").nth(2)
    before = left.inner_text()
    expect(left).not_to_have_text(before)
    expect(page.get_by_text(re.compile("^pays"))).to_have_count(2)
    price = page.get_by_label("Latest price")
    before = price.inner_text()
    expect(price).not_to_have_text(before)
    watch.take("WebSocket connection to .* failed")


@pytest.mark.lengthy
def test_the_ticket_offers_every_family_that_is_listed(page: Page, gateway: Served) -> None:
    open_account(page)
    with program(gateway, gateway.token) as bot:
        listed = bot.ask(contracts_for="1HZ100V")["contracts_for"]["available"]
    families = page.get_by_label("Contract type")
    expect(families).not_to_be_empty()
    offered = set()
    for title in families.get_by_role("option").all_inner_texts():
        families.select_option(label=title)
        choices = page.get_by_label("Types")
        pairs = choices.get_by_role("option").all_inner_texts() if choices.count() else [""]
        for pair in pairs:
            if pair:
                choices.select_option(label=pair)
            sides = page.locator(".side")
            expect(page.locator(".side .payout").filter(has_text="no price")).to_have_count(0)
            expect(page.locator("#ticket-said")).to_have_text("")
            offered |= {name.strip(" ▲▼") for name in sides.locator("h3").all_inner_texts()}
    assert offered == {row["contract_display"] for row in listed} | {"Rise", "Fall"}


@pytest.mark.lengthy
def test_the_chart_shows_entry_barrier_and_expiry_of_open_contracts(page: Page) -> None:
    """What is drawn on the canvas is recorded as it is drawn."""
    page.add_init_script("""
      window.drawn = new Set();
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        window.drawn.add(text);
        return fillText.call(this, text, ...rest);
      };
    """)
    open_account(page)
    page.get_by_label("Contract type").select_option(label="Higher/Lower")
    page.get_by_label("Unit").select_option(label="minutes")
    page.get_by_role("button", name="Buy Higher").click()
    expect(contracts(page, "Open contracts")).to_contain_text("entry")
    for mark in ("entry 1", "barrier 1", "expiry 1"):
        until(page, "mark => [...window.drawn].some((text) => text.startsWith(mark))", mark)


@pytest.mark.lengthy
def test_rise_and_fall_differ_in_colour_and_sign(page: Page) -> None:
    open_account(page)
    buttons = [page.get_by_role("button", name=f"Buy {side}") for side in ("Rise", "Fall")]
    for button in buttons:
        expect(button).to_have_attribute("aria-disabled", "false")
    until(  # the colour follows a moment later
        page,
        "buttons => new Set(buttons.map(each => getComputedStyle(each).backgroundColor)).size == 2",
        [button.element_handle() for button in buttons],
    )
    assert page.locator(".side h3").all_inner_texts() == ["Rise ▲", "Fall ▼"]
