"""A trader's stories: price, buy, follow, sell, settle, and find the same story everywhere."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from scopegate.testing import Client, World
from tests.conftest import Connected

RISE: dict[str, Any] = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "t",
    "symbol": "1HZ100V",
}
MINUTES = {**RISE, "duration": 5, "duration_unit": "m"}
UP: dict[str, Any] = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "MULTUP",
    "currency": "USD",
    "multiplier": 100,
    "symbol": "1HZ100V",
}


async def trader(world: World, *scopes: str) -> Client:
    client = world.connect()
    await client.authorize(await world.token(*scopes))
    return client


async def buy(client: Client, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What `buy` answers to these parameters at any price."""
    return await client.ask({"buy": 1, "price": 10_000, "parameters": parameters, **more})


async def bought(client: Client, parameters: dict[str, Any]) -> int:
    reply = await buy(client, parameters)
    assert "error" not in reply, reply["error"]
    number: int = reply["buy"]["contract_id"]
    return number


async def standing(client: Client, number: int) -> dict[str, Any]:
    reply = await client.ask({"proposal_open_contract": 1, "contract_id": number})
    body: dict[str, Any] = reply["proposal_open_contract"]
    return body


async def closing(client: Client, number: int) -> dict[str, Any]:
    """The message that tells of the end of a contract; what came before is dropped."""
    while True:
        body = (await client.next()).get("proposal_open_contract", {})
        if body.get("contract_id") == number and body["is_sold"]:
            return body


async def test_a_contract_is_priced_bought_followed_and_settled(connected: Connected) -> None:
    world, client = connected.world, await connected.connect()
    await client.authorize(await world.token())
    quoted = await client.ask({"proposal": 1, **RISE, "subscribe": 1})
    proposal = quoted["proposal"]
    assert proposal["id"] == quoted["subscription"]["id"]
    assert proposal["ask_price"] == 10.0
    assert 19.4 < proposal["payout"] < 19.7

    world.clock.advance(1)
    again = await client.next()
    assert again["proposal"]["id"] == proposal["id"]
    assert again["proposal"]["spot_time"] == proposal["spot_time"] + 1
    assert again["req_id"] == quoted["req_id"]

    reply = await client.ask({"buy": proposal["id"], "price": 10, "subscribe": 1})
    receipt = reply["buy"]
    assert receipt["buy_price"] == 10.0
    assert receipt["balance_after"] == 9990.0
    assert receipt["shortcode"].startswith("CALL_1HZ100V_19.")
    assert receipt["payout"] == again["proposal"]["payout"]
    # Buying ends the proposal's stream.
    assert (await client.ask({"forget": proposal["id"]}))["forget"] == 0

    stream = reply["subscription"]["id"]
    world.clock.advance(6)
    told = [await client.next() for _ in range(6)]
    bodies = [message["proposal_open_contract"] for message in told]
    assert [body["status"] for body in bodies[:5]] == ["open"] * 5
    assert all(message["subscription"]["id"] == stream for message in told[:5])
    assert all(body["id"] == stream for body in bodies[:5])
    assert [len(body["tick_stream"]) for body in bodies[:5]] == [1, 2, 3, 4, 5]
    assert "subscription" not in told[5]
    end = bodies[5]
    entry, exit_tick = end["entry_tick"], end["exit_tick"]
    assert end["exit_tick_time"] == end["entry_tick_time"] + 5 == receipt["start_time"] + 6
    assert end["status"] == ("won" if exit_tick > entry else "lost")
    paid = receipt["payout"] if end["status"] == "won" else 0.0
    assert end["sell_price"] == paid
    assert end["profit"] == pytest.approx(paid - 10)

    balance = (await client.ask({"balance": 1}))["balance"]["balance"]
    assert balance == pytest.approx(9990 + paid)
    [row] = (await client.ask({"profit_table": 1}))["profit_table"]["transactions"]
    assert (row["buy_price"], row["sell_price"]) == (10.0, paid)
    assert row["transaction_id"] == receipt["transaction_id"]
    entries = (await client.ask({"statement": 1}))["statement"]["transactions"]
    assert [e["action_type"] for e in entries] == ["sell", "buy", "virtual_credit"]
    assert [e["amount"] for e in entries[:2]] == [paid, -10.0]
    assert entries[0]["reference_id"] == receipt["transaction_id"]
    assert entries[0]["contract_id"] == entries[1]["contract_id"] == receipt["contract_id"]
    assert (await client.ask({"portfolio": 1}))["portfolio"]["contracts"] == []
    # Nothing is told of it after its end.
    world.clock.advance(3)
    await client.ask({"ping": 1})
    assert client.received == []


async def test_what_streams_tell_is_one_story(world: World) -> None:
    client = await trader(world)
    for call in ("balance", "transaction", "proposal_open_contract"):
        await client.ask({call: 1, "subscribe": 1})
    receipt = (await buy(client, {**RISE, "contract_type": "DIGITEVEN", "duration": 1}))["buy"]
    told = [await client.next() for _ in range(3)]
    # All contracts are told on one stream, new ones when they are bought.
    assert [message["msg_type"] for message in told] == [
        "proposal_open_contract",
        "balance",
        "transaction",
    ]
    assert told[0]["proposal_open_contract"]["contract_id"] == receipt["contract_id"]
    assert told[1]["balance"]["balance"] == 9990.0
    assert told[2]["transaction"]["transaction_id"] == receipt["transaction_id"]
    assert told[2]["transaction"]["longcode"] == receipt["longcode"]
    world.clock.advance(1)
    told = [await client.next() for _ in range(3)]
    assert [message["msg_type"] for message in told] == [
        "balance",
        "transaction",
        "proposal_open_contract",
    ]
    sale, end = told[1]["transaction"], told[2]["proposal_open_contract"]
    assert sale["action"] == "sell"
    assert sale["amount"] == end["sell_price"]
    assert sale["balance"] == told[0]["balance"]["balance"]
    assert sale["purchase_time"] == receipt["purchase_time"]
    assert end["transaction_ids"] == {
        "buy": receipt["transaction_id"],
        "sell": sale["transaction_id"],
    }
    assert "subscription" not in told[2]


async def test_a_stream_without_open_contracts_has_an_id(world: World) -> None:
    client = await trader(world, "read")
    first = await client.ask({"proposal_open_contract": 1, "subscribe": 1})
    assert first["proposal_open_contract"] == {"id": first["subscription"]["id"]}
    assert await client.refused({"proposal_open_contract": 1, "subscribe": 1}) == (
        "AlreadySubscribed"
    )


async def test_all_open_contracts_are_told_at_once(world: World) -> None:
    client = await trader(world)
    numbers = [await bought(client, MINUTES) for _ in range(3)]
    first = await client.ask({"proposal_open_contract": 1, "subscribe": 1})
    more = [await client.next() for _ in range(2)]
    told = [message["proposal_open_contract"]["contract_id"] for message in (first, *more)]
    assert told == numbers
    assert {message["subscription"]["id"] for message in more} == {first["subscription"]["id"]}
    assert {message["req_id"] for message in more} == {first["req_id"]}


async def test_open_contracts_are_told_once_without_a_stream(world: World) -> None:
    client = await trader(world)
    assert (await client.ask({"proposal_open_contract": 1}))["proposal_open_contract"] == {}
    numbers = [await bought(client, MINUTES) for _ in range(3)]
    first = await client.ask({"proposal_open_contract": 1})
    told = [first, await client.next(), await client.next()]
    assert [message["proposal_open_contract"]["contract_id"] for message in told] == numbers
    assert all("subscription" not in message for message in told)
    world.clock.advance(2)
    await client.ask({"ping": 1})
    assert client.received == []


async def test_a_contract_is_sold_back(world: World) -> None:
    client = await trader(world)
    reply = await buy(client, MINUTES, subscribe=1)
    number = reply["buy"]["contract_id"]
    assert await client.refused({"sell": number, "price": 0}) == "InvalidSellContractProposal"
    world.clock.advance(10)
    body = await standing(client, number)
    assert body["is_valid_to_sell"] == 1
    assert await client.refused({"sell": number, "price": 5000}) == "PriceMoved"
    sold = (await client.ask({"sell": number, "price": body["bid_price"]}))["sell"]
    assert sold["sold_for"] == body["bid_price"]
    assert sold["reference_id"] == reply["buy"]["transaction_id"]
    assert sold["balance_after"] == pytest.approx(9990 + sold["sold_for"])
    end = await closing(client, number)
    assert end["status"] == "sold"
    assert end["sell_price"] == sold["sold_for"]
    assert await client.refused({"sell": number, "price": 0}) == "NoOpenPosition"
    assert await client.refused({"sell": 4711, "price": 0}) == "ContractNotFound"
    # It ends once: the tick that would have decided it pays nothing more.
    world.clock.advance(400)
    assert (await client.ask({"sell_expired": 1}))["sell_expired"]["count"] == 0
    assert (await client.ask({"balance": 1}))["balance"]["balance"] == sold["balance_after"]


async def test_a_contract_is_not_bought_back_in_its_last_seconds(world: World) -> None:
    client = await trader(world)
    number = await bought(client, MINUTES)
    world.clock.advance(285)
    assert await client.refused({"sell": number, "price": 0}) == "InvalidSellContractProposal"
    assert (await standing(client, number))["is_valid_to_sell"] == 0
    ticks = await bought(client, RISE)
    world.clock.advance(2)
    assert await client.refused({"sell": ticks, "price": 0}) == "InvalidSellContractProposal"


async def test_a_proposal_is_bought_on_its_own_connection_and_for_a_while(world: World) -> None:
    client, other = await trader(world), await trader(world)
    quoted = (await client.ask({"proposal": 1, **RISE}))["proposal"]
    request = {"buy": quoted["id"], "price": 10}
    assert await other.refused(request) == "InvalidContractProposal"
    assert await client.refused({**request, "buy": "x" * 32}) == "InvalidContractProposal"
    assert "buy" in await client.ask(request)
    assert await client.refused(request) == "InvalidContractProposal"  # it is bought
    assert await client.refused({"buy": 1, "price": 10}) == "InputValidationFailed"


async def test_the_price_is_checked_against_the_market(world: World) -> None:
    client = await trader(world)
    world.clock.advance(0)
    spot = (await client.ask({"ticks": "1HZ100V", "subscribe": 0}))["tick"]["quote"]
    near = {**MINUTES, "barrier": f"{spot:.2f}", "duration": 2, "basis": "payout", "amount": 100}
    quoted = (await client.ask({"proposal": 1, **near}))["proposal"]
    refused = await client.ask({"buy": quoted["id"], "price": quoted["ask_price"] - 1})
    assert refused["error"]["code"] == "PriceMoved"
    # The market moves until the offer costs much more than it was offered for.
    for _ in range(500):
        world.clock.advance(1)
        now = (await client.ask({"proposal": 1, **near}))["proposal"]["ask_price"]
        if now > quoted["ask_price"] + 2:
            break
    assert now > quoted["ask_price"] + 2
    moved = await client.ask({"buy": quoted["id"], "price": 100})
    assert moved["error"]["code"] == "PriceMoved"
    assert f"{now:.2f}" in moved["error"]["message"]


async def test_a_retried_purchase_is_the_same_contract(world: World) -> None:
    client = await trader(world)
    key = {"passthrough": {"idempotency_key": "my-17", "mine": 1}}
    first = await buy(client, RISE, **key)
    again = await buy(await trader(world), RISE, **key)
    assert again["buy"] == first["buy"]
    assert again["passthrough"] == key["passthrough"]
    assert len((await client.ask({"portfolio": 1}))["portfolio"]["contracts"]) == 1
    other = await buy(client, RISE, passthrough={"idempotency_key": "my-18"})
    assert other["buy"]["contract_id"] != first["buy"]["contract_id"]
    # Another account's keys are its own.
    stranger = world.connect()
    await stranger.authorize(await world.token(loginid=world.real[0].loginid))
    theirs = await buy(stranger, RISE, **key)
    assert theirs["buy"]["contract_id"] != first["buy"]["contract_id"]
    for wrong in (5, "", "a b", "x" * 65):
        refused = await buy(client, RISE, passthrough={"idempotency_key": wrong})
        assert refused["error"]["code"] == "InputValidationFailed"


async def test_a_key_of_another_purchase_or_app_buys_nothing(world: World) -> None:
    key = {"passthrough": {"idempotency_key": "order-1"}}
    mine, other = await world.app("trade"), await world.app("trade")
    clients = []
    for app in (mine, mine, other):
        clients.append(world.connect(app_id=app.id))
        await clients[-1].authorize(await world.token(app=app))
    first = await buy(clients[0], RISE, **key)
    assert (await buy(clients[1], RISE, **key))["buy"] == first["buy"]
    for client, changed in (
        (clients[1], {"contract_type": "PUT"}),
        (clients[1], {"symbol": "R_50"}),
        (clients[1], {"amount": 20}),
        (clients[1], {"duration": 6}),
        (clients[2], {}),
    ):
        refused = await buy(client, RISE | changed, **key)
        assert refused["error"]["code"] == "IdempotencyKeyReused"
    owner = await trader(world)
    assert (await buy(owner, RISE, **key))["buy"] == first["buy"]
    assert len((await owner.ask({"portfolio": 1}))["portfolio"]["contracts"]) == 1


@pytest.mark.parametrize(
    ("parameters", "changed"),
    [
        (MINUTES, {"amount": 10.5}),
        (MINUTES, {"basis": "payout"}),
        (MINUTES, {"duration": 6}),
        (MINUTES, {"duration_unit": "h"}),
        (MINUTES, {"barrier": "+0.1"}),
        (MINUTES | {"barrier": "+0.1"}, {"barrier": "+0.2"}),
        (UP, {"multiplier": 200}),
        (UP, {"limit_order": {"take_profit": 5}}),
        (UP | {"limit_order": {"take_profit": 5}}, {"limit_order": {"take_profit": 6}}),
        (UP, {"cancellation": "5m"}),
    ],
)
async def test_other_terms_under_the_key_of_a_purchase_buy_nothing(
    world: World, parameters: dict[str, Any], changed: dict[str, Any]
) -> None:
    client = await trader(world)
    key = {"passthrough": {"idempotency_key": "order-1"}}
    first = await buy(client, parameters, **key)
    refused = await buy(await trader(world), {**parameters, **changed}, **key)
    assert refused["error"]["code"] == "IdempotencyKeyReused"
    # By a proposal, too, and before anything else is found wrong with the request.
    quoted = await client.ask({"proposal": 1, **parameters, **changed})
    request = {"buy": quoted["proposal"]["id"], "price": 0, **key}
    assert await client.refused(request) == "IdempotencyKeyReused"
    assert (await buy(client, parameters, **key))["buy"] == first["buy"]
    # What was refused can be bought under a key of its own.
    own = {"passthrough": {"idempotency_key": "order-2"}}
    assert "error" not in await client.ask({**request, "price": 100, **own})
    assert len((await client.ask({"portfolio": 1}))["portfolio"]["contracts"]) == 2


async def test_a_retry_may_differ_in_what_is_not_the_purchase(world: World) -> None:
    client = await trader(world)
    first = await buy(client, UP, passthrough={"idempotency_key": "order-1"}, req_id=1)
    for request in (
        {"price": 10_000.0, "parameters": UP},
        {"price": 9_000, "parameters": {**UP, "amount": 10.0, "multiplier": "100"}},
        {"price": 10, "parameters": {**dict(reversed(UP.items())), "limit_order": {}}},
        {"price": 10, "parameters": UP, "subscribe": 1},
    ):
        again = await (await trader(world)).ask(
            {"buy": "1", **request, "passthrough": {"idempotency_key": "order-1", "try": 2}}
        )
        assert again["buy"] == first["buy"]
    assert len((await client.ask({"portfolio": 1}))["portfolio"]["contracts"]) == 1


async def test_a_purchase_of_a_proposal_is_retried_on_any_connection(world: World) -> None:
    client, other = await trader(world), await trader(world)
    quoted = (await client.ask({"proposal": 1, **MINUTES}))["proposal"]
    unbought = (await client.ask({"proposal": 1, **MINUTES, "amount": 20}))["proposal"]
    request = {
        "buy": quoted["id"],
        "price": 10,
        "passthrough": {"idempotency_key": "order-1"},
    }
    first = await client.ask(request)
    # On its connection it was bought, and others never knew it.
    assert (await client.ask(request))["buy"] == first["buy"]
    assert (await other.ask(request))["buy"] == first["buy"]
    # So can a client that has lost its connection, and asks for the price anew.
    world.clock.advance(30)
    anew = (await other.ask({"proposal": 1, **MINUTES}))["proposal"]
    assert (await other.ask({**request, "buy": anew["id"], "price": 11}))["buy"] == first["buy"]
    assert (await other.ask({**request, "buy": 1, "parameters": MINUTES}))["buy"] == first["buy"]
    # Another proposal is another request, also where nobody knows what it was for.
    for trying in (client, other):
        changed = {**request, "buy": unbought["id"]}
        assert await trying.refused(changed) == "IdempotencyKeyReused"
    assert len((await client.ask({"portfolio": 1}))["portfolio"]["contracts"]) == 1


async def test_a_key_of_an_earlier_release_names_type_symbol_and_app(world: World) -> None:
    """Releases before stored nothing of what was requested."""
    client = await trader(world)
    key = {"passthrough": {"idempotency_key": "order-1"}}
    first = await buy(client, RISE, **key)
    await world.gateway.store.write(
        lambda done: done.execute("UPDATE contracts SET request_digest = NULL, proposal_id = NULL")
    )
    assert (await buy(client, {**RISE, "amount": 20}, **key))["buy"] == first["buy"]
    quoted = (await client.ask({"proposal": 1, **RISE, "amount": 20}))["proposal"]
    assert (await client.ask({"buy": quoted["id"], "price": 20, **key}))["buy"] == first["buy"]
    refused = await buy(client, {**RISE, "symbol": "R_50"}, **key)
    assert refused["error"]["code"] == "IdempotencyKeyReused"


async def test_nobody_buys_for_more_than_they_have(world: World) -> None:
    client = await trader(world)
    await world.credit(-999_000)
    reply = await buy(client, {**RISE, "amount": 10.01})
    assert reply["error"]["code"] == "InsufficientBalance"
    assert "10.00" in reply["error"]["message"]
    assert "buy" in await buy(client, RISE)
    assert (await client.ask({"balance": 1}))["balance"]["balance"] == 0.0


async def test_an_account_buys_in_its_own_currency(world: World) -> None:
    client = await trader(world)
    reply = await buy(client, {**RISE, "currency": "EUR"})
    assert reply["error"]["code"] == "ContractBuyValidationError"


async def test_an_account_has_so_many_open_contracts(world: World) -> None:
    client = await trader(world)
    for _ in range(100):
        await bought(client, {**MINUTES, "amount": 1})
    reply = await buy(client, MINUTES)
    assert reply["error"]["code"] == "OpenPositionLimitExceeded"


async def test_scopes_decide_who_trades_and_who_looks(world: World) -> None:
    number = await bought(await trader(world, "trade"), MINUTES)
    looker = await trader(world, "trading_information")
    assert (await standing(looker, number))["status"] == "open"
    assert await looker.refused({"sell": number, "price": 0}) == "PermissionDenied"
    seller = await trader(world, "trade")
    assert await seller.refused({"portfolio": 1}) == "PermissionDenied"
    stranger = world.connect()
    await stranger.authorize(await world.token(loginid=world.real[0].loginid))
    assert await stranger.refused({"sell": number, "price": 0}) == "ContractNotFound"
    assert await stranger.refused({"proposal_open_contract": 1, "contract_id": number}) == (
        "ContractNotFound"
    )


async def test_a_multiplier_takes_its_profit_or_is_stopped(world: World) -> None:
    client = await trader(world)
    terms = {**UP, "multiplier": 400, "limit_order": {"take_profit": 5, "stop_loss": 6}}
    numbers = [await bought(client, {**terms, "contract_type": c}) for c in ("MULTUP", "MULTDOWN")]
    await client.ask({"proposal_open_contract": 1, "subscribe": 1})
    world.clock.advance(7_200)
    ends = {body["status"]: body for body in [await closing(client, n) for n in numbers]}
    assert ends.keys() == {"won", "lost"}  # what one gained the other lost
    won, lost = ends["won"], ends["lost"]
    assert won["profit"] >= 5  # the tick that reaches an order may go beyond it
    assert lost["profit"] <= -6
    for body, order in ((won, "take_profit"), (lost, "stop_loss")):
        beyond = body["exit_tick"] - float(body["limit_order"][order]["value"])
        gains = (body["contract_type"] == "MULTUP") == (order == "take_profit")
        assert beyond >= -0.01 if gains else beyond <= 0.01


async def test_orders_are_changed_and_listed(world: World) -> None:
    client = await trader(world)
    number = await bought(client, {**UP, "limit_order": {"take_profit": 50}})
    world.clock.advance(5)
    request = {"contract_update": 1, "contract_id": number}
    changed = (await client.ask({**request, "limit_order": {"stop_loss": 3}}))["contract_update"]
    assert changed["take_profit"]["order_amount"] == 50.0
    assert changed["stop_loss"]["order_amount"] == -3.0
    world.clock.advance(5)
    changed = (await client.ask({**request, "limit_order": {"take_profit": None}}))[
        "contract_update"
    ]
    assert changed["take_profit"]["order_amount"] is None
    assert changed["stop_loss"]["order_amount"] == -3.0
    shown = (await standing(client, number))["limit_order"]
    assert "take_profit" not in shown
    assert float(shown["stop_out"]["value"]) < float(shown["stop_loss"]["value"])
    history = (await client.ask({"contract_update_history": 1, "contract_id": number}))[
        "contract_update_history"
    ]
    assert [(order["order_type"], order["order_amount"]) for order in history] == [
        ("take_profit", "0.00"),
        ("stop_loss", "3.00"),
        ("take_profit", "50.00"),
    ]
    all_of_it = (await client.ask({**request, "limit_order": {"stop_loss": 10}}))["contract_update"]
    assert all_of_it["stop_loss"]["order_amount"] == -10.0
    too_much = await client.ask({**request, "limit_order": {"stop_loss": 10.01}})
    assert too_much["error"]["code"] == "ContractBuyValidationError"
    assert too_much["error"]["message"] == "Enter an amount equal to or lower than 10.00."
    assert too_much["error"]["details"]["field"] == "stop_loss"
    assert await client.refused({**request, "limit_order": {}}) == "InputValidationFailed"
    option = await bought(client, MINUTES)
    assert await client.refused(
        {"contract_update": 1, "contract_id": option, "limit_order": {"stop_loss": 1}}
    ) == ("ContractUpdateNotAllowed")


async def test_an_order_that_is_met_already_is_refused(world: World) -> None:
    client = await trader(world)
    terms = {**UP, "multiplier": 400}
    up, down = [await bought(client, {**terms, "contract_type": c}) for c in ("MULTUP", "MULTDOWN")]
    for _ in range(600):
        world.clock.advance(1)
        profits = {number: (await standing(client, number))["profit"] for number in (up, down)}
        if min(profits.values()) < -2 and max(profits.values()) > 0.5:
            break
    gains, loses = sorted(profits, key=lambda number: -profits[number])
    for number, order in ((gains, {"take_profit": 0.5}), (loses, {"stop_loss": 2})):
        request = {"contract_update": 1, "contract_id": number, "limit_order": order}
        reply = await client.ask(request)
        assert reply["error"]["code"] == "ContractUpdateFailure"
        assert f"{profits[number]:.2f}" in reply["error"]["message"]
        [field] = order
        assert reply["error"]["details"].keys() == {field, "field"}
        assert reply["error"]["details"]["field"] == field


async def test_a_deal_is_cancelled_while_it_may_be(world: World) -> None:
    client = await trader(world)
    dear = await bought(client, {**UP, "cancellation": "5m"})
    cheap = await bought(client, UP)
    world.clock.advance(10)
    body = await standing(client, dear)
    assert body["is_valid_to_cancel"] == 1
    assert body["cancellation"]["ask_price"] == pytest.approx(body["buy_price"] - 10)
    assert (await standing(client, cheap))["is_valid_to_cancel"] == 0
    assert await client.refused({"cancel": cheap}) == "InvalidSellContractProposal"
    cancelled = (await client.ask({"cancel": dear}))["cancel"]
    assert cancelled["sold_for"] == 10.0
    assert (await standing(client, dear))["status"] == "cancelled"
    late = await bought(client, {**UP, "cancellation": "5m", "multiplier": 40})
    world.clock.advance(301)
    assert await client.refused({"cancel": late}) == "InvalidSellContractProposal"


async def test_several_accounts_buy_and_sell_at_once(world: World) -> None:
    client = await trader(world)
    tokens = [await world.token("trade", loginid=account.loginid) for account in world.real]
    looking = await world.token("read", loginid=world.real[0].loginid)
    reply = await client.ask(
        {
            "buy_contract_for_multiple_accounts": 1,
            "price": 10,
            "parameters": MINUTES,
            "tokens": [tokens[0], "nonsense", looking, tokens[1]],
        }
    )
    results = reply["buy_contract_for_multiple_accounts"]["result"]
    assert [result.get("code") for result in results] == [
        None,
        "InvalidToken",
        "PermissionDenied",
        None,
    ]
    assert reply["echo_req"]["tokens"] == "<not shown>"
    assert not any(token in str(reply) for token in tokens)
    assert [result["token"][-4:] for result in results[::3]] == [token[-4:] for token in tokens]
    world.clock.advance(3)
    reply = await client.ask(
        {
            "sell_contract_for_multiple_accounts": 1,
            "price": 0,
            "shortcode": results[0]["shortcode"],
            "tokens": tokens,
        }
    )
    sold = reply["sell_contract_for_multiple_accounts"]["result"]
    assert [result["contract_id"] for result in sold] == [
        result["contract_id"] for result in results[::3]
    ]
    again = await client.ask(reply["echo_req"] | {"tokens": tokens, "req_id": 99})
    assert {
        result["code"] for result in again["sell_contract_for_multiple_accounts"]["result"]
    } == {"NoOpenPosition"}


async def test_a_summary_since_signing_in(world: World) -> None:
    client = await trader(world)
    await bought(client, MINUTES)
    world.clock.advance(10)
    newcomer = await trader(world)
    await bought(newcomer, RISE)
    world.clock.advance(7)
    await client.ask({"sell_expired": 1})
    body = (await newcomer.ask({"reality_check": 1}))["reality_check"]
    assert (body["buy_count"], body["buy_amount"], body["sell_count"]) == (1, 10.0, 1)
    assert body["open_contract_count"] == 1
    body = (await client.ask({"reality_check": 1}))["reality_check"]
    assert (body["buy_count"], body["buy_amount"], body["sell_count"]) == (2, 20.0, 1)


async def test_proposal_streams_are_limited_and_share_their_price(world: World) -> None:
    client, other = world.connect(), world.connect()
    first = await client.ask({"proposal": 1, **RISE, "subscribe": 1})
    second = await other.ask({"proposal": 1, **RISE, "subscribe": 1})
    assert await client.refused({"proposal": 1, **RISE, "subscribe": 1}) == "AlreadySubscribed"
    world.clock.advance(1)
    told = [(await one.next())["proposal"] for one in (client, other)]
    assert [body.pop("id") for body in told] == [
        first["proposal"]["id"],
        second["proposal"]["id"],
    ]
    assert told[0] == told[1]
    assert (await client.ask({"forget_all": "proposal"}))["forget_all"] == [first["proposal"]["id"]]


async def test_a_proposal_that_can_not_go_on_ends_with_its_reason(world: World) -> None:
    client = world.connect()
    ending = {**RISE, "date_expiry": int(world.clock.now()) + 20}
    del ending["duration"], ending["duration_unit"]
    first = await client.ask({"proposal": 1, **ending, "subscribe": 1})
    world.clock.advance(10)
    told = client.received
    assert [("error" in message) for message in told] == [False] * 5 + [True]
    assert told[-1]["error"]["code"] == "OfferingsValidationError"
    assert told[-1]["subscription"] == first["subscription"]
    assert (await client.ask({"forget": first["subscription"]["id"]}))["forget"] == 0


async def test_a_revoked_token_hears_nothing_more_of_its_contracts(world: World) -> None:
    token = await world.token("trade", "read")
    client = world.connect()
    await client.authorize(token)
    reply = await buy(client, MINUTES, subscribe=1)
    owner = await trader(world, "admin")
    await owner.ask({"api_token": 1, "delete_token": token})
    ended = await client.next()
    assert ended["error"]["code"] == "InvalidToken"
    assert ended["subscription"] == reply["subscription"]
    assert await client.refused({"sell": reply["buy"]["contract_id"], "price": 0}) == (
        "AuthorizationRequired"
    )
    world.clock.advance(5)
    assert client.received == []


async def test_selling_and_settling_at_once_pays_once(world: World) -> None:
    client = await trader(world)
    number = await bought(client, {**MINUTES, "duration": 1})
    world.clock.advance(30)
    client.send_text(b'{"sell": %d, "price": 0}' % number)
    world.clock.advance(60)  # it ends before the sale is written
    sold = (await client.next())["sell"]
    assert (await client.ask({"sell_expired": 1}))["sell_expired"]["count"] == 0
    entries = (await client.ask({"statement": 1}))["statement"]["transactions"]
    assert [entry["action_type"] for entry in entries].count("sell") == 1
    assert entries[0]["amount"] == sold["sold_for"]
    assert (await standing(client, number))["status"] == "sold"


@contextmanager
def busy_writer(world: World) -> Iterator[None]:
    """The store writes nothing while the block runs, and all that waits when it ends."""
    released = threading.Event()
    writing = asyncio.ensure_future(
        world.gateway.store.write(lambda transaction: released.wait(30))
    )
    try:
        yield
    finally:
        released.set()
        assert not writing.done()


async def test_a_contract_that_has_ended_is_shown_while_it_is_settled(world: World) -> None:
    client = await trader(world)
    kinds = ("CALL", "DIGITEVEN", "NOTOUCH")
    numbers = [
        await bought(
            client,
            {**RISE, "contract_type": kind} | ({"barrier": "+0.50"} if kind == "NOTOUCH" else {}),
        )
        for kind in kinds
    ]
    numbers.append(await bought(client, {**MINUTES, "duration": 15, "duration_unit": "s"}))
    with busy_writer(world):
        await asyncio.sleep(0)
        world.clock.advance(30)
        for number in numbers:
            body = await standing(client, number)
            assert (body["status"], body["is_expired"], body["is_sold"]) == ("open", 1, 0)
            assert (body["is_valid_to_sell"], body["is_valid_to_cancel"]) == (0, 0)
            assert body["current_spot_time"] <= body["expiry_time"]
            assert body["bid_price"] in (0.0, body["payout"])
        assert "reality_check" in await client.ask({"reality_check": 1})
        stream = await client.ask({"proposal_open_contract": 1, "subscribe": 1})
        assert stream["proposal_open_contract"]["contract_id"] == numbers[0]
        assert len([await client.next() for _ in numbers[1:]]) == 3
    ends = [(await client.next())["proposal_open_contract"] for _ in numbers]
    assert {end["contract_id"] for end in ends} == set(numbers)
    assert all(end["is_sold"] for end in ends)


async def test_a_contract_that_ends_before_it_is_written_is_told_from_its_opening(
    world: World,
) -> None:
    client, other = await trader(world), await trader(world)
    await other.ask({"proposal_open_contract": 1, "subscribe": 1})
    with busy_writer(world):
        await asyncio.sleep(0)
        buying = asyncio.ensure_future(buy(client, RISE))
        await asyncio.sleep(0)
        world.clock.advance(30)
    number = (await buying)["buy"]["contract_id"]
    told = [(await other.next())["proposal_open_contract"] for _ in range(2)]
    assert [body["contract_id"] for body in told] == [number, number]
    assert [body["is_sold"] for body in told] == [0, 1]


async def test_a_sale_is_made_although_orders_change_at_the_same_moment(world: World) -> None:
    client, other = await trader(world), await trader(world)
    number = await bought(client, UP)
    world.clock.advance(2)
    with busy_writer(world):
        await asyncio.sleep(0)
        client.send_text(
            b'{"contract_update": 1, "contract_id": %d, "limit_order": {"take_profit": 9}}' % number
        )
        other.send_text(b'{"sell": %d, "price": 0}' % number)
    assert (await client.next())["contract_update"]["take_profit"]["order_amount"] == 9.0
    assert (await other.next())["sell"]["contract_id"] == number


async def test_a_retry_is_answered_with_a_purchase_that_is_still_being_written(
    world: World,
) -> None:
    client, other = await trader(world), await trader(world)
    request = {"buy": 1, "parameters": RISE, "passthrough": {"idempotency_key": "once"}}
    with busy_writer(world):
        await asyncio.sleep(0)
        first = asyncio.ensure_future(client.ask({**request, "price": 10}))
        await asyncio.sleep(0)
        # By itself it would be refused: the price is more than this.
        again = asyncio.ensure_future(other.ask({**request, "price": 1}))
        await asyncio.sleep(0)
    assert (await again)["buy"] == (await first)["buy"]
