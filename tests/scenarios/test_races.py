"""Clients race for the same money and the same contracts: nobody is paid twice, none overdraws."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from scopegate.exchange.desk import Desk
from scopegate.exchange.rules import MAX_OPEN_POSITIONS
from scopegate.gateway.calls import token_form
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, MemoryClient, World
from tests.conftest import Connected

RACING = 1_000
CONNECTIONS = 10

CALL = {
    "contract_type": "CALL",
    "symbol": "1HZ100V",
    "currency": "USD",
    "basis": "stake",
    "duration": 5,
    "duration_unit": "m",
}
UP = {
    "contract_type": "MULTUP",
    "symbol": "1HZ100V",
    "currency": "USD",
    "basis": "stake",
    "amount": 10,
    "multiplier": 400,
}


def buying(contract: dict[str, Any], key: str | None = None, **fields: Any) -> dict[str, Any]:
    """A request to buy at once; with a key, no more than once."""
    request: dict[str, Any] = {"buy": "1", "price": 1_000, "parameters": {**contract, **fields}}
    if key is not None:
        request["passthrough"] = {"idempotency_key": key}
    return request


async def bought(client: Client, request: dict[str, Any]) -> int:
    """Buy something; the contract's number."""
    reply = await client.ask(request)
    assert "error" not in reply, reply["error"]
    number: int = reply["buy"]["contract_id"]
    return number


def outcomes(replies: Sequence[dict[str, Any]]) -> Counter[str]:
    """How many were done, and how many were refused for which reason."""
    return Counter(reply["error"]["code"] if "error" in reply else "done" for reply in replies)


async def set_balance(world: World, cents: int) -> None:
    """Leave so much in the demo account."""
    await world.credit(cents - world.demo.balance)


async def entries(world: World, action: str) -> list[tuple[int, int, int]]:
    """The demo account's entries of an action: contract, amount, and what was left, in order."""

    def job(reader: Transaction) -> list[tuple[int, int, int]]:
        rows = reader.all(
            "SELECT contract_id, amount, balance_after FROM ledger"
            " WHERE loginid = ? AND action = ? ORDER BY id",
            world.demo.loginid,
            action,
        )
        return [tuple(row) for row in rows]

    return await world.gateway.store.read(job)


async def contracts(world: World) -> dict[int, tuple[str, int, int | None]]:
    """Every contract there is: status, price, and what it was sold for."""

    def job(reader: Transaction) -> dict[int, tuple[str, int, int | None]]:
        rows = reader.all("SELECT id, status, price, sold_for FROM contracts")
        return {row["id"]: (row["status"], row["price"], row["sold_for"]) for row in rows}

    return await world.gateway.store.read(job)


async def signed_in(world: World, number: int, *scopes: str) -> list[MemoryClient]:
    """So many connections of the demo account."""
    token = await world.token(*scopes)
    clients = [world.connect() for _ in range(number)]
    for client in clients:
        await client.authorize(token)
    return clients


@pytest.mark.parametrize(
    ("balance", "stakes", "done", "refusal"),
    [
        pytest.param(30_500, [10.0], 30, "InsufficientBalance", id="the balance binds"),
        pytest.param(
            *(1_000_000, [10.0], MAX_OPEN_POSITIONS, "OpenPositionLimitExceeded"),
            id="the number of open contracts binds",
        ),
        pytest.param(
            *(50_000, [0.35, 7.77, 40.01, 2.5], None, "InsufficientBalance"),
            id="stakes of all sizes",
        ),
    ],
)
async def test_a_thousand_racing_buys_never_overdraw(
    world: World, balance: int, stakes: list[float], done: int | None, refusal: str
) -> None:
    await set_balance(world, balance)
    clients = await signed_in(world, CONNECTIONS, "trade", "read")
    replies = await asyncio.gather(
        *(
            clients[number % CONNECTIONS].ask(buying(CALL, amount=stakes[number % len(stakes)]))
            for number in range(RACING)
        )
    )
    counted = outcomes(replies)
    assert counted.keys() <= {"done", refusal, "OpenPositionLimitExceeded"}
    assert counted[refusal] > 0
    if done is not None:
        assert counted == {"done": done, refusal: RACING - done}

    told = {reply["buy"]["contract_id"] for reply in replies if "error" not in reply}
    assert len(told) == counted["done"]
    kept = await contracts(world)
    booked = await entries(world, "buy")
    assert kept.keys() == told
    assert Counter(number for number, _, _ in booked) == dict.fromkeys(told, 1)
    left = balance
    for number, amount, after in booked:
        assert amount == -kept[number][1]
        left += amount
        assert after == left >= 0
    shown = (await clients[0].ask({"balance": 1}))["balance"]["balance"]
    assert shown == left / 100
    if refusal == "InsufficientBalance":
        assert left < max(stakes) * 100


async def test_a_key_that_is_raced_buys_once(connected: Connected) -> None:
    world = connected.world
    token = await world.token("trade")
    clients = [await connected.connect() for _ in range(8)]
    for client in clients:
        await client.authorize(token)
    for round_ in range(5):
        request = buying(CALL, key=f"round-{round_}", amount=10)
        asked = [client.ask(request) for client in clients for _ in range(3)]
        replies = await asyncio.gather(*asked)
        assert outcomes(replies) == {"done": 24}
        first = replies[0]["buy"]
        assert all(reply["buy"] == first for reply in replies)
        world.clock.advance(60)
        # A client that lost the reply asks again later, on another connection: the same contract.
        late = await connected.connect()
        await late.authorize(token)
        assert (await late.ask(request))["buy"] == first
        assert len(await entries(world, "buy")) == round_ + 1
        assert len(await contracts(world)) == round_ + 1


async def test_two_purchases_that_race_for_a_key_are_one_and_refusals(connected: Connected) -> None:
    world = connected.world
    token = await world.token("trade")
    clients = [await connected.connect() for _ in range(8)]
    for client in clients:
        await client.authorize(token)
    for round_ in range(5):
        requests = [buying(CALL, key=f"round-{round_}", amount=amount) for amount in (10, 20)]
        replies = await asyncio.gather(
            *(client.ask(request) for client in clients for request in requests)
        )
        assert outcomes(replies) == {"done": 8, "IdempotencyKeyReused": 8}
        assert len({reply["buy"]["contract_id"] for reply in replies if "buy" in reply}) == 1
        assert len(await contracts(world)) == round_ + 1


async def test_a_proposal_that_lost_a_race_for_a_key_can_be_bought(connected: Connected) -> None:
    token = await connected.world.token("trade")
    first, second = [await connected.connect() for _ in range(2)]
    for client in (first, second):
        await client.authorize(token)
    refused = 0
    for round_ in range(5):
        key = f"round-{round_}"
        proposal = (await second.ask({"proposal": 1, **CALL, "amount": 20}))["proposal"]["id"]
        purchase = {"buy": proposal, "price": 20}
        keyed = {**purchase, "passthrough": {"idempotency_key": key}}
        _, reply = await asyncio.gather(
            first.ask(buying(CALL, key=key, amount=10)), second.ask(keyed)
        )
        if "error" in reply:
            refused += 1
            assert reply["error"]["code"] == "IdempotencyKeyReused"
            assert "buy" in await second.ask(purchase)
    assert refused


async def test_a_key_means_one_buy_of_one_account(world: World) -> None:
    """Another account's buy under the same key is its own."""
    texts = [await world.token("trade", loginid=account.loginid) for account in world.real]
    clients = [world.connect() for _ in texts]
    for client, text in zip(clients, texts, strict=True):
        await client.authorize(text)
    request = buying(CALL, key="mine", amount=10)
    numbers = await asyncio.gather(*(bought(client, request) for client in clients for _ in "12"))
    assert numbers[0] == numbers[1]
    assert numbers[2] == numbers[3]
    assert numbers[0] != numbers[2]


async def test_a_contract_that_two_sell_is_paid_once(connected: Connected) -> None:
    world = connected.world
    token = await world.token("trade")
    first, second = await connected.connect(), await connected.connect()
    await first.authorize(token)
    await second.authorize(token)
    for _ in range(20):
        number = await bought(first, buying(CALL, amount=10))
        world.clock.advance(1)
        sale = {"sell": number, "price": 0}
        replies = await asyncio.gather(*(c.ask(sale) for c in (first, second, first, second)))
        assert outcomes(replies) == {"done": 1, "NoOpenPosition": 3}
    paid = await entries(world, "sell")
    assert len({number for number, _, _ in paid}) == len(paid) == 20


@pytest.mark.parametrize("call", ["sell", "cancel"])
async def test_a_contract_that_is_sold_as_it_ends_is_paid_once(world: World, call: str) -> None:
    """An order for a profit of a cent is met by every second tick or so: the sale may come first.

    Whether the market moves before the sale is asked for, before it is looked at, or while it is
    being written, is varied by turns of the event loop.
    """
    [client] = await signed_in(world, 1, "trade", "read")
    await client.ask({"transaction": 1, "subscribe": 1})
    won = 0
    for turns in list(range(8)) * 10:
        wanted = {**UP, "limit_order": {"take_profit": 0.01}}
        if call == "cancel":
            wanted["cancellation"] = "5m"
        number = await bought(client, buying(wanted))
        world.clock.advance(1)
        asked = asyncio.ensure_future(
            client.ask({call: number} | ({"price": 0} if call == "sell" else {}))
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        world.clock.advance(1)
        reply = await asked
        await world.gateway.service(Desk).settled()
        status, _, sold_for = (await contracts(world))[number]
        if "error" in reply:
            assert reply["error"]["code"] == "NoOpenPosition"
            assert status == "won"
            won += 1
        else:
            assert status == {"sell": "sold", "cancel": "cancelled"}[call]
            assert round(reply[call]["sold_for"] * 100) == sold_for
        paid = [
            amount for contract, amount, _ in await entries(world, "sell") if contract == number
        ]
        assert paid == [sold_for]
    assert 0 < won < 80  # each has won the race at times
    told = [message["transaction"] for message in client.received]
    sold = [entry["contract_id"] for entry in told if entry["action"] == "sell"]
    assert len(set(sold)) == len(sold) == 80


async def test_orders_that_change_as_the_contract_ends_do_not_pay_twice(world: World) -> None:
    """The old order is met while the new one is being written: the new one holds from then on."""
    [client] = await signed_in(world, 1, "trade", "read")
    for turns in list(range(8)) * 5:
        number = await bought(client, buying({**UP, "limit_order": {"take_profit": 0.01}}))
        world.clock.advance(1)
        change = {
            "contract_update": 1,
            "contract_id": number,
            "limit_order": {"take_profit": 1_000},
        }
        asked = asyncio.ensure_future(client.ask(change))
        for _ in range(turns):
            await asyncio.sleep(0)
        world.clock.advance(1)
        reply = await asked
        await world.gateway.service(Desk).settled()
        status = (await contracts(world))[number][0]
        if "error" in reply:
            assert reply["error"]["code"] == "NoOpenPosition"
            assert status == "won"
        else:
            assert status == "open"
            sale = await client.ask({"sell": number, "price": 0})
            assert "error" not in sale
    paid = Counter(number for number, _, _ in await entries(world, "sell"))
    assert paid == dict.fromkeys(await contracts(world), 1)


async def test_nothing_is_traded_for_a_token_that_is_revoked_meanwhile(world: World) -> None:
    """The revocation is written first; what waits behind it does nothing, whatever it is."""
    [owner] = await signed_in(world, 1)
    cancellable = await bought(owner, buying({**UP, "cancellation": "5m"}))
    plain = await bought(owner, buying(UP))
    world.clock.advance(1)
    before = await contracts(world)
    token = await world.token("trade")
    client = world.connect()
    await client.authorize(token)
    requests: list[dict[str, Any]] = [
        buying(CALL, amount=10),
        buying(CALL, key="again", amount=10),
        {"sell": plain, "price": 0},
        {"cancel": cancellable},
        {"contract_update": 1, "contract_id": plain, "limit_order": {"take_profit": 5}},
    ]
    # All are under way when the token goes: each was let in under a grant that still held.
    revoking = {"api_token": 1, "delete_token": token_form.masked(token)}
    revoked, *replies = await asyncio.gather(
        owner.ask(revoking), *(client.ask(request) for request in requests)
    )
    assert "error" not in revoked
    assert outcomes(replies) == {"AuthorizationRequired": len(requests)}
    assert await contracts(world) == before
    assert len(await entries(world, "buy")) == 2
    assert await entries(world, "sell") == []
    history = await owner.ask({"contract_update_history": 1, "contract_id": plain})
    assert history["contract_update_history"] == []


async def test_a_revocation_amid_many_buys_divides_them(world: World) -> None:
    """What was answered is there, what was refused is not: nothing in between."""
    [owner] = await signed_in(world, 1)
    for round_ in range(10):
        token = await world.token("trade")
        client = world.connect()
        await client.authorize(token)
        asked = [asyncio.ensure_future(client.ask(buying(CALL, amount=1))) for _ in range(8)]
        for _ in range(round_):
            await asyncio.sleep(0)
        await owner.ask({"api_token": 1, "delete_token": token_form.masked(token)})
        before = await contracts(world)
        replies = await asyncio.gather(*asked)
        assert outcomes(replies).keys() <= {"done", "AuthorizationRequired"}
        # Not one was bought after the reply to the revocation.
        assert await contracts(world) == before
        told = {reply["buy"]["contract_id"] for reply in replies if "error" not in reply}
        assert told <= before.keys()
        for number in told:
            await owner.ask({"sell": number, "price": 0})
        assert len(before) == len(await entries(world, "buy"))
