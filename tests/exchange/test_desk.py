"""The desk: what it looks at, what it forgets, and what it does when the store can not."""

import asyncio
import math
from decimal import Decimal
from typing import Any

import pytest

from scopegate.exchange import desk as desk_module
from scopegate.exchange.book import BoughtContract, Purchase
from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.accumulators import Accumulator
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import Orders, replay
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.state import Status, begin, latest
from scopegate.exchange.contracts.multipliers import PIP_PARTS, Multiplier
from scopegate.exchange.copying import Copying
from scopegate.exchange.desk import ATTEMPTS, Desk
from scopegate.exchange.trade_clock import TradeClock
from scopegate.runtime.siblings import Siblings
from scopegate.store.errors import StoreBusyError, StoreError
from scopegate.store.store import Store
from scopegate.testing import World


async def bought(world: World, **wanted: Any) -> BoughtContract:
    """A contract of the demo account's."""
    given = {"symbol": "1HZ100V", "currency": "USD", "amount": Decimal(1), "basis": "stake"}
    request = QuoteRequest(**(given | wanted))
    desk, now = world.gateway.service(Desk), int(world.clock.now())
    quote = quoting.make_quote(request, desk.feed, now, desk.margins)
    purchase = Purchase(quote=quote, loginid=world.demo.loginid, app_id=None, at=now)
    return await desk.buy(lambda transaction: None, lambda at: purchase)


async def test_a_trade_whose_turn_comes_too_late_again_and_again_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = world.gateway.service(Desk)
    opened = (await bought(world, duration=1, duration_unit="d", contract_type="CALL")).contract
    turns = [0.0] * ATTEMPTS
    monkeypatch.setattr(desk._trade_clock, "deadline", lambda now: turns.pop())
    with pytest.raises(StoreBusyError):
        await bought(world, duration=1, duration_unit="d", contract_type="CALL")
    assert turns == []
    world.clock.advance(2)
    turns = [math.inf, 0.0]
    await desk.sell(
        opened.id,
        loginid=opened.loginid,
        min_price=0,
        app_id=None,
        guard=lambda transaction: None,
    )
    assert turns == []
    assert desk.positions(opened.loginid) == []


async def test_contracts_that_were_closed_early_leave_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "STALE", 10)
    desk = world.gateway.service(Desk)
    for _ in range(50):
        contract = (await bought(world, contract_type="MULTUP", multiplier=Decimal(40))).contract
        world.clock.advance(1)
        await desk.sell(
            contract.id,
            loginid=world.demo.loginid,
            min_price=0,
            app_id=None,
            guard=lambda transaction: None,
        )
    assert desk.positions(world.demo.loginid) == []
    [index] = desk._triggers.values()
    assert len(index.by_time) <= 11
    assert index.by_level == {}


async def test_a_settlement_that_fails_is_made_up_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "RETRY", 0.0)
    desk, store = world.gateway.service(Desk), world.gateway.store
    contract = (
        await bought(world, contract_type="DIGITEVEN", duration=1, duration_unit="t")
    ).contract
    write, refusals = store.write, 3

    async def failing(self: Store, job: Any) -> Any:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise StoreError("the disk is full")
        return await write(job)

    monkeypatch.setattr(type(store), "write", failing)
    world.clock.advance(1)
    await desk.settled()
    assert refusals == 0
    found = await desk.find(contract.id, world.demo.loginid)
    assert found is not None
    assert found.status in (Status.WON, Status.LOST)
    assert desk.position(contract.id) is None


async def test_new_orders_are_not_met_by_ticks_before_them(world: World) -> None:
    desk = world.gateway.service(Desk)
    contract = (await bought(world, contract_type="MULTUP", multiplier=Decimal(40))).contract
    entry = desk.feed.price(contract.terms.symbol, contract.terms.entry_epoch)
    kind = TYPES["MULTUP"]
    assert isinstance(kind, Multiplier)
    peak = profit = 0
    while peak < 3 or profit > peak - 3:  # cents: up, and down again
        world.clock.advance(1)
        spot = desk.feed.price(contract.terms.symbol, int(world.clock.now()))
        profit = kind.profit(contract.terms, entry * PIP_PARTS, spot)
        peak = max(peak, profit)
    changed = await desk.change_orders(
        contract.id,
        loginid=world.demo.loginid,
        change=lambda position: Orders(take_profit=peak - 1),
        guard=lambda transaction: None,
    )
    position = desk.position(contract.id)
    assert position is not None
    assert position.contract == changed
    assert position.state.outcome is None
    # Nor after a restart, when its life is found from the ticks alone.
    assert desk._followed(changed).outcome is None


async def test_a_life_that_restarts_with_new_orders_knows_the_tick_before(world: World) -> None:
    """Of an accumulator, that every tick is held against: followed, and found anew."""
    desk, last = world.gateway.service(Desk), None
    kind = TYPES["ACCU"]
    assert isinstance(kind, Accumulator)
    terms = {"growth_rate": Decimal("0.01"), "amount": Decimal(100)}
    contract = (await bought(world, contract_type="ACCU", symbol="R_100", **terms)).contract
    for profit in (5_000, None, 6_000, 7_000):
        world.clock.advance(3)  # also between two ticks
        await desk.change_orders(
            contract.id,
            loginid=world.demo.loginid,
            change=lambda held, profit=profit: Orders(take_profit=profit),
            guard=lambda transaction: None,
        )
        position = desk.position(contract.id)
        if position is None:  # a tick went too far
            break
        last = position.state.memory
        assert last == latest(desk.feed, contract.terms.symbol, int(world.clock.now()))
        assert desk._followed(position.contract) == position.state
    assert last is not None
    world.clock.advance(1_000)
    await desk.settled()
    found = await desk.find(contract.id, world.demo.loginid)
    assert found is not None
    anew = begin(found.terms, desk.feed)
    end = replay(kind, found.terms, anew, desk.feed, int(world.clock.now())).outcome
    assert end is not None
    assert (found.status, found.sold_for) == (end.status, end.pays)
    assert found.exit_epoch == end.tick.epoch


async def test_a_tick_that_decides_while_new_orders_are_written_is_judged_anew(
    world: World,
) -> None:
    desk = world.gateway.service(Desk)
    terms = {"multiplier": Decimal(400), "stop_loss": Decimal("0.5")}
    contract = (await bought(world, contract_type="MULTDOWN", **terms)).contract
    world.clock.advance(1)
    client = world.connect()
    await client.authorize(await world.token("trade"))
    client.send_text(
        b'{"contract_update": 1, "contract_id": %d, "limit_order": {"stop_loss": null}}'
        % contract.id
    )
    # The old stop loss is met before the new orders are committed.
    world.clock.advance(60)
    old = replay(
        TYPES["MULTDOWN"],
        contract.terms,
        begin(contract.terms, desk.feed),
        desk.feed,
        int(world.clock.now()),
    )
    assert old.outcome is not None
    assert old.outcome.status is Status.LOST
    reply = await client.next()
    assert reply["contract_update"]["stop_loss"]["order_amount"] is None
    await desk.settled()
    position = desk.position(contract.id)
    assert position is not None
    assert position.contract.terms.orders.stop_loss is None
    assert position.state.outcome is None


async def test_what_happens_while_open_contracts_are_loaded_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a worker process that replaces another, while clients trade at the others."""
    own, store, loginid = world.gateway.service(Desk), world.gateway.store, world.demo.loginid
    multiplier = {"contract_type": "MULTUP", "multiplier": Decimal(40)}
    changed = (await bought(world, **multiplier)).contract
    closed = (await bought(world, **multiplier)).contract
    ended = (await bought(world, contract_type="CALL", duration=5, duration_unit="t")).contract
    late = Desk(
        store,
        own.feed,
        world.clock,
        own.margins,
        world.gateway.service(Copying),
        Siblings(1, 2),
        world.gateway.service(TradeClock),
    )
    # What is announced before the start must not be followed from another moment than the rest.
    opened = (await bought(world, contract_type="CALL", duration=7, duration_unit="t")).contract
    world.clock.advance(3)
    read = late._read

    def and_meanwhile(rows: Any) -> Any:
        found = read(rows)
        asyncio.run_coroutine_threadsafe(meanwhile(), loop).result()
        return found

    async def meanwhile() -> None:
        request: Any = {"loginid": loginid, "guard": lambda transaction: None}
        await own.change_orders(changed.id, change=lambda position: Orders(stop_loss=50), **request)
        await own.sell(closed.id, min_price=0, app_id=None, **request)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(late, "_read", and_meanwhile)
    await late.start()
    assert _seen(late, loginid) == _seen(own, loginid)
    assert {position.contract.id for position in late.positions(loginid)} == {
        *(changed.id, ended.id, opened.id)
    }
    for _ in range(9):
        world.clock.advance(1)
        late.on_second(own.now)
        await own.settled()
        assert _seen(late, loginid) == _seen(own, loginid)
    [left] = late.positions(loginid)
    assert left.contract.id == changed.id


def _seen(desk: Desk, loginid: str) -> list[Any]:
    """What a desk knows of an account's open contracts."""
    return [
        (position.contract, position.state.outcome, position.trigger)
        for position in desk.positions(loginid)
    ]
