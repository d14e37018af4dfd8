"""The published Python client's own first example bot trades against the gateway unchanged.

Its steps (sign in, price, buy, follow, sell back or wait, profit table, statement) run in
`.venv-deriv-client` as a program of its own, `deriv_client_bot.py`; here is what it saw.
"""

from decimal import Decimal
from typing import Any

import pytest

from tests.clients.conftest import Run
from tests.served import Served


@pytest.fixture(scope="module")
def seen(gateway: Served, run_client: Run) -> dict[str, Any]:
    """What the bot was shown."""
    found: dict[str, Any] = run_client("deriv_client_bot.py", {"TOKEN": gateway.token})
    return found


def contracts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        message["proposal_open_contract"]
        for message in messages
        if "proposal_open_contract" in message
    ]


def test_the_client_never_complains(seen: dict[str, Any]) -> None:
    assert seen["complaints"] == []


def test_it_looks_around_and_signs_in(seen: dict[str, Any], gateway: Served) -> None:
    assert seen["ping"]["ping"] == "pong"
    assert seen["authorize"]["authorize"]["loginid"] == gateway.loginids[0]
    assert seen["balance_before"]["balance"]["balance"] == 10_000
    assert seen["cached_symbols"] == seen["active_symbols"]
    listed = {asset[0] for asset in seen["asset_index"]["asset_index"]}
    assert listed == {symbol["symbol"] for symbol in seen["active_symbols"]["active_symbols"]}


def test_a_proposal_is_bought_at_its_price(seen: dict[str, Any]) -> None:
    proposal, bought = seen["proposal"]["proposal"], seen["buy"]["buy"]
    assert proposal["payout"] == bought["payout"] == 100
    assert 0 < bought["buy_price"] <= proposal["ask_price"] < 100
    assert bought["balance_after"] == 10_000 - bought["buy_price"]
    assert bought["shortcode"].startswith("CALL_R_100_100_")
    assert bought["shortcode"].endswith("_S10P_0")
    shown = seen["open"]["proposal_open_contract"]
    assert shown["contract_id"] == bought["contract_id"]
    assert shown["buy_price"] == bought["buy_price"]
    assert shown["status"] == "open"
    assert shown["is_sold"] == 0


def test_a_subscribed_proposal_is_told_with_every_tick_until_it_is_bought(
    seen: dict[str, Any],
) -> None:
    told = seen["prices"]
    assert len(told) >= 3
    ids = {message["proposal"]["id"] for message in told}
    assert ids == {message["subscription"]["id"] for message in told}
    assert len(ids) == 1
    spots = [message["proposal"]["spot_time"] for message in told]
    assert spots == list(range(spots[0], spots[0] + len(spots)))
    assert {message["proposal"]["ask_price"] for message in told} == {20}
    assert seen["second_buy"]["buy"]["buy_price"] == 20
    # It ended with its buying: no price came after the reply.
    assert len(told) == seen["prices_until_bought"]


def test_an_open_contract_is_followed_until_it_has_expired(seen: dict[str, Any]) -> None:
    messages = seen["to_the_end"]
    *before, last = messages
    assert len({message["subscription"]["id"] for message in before}) == 1
    assert "subscription" not in last
    *still_open, ended = contracts(messages)
    assert {contract["status"] for contract in still_open} == {"open"}
    spots = [contract["current_spot_time"] for contract in still_open]
    assert spots == list(range(spots[0], spots[0] + 2 * len(spots), 2))
    bought = seen["buy"]["buy"]
    assert ended["contract_id"] == bought["contract_id"]
    assert ended["date_expiry"] - ended["date_start"] == 60
    assert ended["exit_tick_time"] == ended["date_expiry"] - ended["date_expiry"] % 2
    # The client can settle it from what it was shown.
    barrier = ended["entry_tick"] + Decimal("0.10")
    is_won = ended["exit_tick"] > barrier
    assert Decimal(ended["barrier"]) == barrier
    assert ended["status"] == ("won" if is_won else "lost")
    assert ended["sell_price"] == (100 if is_won else 0)
    assert ended["profit"] == ended["sell_price"] - bought["buy_price"]


def test_a_contract_is_sold_back_before_its_end(seen: dict[str, Any]) -> None:
    bought, sold = seen["second_buy"]["buy"], seen["sell"]["sell"]
    assert sold["contract_id"] == bought["contract_id"]
    assert sold["reference_id"] == bought["transaction_id"]
    assert 0 < sold["sold_for"] < bought["payout"]
    *before, last = seen["until_sold"]
    assert len({message["subscription"]["id"] for message in before}) == 1
    assert "subscription" not in last
    ended = last["proposal_open_contract"]
    assert ended["status"] == "sold"
    assert ended["sell_price"] == sold["sold_for"]
    assert ended["sell_time"] < ended["date_expiry"] - 15
    assert ended["transaction_ids"] == {
        "buy": bought["transaction_id"],
        "sell": sold["transaction_id"],
    }


def test_a_buy_with_subscribe_tells_what_becomes_of_it(seen: dict[str, Any]) -> None:
    first, *messages = seen["at_once"]
    assert first["buy"]["buy_price"] == 10
    assert [message["msg_type"] for message in messages] == ["proposal_open_contract"] * len(
        messages
    )
    ids = {message["subscription"]["id"] for message in [first, *messages[:-1]]}
    assert len(ids) == 1
    assert "subscription" not in messages[-1]
    ended = messages[-1]["proposal_open_contract"]
    assert ended["contract_id"] == first["buy"]["contract_id"]
    assert ended["status"] in ("won", "lost")
    ticks = ended["audit_details"]["all_ticks"]
    assert [tick["epoch"] - ended["entry_tick_time"] for tick in ticks] == list(range(6))
    is_won = ticks[-1]["tick"] > ticks[0]["tick"]
    assert ended["status"] == ("won" if is_won else "lost")


def test_the_lists_tell_the_same_story(seen: dict[str, Any]) -> None:
    bought = [seen[name]["buy"] for name in ("buy", "second_buy")] + [seen["at_once"][0]["buy"]]
    ended = {
        contract["contract_id"]: contract
        for name in ("to_the_end", "until_sold", "at_once")
        for contract in contracts(seen[name])[-1:]
    }
    table = seen["profit_table"]["profit_table"]
    assert table["count"] == 3
    sales = [row["sell_time"] for row in table["transactions"]]
    assert sales == sorted(sales)
    rows = {row["contract_id"]: row for row in table["transactions"]}
    assert rows.keys() == ended.keys() == {receipt["contract_id"] for receipt in bought}
    for receipt in bought:
        row = rows[receipt["contract_id"]]
        assert row["buy_price"] == receipt["buy_price"]
        assert row["sell_price"] == ended[receipt["contract_id"]]["sell_price"]
        assert row["transaction_id"] == receipt["transaction_id"]
        assert row["shortcode"] == receipt["shortcode"]
        assert row["longcode"] == receipt["longcode"]
    assert seen["portfolio"]["portfolio"]["contracts"] == []


def test_the_statement_adds_up_to_the_balance(seen: dict[str, Any]) -> None:
    entries = seen["statement"]["statement"]["transactions"]
    assert seen["statement"]["statement"]["count"] == 7
    assert [entry["action_type"] for entry in entries].count("buy") == 3
    assert [entry["action_type"] for entry in entries].count("sell") == 3
    oldest_first = entries[::-1]
    balance = Decimal(0)
    for entry in oldest_first:
        balance += entry["amount"]
        assert entry["balance_after"] == balance
    assert balance == seen["balance_after"]["balance"]["balance"]
    profits = [
        contracts(seen[name])[-1]["profit"] for name in ("to_the_end", "until_sold", "at_once")
    ]
    assert balance == 10_000 + sum(profits)
    by_id = {entry["transaction_id"]: entry for entry in entries}
    sold = by_id[seen["sell"]["sell"]["transaction_id"]]
    assert sold["amount"] == seen["sell"]["sell"]["sold_for"]
    assert sold["reference_id"] == seen["second_buy"]["buy"]["transaction_id"]
    assert by_id[seen["buy"]["buy"]["transaction_id"]]["amount"] == -seen["buy"]["buy"]["buy_price"]
    assert seen["statement_beyond"]["statement"] == {"count": 0, "transactions": []}
