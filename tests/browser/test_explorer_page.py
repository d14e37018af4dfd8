"""The explorer: any call read and sent, streams run and stopped, a lost connection made good."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from scopegate.composition import declared
from tests.browser.conftest import Browse
from tests.browser.steps import sign_in_as_demo
from tests.served import Served


@pytest.fixture
def gateway(shared_gateway: Served) -> Served:
    return shared_gateway


def choose(page: Page, call: str) -> None:
    page.goto(f"/explorer#{call}")
    expect(page.get_by_role("heading", name=call, exact=True)).to_be_visible()


def send(page: Page, **request: object) -> None:
    page.get_by_label("Request", exact=True).fill(json.dumps(request))
    page.get_by_role("button", name="Send").click()


@pytest.mark.lengthy
def test_every_call_is_there_with_its_policy_and_fields(page: Page) -> None:
    page.goto("/explorer")
    calls = page.get_by_role("navigation", name="Calls").get_by_role("link")
    expect(calls).to_have_count(len(list(declared())))
    page.get_by_label("Find a call").fill("update_history")
    expect(calls).to_have_text(["contract_update_history"])
    page.get_by_label("Find a call").fill("")
    page.get_by_label("Scope", exact=True).select_option("trade")
    expect(calls).to_have_count(sum("trade" in call.scopes for call in declared()))

    choose(page, "buy")
    expect(page.locator("#call-about")).to_contain_text("trade")
    row = page.get_by_role("row", name=re.compile("^price"))
    expect(row).to_contain_text("required")
    expect(page.locator("#call-list")).to_contain_text("Copy trading")
    page.get_by_role("tab", name="Reply fields").click()
    expect(page.get_by_role("row", name=re.compile(r"^buy\.contract_id "))).not_to_contain_text(
        re.compile("required|optional")
    )
    page.get_by_role("tab", name="Request fields").click()
    example = json.loads(page.get_by_label("Request", exact=True).input_value())
    assert next(iter(example)) == "buy"

    page.get_by_label("Scope", exact=True).select_option("")
    choose(page, "proposal_open_contract")
    page.get_by_role("tab", name="Reply fields").click()
    row = page.get_by_role("row", name=re.compile(r"^proposal_open_contract\.account_id "))
    expect(row).to_contain_text("optional")


def test_a_call_is_sent_with_the_keyboard_and_its_frames_are_shown(page: Page) -> None:
    choose(page, "time")
    page.get_by_label("Request", exact=True).press("Control+Enter")
    expect(page.locator("#answer")).to_contain_text('"msg_type": "time"')
    frames = page.get_by_role("log")
    expect(frames).to_contain_text('{"time":1')
    page.get_by_role("button", name="Clear").click()
    expect(frames).to_have_text("No frames yet")
    box = frames.bounding_box()
    assert box is not None
    assert box["height"] < 40


@pytest.mark.lengthy
def test_what_a_message_holds_is_neither_markup_nor_code(page: Page) -> None:
    choose(page, "time")
    markup = "<img src=x alt=markup><b id=bold>bold</b>"
    hostile = {"time": 1, "passthrough": {"__proto__": {"polluted": 1}, "text": markup}}
    page.get_by_label("Request", exact=True).fill(json.dumps(hostile))
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#answer")).to_contain_text(markup)
    expect(page.get_by_role("log")).to_contain_text("__proto__")
    expect(page.locator("#bold, img[alt=markup]")).to_have_count(0)
    assert page.evaluate("({}).polluted === undefined && [].polluted === undefined")


@pytest.mark.lengthy
def test_what_is_no_json_is_said_before_it_is_sent(page: Page) -> None:
    choose(page, "time")
    page.get_by_label("Request", exact=True).fill('{"time": 1')
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#call")).to_contain_text(re.compile("JSON", re.IGNORECASE))
    expect(page.locator("#answer")).not_to_contain_text("msg_type")


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("call", "request_"),
    [
        ("ticks", {"ticks": "1HZ100V", "subscribe": 1}),
        ("ticks", {"ticks": "1HZ100V"}),
        (
            "ticks_history",
            {
                "ticks_history": "1HZ50V",
                "style": "candles",
                "granularity": 60,
                "end": "latest",
                "count": 30,
                "subscribe": 1,
            },
        ),
    ],
)
def test_a_stream_runs_with_a_chart_until_it_is_stopped(
    page: Page, call: str, request_: dict[str, object]
) -> None:
    choose(page, call)
    send(page, **request_)
    streams = page.get_by_role("region", name="Running streams")
    expect(streams).to_contain_text(re.compile(r"[3-9] messages"))
    expect(streams.get_by_role("img")).to_be_visible()
    streams.get_by_role("button", name="Stop").click()
    expect(streams).to_be_hidden()
    expect(page.get_by_role("log")).to_contain_text('{"forget":')


@pytest.mark.lengthy
def test_it_speaks_for_who_is_signed_in_or_whose_token_is_pasted(
    page: Page, gateway: Served
) -> None:
    page.goto("/explorer")
    sign_in_as_demo(page)
    choose(page, "balance")
    send(page, balance=1)
    expect(page.locator("#answer")).to_contain_text(gateway.loginids[0])

    token = gateway.command(
        *("token", "create", "--loginid", gateway.loginids[1]),
        *("--scopes", "trading_information", "--name", "Pasted"),
    )
    page.locator("#connect summary").click()
    page.get_by_label("API token").check()
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#connect-who")).to_contain_text("signed in with a token")
    expect(page.locator("#connect-state")).to_have_text("connected")
    send(page, balance=1)
    expect(page.locator("#answer")).to_contain_text(gateway.loginids[1])
    choose(page, "get_limits")
    send(page, get_limits=1)
    expect(page.locator("#call")).to_contain_text("Permission denied, requires read scope.")
    assert token not in page.content()
    assert token not in page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")


@pytest.mark.lengthy
def test_the_code_shown_is_what_a_reader_can_use(browse: Browse, page: Page) -> None:
    choose(page, "ticks")
    send(page, ticks="1HZ100V", subscribe=1)
    page.get_by_role("tab", name="Code").click()
    code = page.get_by_role("tabpanel", name="Code").locator("pre").inner_text()
    elsewhere = browse()
    elsewhere.goto("/")
    with elsewhere.expect_console_message(lambda line: "msg_type: tick" in line.text):
        elsewhere.evaluate(f"() => {{ {code} }}")


@pytest.mark.lengthy
def test_signing_out_takes_along_what_was_told(page: Page) -> None:
    page.goto("/explorer")
    sign_in_as_demo(page)
    choose(page, "balance")
    send(page, balance=1)
    expect(page.locator("#answer")).to_contain_text("loginid")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#connect-who")).to_contain_text("not signed in")
    expect(page.locator("#answer")).not_to_contain_text("loginid")
    expect(page.get_by_role("log")).not_to_contain_text("loginid")


@pytest.mark.lengthy
def test_an_app_that_does_not_exist_is_said(page: Page) -> None:
    choose(page, "ticks")
    page.locator("#connect summary").click()
    page.get_by_label("App ID", exact=True).fill("424242")
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#connect-state")).to_contain_text("app not found")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#answer-summary")).to_have_text(
        "Not connected: app not found. Enter another app ID above and connect."
    )


@pytest.mark.lengthy
def test_an_address_that_names_no_call_shows_the_first(page: Page) -> None:
    page.goto("/explorer#%")
    expect(page.get_by_role("heading", name="ticks", exact=True)).to_be_visible()


@pytest.mark.lengthy
def test_replies_errors_and_an_example_are_documented(page: Page) -> None:
    choose(page, "buy")
    page.get_by_role("tab", name="Reply fields").click()
    row = page.get_by_role("row").filter(has_text="buy.balance_after")
    expect(row).to_contain_text("The balance of the account after the purchase")
    page.get_by_role("tab", name="Errors").click()
    expect(page.get_by_role("row").filter(has_text="PriceMoved")).to_be_visible()
    page.get_by_role("tab", name="Example reply").click()
    example = page.get_by_role("tabpanel", name="Example reply").locator("pre")
    assert json.loads(example.inner_text())["buy"]["contract_id"] == 1
    expect(example.locator(".json-key").first).to_have_text('"echo_req"')


@pytest.mark.lengthy
def test_long_enumerations_are_collapsed_and_descriptions_have_room(page: Page) -> None:
    choose(page, "proposal")
    row = page.get_by_role("row").filter(has=page.get_by_text("contract_type", exact=True))
    expect(row.get_by_text('"TURBOSLONG"')).to_be_hidden()
    row.get_by_text(re.compile("^[0-9]+ more$")).click()
    expect(row.get_by_text('"TURBOSLONG"')).to_be_visible()
    table = page.get_by_role("table", name="Request fields").bounding_box()
    cell = row.get_by_role("cell").nth(2).bounding_box()
    assert table is not None
    assert cell is not None
    assert cell["width"] > 0.4 * table["width"]
