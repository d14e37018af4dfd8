"""The ledger: every balance is the sum of its entries, also with many bookings at once."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopegate.exchange import ledger
from scopegate.exchange.ledger import InsufficientFundsError, Ledger
from scopegate.exchange.money import CURRENCIES, to_number, to_text, to_units
from scopegate.store.errors import ConstraintError
from scopegate.store.transactions import Transaction
from scopegate.testing import World


def explained(reader: Transaction) -> bool:
    """Whether each balance equals the sum of its entries, and each entry what the last one left."""
    for account in ledger.accounts(reader):
        rows = reader.all(
            "SELECT amount, balance_after FROM ledger WHERE loginid = ? ORDER BY id",
            account.loginid,
        )
        balance = 0
        for row in rows:
            balance += row["amount"]
            if balance != row["balance_after"]:
                return False
        if balance != account.balance:
            return False
    return True


async def test_racing_bookings_never_overdraw_and_are_all_explained(world: World) -> None:
    def take(amount: int) -> asyncio.Future[object]:
        return asyncio.ensure_future(world.credit(-amount))

    results = await asyncio.gather(*(take(300_000) for _ in range(10)), return_exceptions=True)
    assert sum(result is None for result in results) == 3
    assert sum(isinstance(result, InsufficientFundsError) for result in results) == 7
    assert (await world.gateway.service(Ledger).balance(world.demo.loginid)).units == 100_000
    assert await world.gateway.store.read(explained)


async def test_the_database_itself_refuses_a_negative_balance(world: World) -> None:
    def unguarded(transaction: Transaction) -> None:
        transaction.execute("UPDATE accounts SET balance = balance - 99999999")

    with pytest.raises(ConstraintError, match=r"CHECK|check constraint"):
        await world.gateway.store.write(unguarded)


async def test_the_statement_tells_what_the_ledger_holds(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token("trading_information"))
    for amount in (500, -200, 300):
        await world.credit(amount)
        world.clock.advance(10)
    body = (await client.ask({"statement": 1, "description": 1}))["statement"]
    assert body["count"] == 4
    assert [t["amount"] for t in body["transactions"]] == [3.0, -2.0, 5.0, 10000.0]
    assert [t["balance_after"] for t in body["transactions"]] == [10006.0, 10003.0, 10005.0, 1e4]
    assert [t["action_type"] for t in body["transactions"]] == (
        ["deposit", "withdrawal", "deposit", "virtual_credit"]
    )
    assert body["transactions"][3]["longcode"] == "Opening balance in paper money."
    times = [t["transaction_time"] for t in body["transactions"]]

    async def amounts(**chosen: object) -> list[float]:
        reply = await client.ask({"statement": 1, **chosen})
        return [t["amount"] for t in reply["statement"]["transactions"]]

    assert await amounts(limit=1, offset=1) == [-2.0]
    assert await amounts(action_type="deposit") == [3.0, 5.0]
    assert await amounts(date_from=times[1], date_to=times[1]) == [-2.0]
    assert await amounts(limit=0) == []


async def test_topping_up_brings_a_demo_account_back(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token("trade", "read"))
    assert await client.refused({"topup_virtual": 1}) == "TopupVirtualError"
    await world.credit(-400_050)
    stream = await client.ask({"transaction": 1, "subscribe": 1})
    reply = await client.ask({"topup_virtual": 1})
    assert reply["topup_virtual"] == {"amount": 4000.5, "currency": "USD"}
    told = await client.next()
    assert told["transaction"]["action"] == "virtual_credit"
    assert told["transaction"]["balance"] == 10000.0
    assert told["transaction"]["id"] == stream["subscription"]["id"]
    await client.authorize(await world.token("trade", loginid=world.real[0].loginid))
    assert await client.refused({"topup_virtual": 1}) == "TopupVirtualError"


async def test_all_balances_and_their_totals(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token("read"))
    first, second = world.real
    await world.credit(250, first.loginid)
    reply = await client.ask({"balance": 1, "account": "all", "subscribe": 1})
    body = reply["balance"]
    assert body["loginid"] == world.demo.loginid
    assert body["balance"] == 10000.0
    assert body["accounts"][first.loginid]["balance"] == 10002.5
    assert body["accounts"][world.demo.loginid]["demo_account"] == 1
    assert body["total"] == {
        "deriv": {"amount": 20002.5, "currency": "USD"},
        "deriv_demo": {"amount": 10000.0, "currency": "USD"},
    }
    await world.credit(100, second.loginid)
    told = (await client.next())["balance"]
    assert (told["loginid"], told["balance"]) == (second.loginid, 10001.0)
    reply = await client.ask({"balance": 1, "account": second.loginid})
    assert reply["balance"]["balance"] == 10001.0
    stranger = (await world.user("ada@example.com"))[0]
    assert await client.refused({"balance": 1, "account": stranger.loginid}) == (
        "InputValidationFailed"
    )


@settings(max_examples=50)
@given(st.sampled_from(sorted(CURRENCIES)), st.integers(-(10**14), 10**14))
def test_amounts_survive_the_way_out_and_in(currency: str, units: int) -> None:
    from decimal import Decimal

    text = to_text(units, currency)
    assert to_units(Decimal(text), currency) == units
    assert len(text.partition(".")[2]) == CURRENCIES[currency].digits
    if abs(units) < 10**14:
        assert round(to_number(units, currency) * 10 ** CURRENCIES[currency].digits) == units


def test_too_many_decimals_are_refused() -> None:
    from decimal import Decimal

    with pytest.raises(ValueError, match="USD has at most 2 decimals"):
        to_units(Decimal("1.005"), "USD")
