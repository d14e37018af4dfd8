"""Streams that miss nothing: after a lost connection, what was missed follows once and in order."""

from typing import Any

import pytest

from scopegate.gateway.calls import resuming, session
from scopegate.handlers.exchange.contract_streams import ContractStreams
from scopegate.testing import NOON, Client, World
from tests.conftest import Connected

CALL = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "R_100",
    "duration": 1,
    "duration_unit": "h",
}
BUY = {"buy": "1", "price": 10, "parameters": CALL}
TRANSACTIONS = {"transaction": 1, "subscribe": 1}


async def signed_in(world: World) -> Client:
    client = world.connect()
    await client.authorize(await world.token())
    return client


def resumed(request: dict[str, Any], position: int) -> dict[str, Any]:
    return {**request, "passthrough": {"resume": position}}


async def messages(client: Client, count: int) -> list[dict[str, Any]]:
    return [await client.next() for _ in range(count)]


async def test_transactions_since_a_position_follow_and_then_live_ones(
    connected: Connected,
) -> None:
    client = await connected.connect()
    token = await connected.world.token()
    await client.authorize(token)
    begun = await client.ask(TRANSACTIONS)
    await client.ask(BUY)
    seen = await client.next()
    assert seen["position"] == seen["transaction"]["transaction_id"] > begun["position"]

    other = await connected.connect()
    await other.authorize(token)
    bought = [(await other.ask(BUY))["buy"] for _ in range(3)]

    back = await connected.connect()
    await back.authorize(token)
    reply = await back.ask(resumed(TRANSACTIONS, seen["position"]))
    assert reply["position"] == seen["position"]
    assert "gap" not in reply
    missed = await messages(back, 3)
    assert [each["position"] for each in missed] == [each["transaction_id"] for each in bought]
    live = await messages(client, 3)
    for mine, theirs in zip(missed, live, strict=True):
        assert {**mine["transaction"], "id": ""} == {**theirs["transaction"], "id": ""}
        assert mine["subscription"] == reply["subscription"]
    following = (await other.ask(BUY))["buy"]["transaction_id"]
    assert (await back.next())["position"] == following
    assert back.received == []


async def test_a_position_of_the_beginning_gives_the_whole_ledger(world: World) -> None:
    client = await signed_in(world)
    for _ in range(3):
        await client.ask(BUY)
    await client.ask(resumed(TRANSACTIONS, 0))
    listed = (await client.ask({"statement": 1}))["statement"]["transactions"]
    missed = await messages(client, len(listed))
    assert [each["transaction"]["transaction_id"] for each in missed] == [
        each["transaction_id"] for each in reversed(listed)
    ]
    assert [each["transaction"]["balance"] for each in missed] == [
        each["balance_after"] for each in reversed(listed)
    ]


async def test_many_missed_entries_are_read_page_by_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("handlers.exchange.account_calls",):
        monkeypatch.setattr(f"scopegate.{module}.PAGE", 4)
    client = await signed_in(world)
    position = (await client.ask(TRANSACTIONS))["position"]
    bought = [(await client.ask(BUY))["buy"]["transaction_id"] for _ in range(11)]
    back = await signed_in(world)
    await back.ask(resumed(TRANSACTIONS, position))
    assert [each["position"] for each in await messages(back, 11)] == bought


async def test_what_happens_meanwhile_is_neither_lost_nor_sent_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries are booked between two pages: held back, read as well, or too many to be held."""
    monkeypatch.setattr("scopegate.handlers.exchange.account_calls.PAGE", 3)
    monkeypatch.setattr(session, "MAX_HELD_EVENTS", 2)
    client, other = await signed_in(world), await signed_in(world)
    position = (await client.ask(TRANSACTIONS))["position"]
    bought = [(await other.ask(BUY))["buy"]["transaction_id"] for _ in range(7)]
    writable, pages = session.Session.writable, iter((4, 1, 0, 2, 5))

    async def trading(self: session.Session) -> None:
        bought.extend(
            [(await other.ask(BUY))["buy"]["transaction_id"] for _ in range(next(pages, 0))]
        )
        await writable(self)

    monkeypatch.setattr(session.Session, "writable", trading)
    back = await signed_in(world)
    await back.ask(resumed(TRANSACTIONS, position))
    await back.ask({"ping": 1})
    bought.append((await other.ask(BUY))["buy"]["transaction_id"])
    assert [each["position"] for each in await messages(back, len(bought))] == bought
    assert back.received == []


async def test_a_gap_is_stated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scopegate.handlers.exchange.account_calls.MAX_MISSED", 2)
    client = await signed_in(world)
    position = (await client.ask(TRANSACTIONS))["position"]
    bought = [(await client.ask(BUY))["buy"]["transaction_id"] for _ in range(4)]
    back = await signed_in(world)
    reply = await back.ask(resumed(TRANSACTIONS, position))
    assert reply["gap"] == {"after": position, "until": bought[1]}
    assert [each["position"] for each in await messages(back, 2)] == bought[2:]
    # A position that the ledger does not have yet: it is another one, or from an older backup.
    again = await signed_in(world)
    reply = await again.ask(resumed(TRANSACTIONS, bought[-1] + 1_000))
    assert reply["gap"] == {"after": bought[-1], "until": bought[-1] + 1_000}
    following = (await client.ask(BUY))["buy"]["transaction_id"]
    assert (await again.next())["position"] == following


async def test_balances_are_resumed(world: World) -> None:
    client = await signed_in(world)
    for request in (
        {"balance": 1, "subscribe": 1},
        {"balance": 1, "account": "all", "subscribe": 1},
    ):
        position = (await client.ask(request))["position"]
        bought = [(await client.ask(BUY))["buy"] for _ in range(3)]
        back = await signed_in(world)
        reply = await back.ask(resumed(request, position))
        assert reply["balance"]["balance"] == bought[-1]["balance_after"]
        missed = await messages(back, 3)
        assert [each["balance"]["balance"] for each in missed] == [
            each["balance_after"] for each in bought
        ]
        assert [each["position"] for each in missed] == [each["transaction_id"] for each in bought]


async def test_contracts_that_were_closed_meanwhile_are_reported(world: World) -> None:
    request = {"proposal_open_contract": 1, "subscribe": 1}
    client = await signed_in(world)
    bought = [(await client.ask(BUY))["buy"]["contract_id"] for _ in range(3)]
    world.clock.advance(4)
    await client.ask(request)
    position = (await messages(client, 2))[-1]["position"]
    other = await signed_in(world)
    for contract_id in (bought[1], bought[0]):
        assert "error" not in await other.ask({"sell": contract_id, "price": 0})
    back = await signed_in(world)
    first = await back.ask(resumed(request, position))
    assert first["proposal_open_contract"]["contract_id"] == bought[2]
    assert first["proposal_open_contract"]["is_sold"] == 0
    missed = await messages(back, 2)
    closed = [each["proposal_open_contract"] for each in missed]
    assert [each["contract_id"] for each in closed] == [bought[1], bought[0]]
    assert {each["status"] for each in closed} == {"sold"}
    assert first["position"] == position  # a client that is cut off here has not seen more
    sold_by = [each["transaction_ids"]["sell"] for each in closed]
    assert [each["position"] for each in missed] == sold_by
    # Then it goes on live.
    world.clock.advance(2)
    assert (await back.next())["proposal_open_contract"]["contract_id"] == bought[2]


CONTRACTS = {"proposal_open_contract": 1, "subscribe": 1}


async def _bought(client: Client, number: int) -> list[int]:
    return [(await client.ask(BUY))["buy"]["contract_id"] for _ in range(number)]


async def _sold(client: Client, contract_ids: list[int]) -> None:
    for contract_id in contract_ids:
        assert "error" not in await client.ask({"sell": contract_id, "price": 0})


@pytest.mark.parametrize(("held", "ahead"), [(256, 0), (2, 0), (256, 1_000)])
async def test_contracts_closed_meanwhile_are_neither_lost_nor_sent_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, held: int, ahead: int
) -> None:
    """They are closed before and between pages: held back, or too many to be held.

    What was read of the ledger may also be ahead of what was announced.
    """
    latest = ContractStreams._position
    monkeypatch.setattr(
        ContractStreams, "_position", lambda self, loginid: (latest(self, loginid) or 0) + ahead
    )
    monkeypatch.setattr("scopegate.handlers.exchange.contract_streams.PAGE", 2)
    monkeypatch.setattr(session, "MAX_HELD_EVENTS", held)
    client, other = await signed_in(world), await signed_in(world)
    bought = await _bought(client, 12)
    world.clock.advance(4)
    position = (await client.ask(CONTRACTS))["position"]
    await _sold(other, bought[:5])
    left, kept = bought[5:], bought[-1]
    writable, pages = session.Session.writable, iter((2, 0, 4))
    opened: list[int] = []

    async def trading(self: session.Session) -> None:
        number = next(pages, 0)
        await _sold(other, left[:number])
        del left[:number]
        if number == 4:
            opened.extend(await _bought(other, 1))
        await writable(self)

    monkeypatch.setattr(session.Session, "writable", trading)
    back = await signed_in(world)
    first = await back.ask(resumed(CONTRACTS, position))
    await back.ask({"ping": 1})
    assert left == [kept]
    seen = [first, *back.received]
    ends = [each["proposal_open_contract"] for each in seen]
    ends = [each["contract_id"] for each in ends if each["is_sold"]]
    assert ends == bought[:11]
    last = {each["proposal_open_contract"]["contract_id"]: each for each in seen}
    states = {number: each["proposal_open_contract"]["is_sold"] for number, each in last.items()}
    assert states == {**dict.fromkeys(bought[:11], 1), kept: 0, opened[0]: 0}
    # Then it goes on live.
    back.received.clear()
    world.clock.advance(2)
    live = [each["proposal_open_contract"]["contract_id"] for each in await messages(back, 2)]
    assert live == [kept, *opened]


async def test_too_many_closed_contracts_are_a_gap(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.handlers.exchange.contract_streams.MAX_MISSED", 2)
    client, other = await signed_in(world), await signed_in(world)
    bought = await _bought(client, 4)
    world.clock.advance(4)
    await client.ask(CONTRACTS)
    position = (await messages(client, 3))[-1]["position"]
    sales = [
        (await other.ask({"sell": contract_id, "price": 0}))["sell"]["transaction_id"]
        for contract_id in bought
    ]
    back = await signed_in(world)
    reply = await back.ask(resumed(CONTRACTS, position))
    assert reply["proposal_open_contract"] == {"id": reply["subscription"]["id"]}
    assert reply["gap"] == {"after": position, "until": sales[1]}
    assert [each["position"] for each in await messages(back, 2)] == sales[2:]
    # A position that the ledger does not have yet: it is another one, or from an older backup.
    again = await signed_in(world)
    reply = await again.ask(resumed(CONTRACTS, sales[-1] + 1_000))
    assert reply["gap"] == {"after": sales[-1], "until": sales[-1] + 1_000}
    [following] = await _bought(client, 1)
    assert (await again.next())["proposal_open_contract"]["contract_id"] == following


async def test_ticks_are_resumed_from_history(world: World) -> None:
    request = {"ticks": "R_100", "subscribe": 1}
    client = world.connect()
    begun = await client.ask(request)
    assert begun["position"] == begun["tick"]["epoch"]
    world.clock.advance(20)
    live = await messages(client, 10)
    back = world.connect()
    reply = await back.ask(resumed(request, begun["position"]))
    missed = [reply, *await messages(back, 9)]
    assert [each["tick"]["epoch"] for each in missed] == [each["position"] for each in live]
    assert [each["tick"]["quote"] for each in missed] == [each["tick"]["quote"] for each in live]
    world.clock.advance(2)
    assert (await back.next())["position"] == NOON + 22
    # Nothing was missed: the latest tick again, with the position that was asked for.
    last = world.connect()
    reply = await last.ask(resumed(request, int(NOON + 22)))
    assert reply["position"] == NOON + 22
    long_ago = world.connect()
    reply = await long_ago.ask(resumed(request, int(NOON) - 86_400))
    assert reply["gap"] == {"after": NOON - 86_400, "until": NOON + 22 - 10_000}


@pytest.mark.parametrize("position", ["7", -1, 1.5, True, [1]])
async def test_an_invalid_position_is_refused(world: World, position: object) -> None:
    client = await signed_in(world)
    reply = await client.ask({**TRANSACTIONS, "passthrough": {"resume": position}})
    assert reply["error"]["code"] == "InputValidationFailed"
    assert "passthrough" in reply["error"]["details"]


def test_the_pages_are_bounded() -> None:
    assert resuming.PAGE < session.MAX_HELD_EVENTS
