"""What an owner has excluded is not bought: every limit, over real calls, and their windows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange import exclusion, ledger
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.desk import Desk
from scopegate.exchange.symbols import DAY
from scopegate.gateway.access import users
from scopegate.store.transactions import Connection, Transaction
from scopegate.testing import NOON, Client, World
from tests import stores
from tests.conftest import Connected
from tests.scenarios.test_copying import pair

STAKE = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "t",
    "symbol": "R_100",
}


async def trader(world: World) -> Client:
    client = world.connect()
    await client.authorize(await world.token())
    return client


async def exclude(client: Client, **what: Any) -> None:
    assert (await client.ask({"set_self_exclusion": 1} | what))["set_self_exclusion"] == 1


async def buy(client: Client, amount: float = 10) -> str:
    """The code of the refusal; empty when it was bought."""
    parameters = STAKE | {"amount": amount}
    reply = await client.ask({"buy": 1, "price": amount, "parameters": parameters})
    code: str = reply.get("error", {}).get("code", "")
    return code


async def test_what_is_excluded_is_not_bought(connected: Connected) -> None:
    world, client = connected.world, await connected.connect()
    await client.authorize(await world.token())
    assert (await client.ask({"get_self_exclusion": 1}))["get_self_exclusion"] == {}
    await exclude(client, max_turnover=25, max_open_bets=5)
    assert (await client.ask({"get_self_exclusion": 1}))["get_self_exclusion"] == {
        "max_turnover": 25.0,
        "max_open_bets": 5,
    }
    assert await buy(client) == ""
    assert await buy(client, 15) == ""
    reply = await client.ask({"buy": 1, "price": 10, "parameters": STAKE | {"amount": 0.5}})
    assert reply["error"]["code"] == "DailyTurnoverLimitExceeded"
    assert reply["error"]["message"] == (
        "The limit on turnover today is USD 25.00: USD 25.00 of it is used, and this contract"
        " costs USD 0.50."
    )


async def test_each_limit_binds(world: World) -> None:
    client = await trader(world)
    for name, code in (
        ("max_30day_turnover", "30DayTurnoverLimitExceeded"),
        ("max_7day_turnover", "7DayTurnoverLimitExceeded"),
        ("max_30day_losses", "30DayLossLimitExceeded"),
        ("max_7day_losses", "7DayLossLimitExceeded"),
        ("max_losses", "DailyLossLimitExceeded"),
    ):
        opened = (await client.ask({"new_account_virtual": 1}))["new_account_virtual"]
        await client.authorize(opened["oauth_token"])
        await exclude(client, **{name: 12})
        assert await buy(client, 8) == "", name
        assert await buy(client, 5) == code
        assert await buy(client, 4) == "", name


async def test_open_contracts_and_the_balance_are_bounded(world: World) -> None:
    client = await trader(world)
    await exclude(client, max_open_bets=2)
    assert [await buy(client) for _ in range(3)] == ["", "", "OpenPositionLimitExceeded"]
    world.clock.advance(20)
    await world.gateway.service(Desk).settled()
    await exclude(client, max_balance=9_990)
    await world.credit(50_00)
    assert await buy(client) == "AccountBalanceExceedsLimit"
    await world.credit(-100_00)
    assert await buy(client) == ""


async def test_a_pause_ends_by_itself(world: World) -> None:
    client = await trader(world)
    until = int(NOON) + 3_600
    await exclude(client, timeout_until=until)
    assert await buy(client) == "SelfExclusion"
    assert "no_trading" in (await status(client))
    world.clock.advance(3_599)
    assert await buy(client) == "SelfExclusion"
    world.clock.advance(1)
    assert await buy(client) == ""
    assert (await client.ask({"get_self_exclusion": 1}))["get_self_exclusion"] == {}
    assert "no_trading" not in (await status(client))
    await exclude(client, exclude_until="2026-07-01")
    assert await buy(client) == "SelfExclusion"
    told = (await client.ask({"get_self_exclusion": 1}))["get_self_exclusion"]
    assert told == {"exclude_until": "2026-07-01"}


async def status(client: Client) -> list[str]:
    listed: list[str] = (await client.ask({"get_account_status": 1}))["get_account_status"][
        "status"
    ]
    return listed


async def test_a_session_is_bounded(world: World) -> None:
    client = await trader(world)
    await exclude(client, session_duration_limit=30)
    world.clock.advance(30 * 60 - 1)
    assert await buy(client) == ""
    world.clock.advance(1)
    assert await buy(client) == "SessionDurationLimitExceeded"
    await client.authorize(await world.token())
    assert await buy(client) == ""


async def test_buying_for_several_accounts_is_bound_as_well(world: World) -> None:
    client = await trader(world)
    await exclude(client, max_turnover=5)
    mine, other = await world.token(), await world.token(loginid=world.real[0].loginid)
    reply = await client.ask(
        {
            "buy_contract_for_multiple_accounts": 1,
            "price": 10,
            "parameters": STAKE,
            "tokens": [mine, other],
        }
    )
    first, second = reply["buy_contract_for_multiple_accounts"]["result"]
    assert first["code"] == "DailyTurnoverLimitExceeded"
    assert "contract_id" in second


async def test_a_copy_is_bound_by_what_its_copier_has_excluded(world: World) -> None:
    trader, copier, _ = await pair(world)
    await exclude(copier.client, max_turnover=15)
    assert [await buy(trader.client) for _ in range(2)] == ["", ""]
    reported = [each.get("code") for each in await copier.report()]
    assert reported == [None, "DailyTurnoverLimitExceeded"]


async def test_what_is_set_is_made_stricter_and_never_eased(world: World) -> None:
    client = await trader(world)
    timeout = int(NOON) + 7 * DAY
    limits = {"max_losses": 100, "exclude_until": "2027-01-01", "timeout_until": timeout}
    await exclude(client, **limits)
    await exclude(client, **limits)
    await exclude(client, max_losses=50, max_balance=0, max_deposit=None)
    for eased in (
        {"max_losses": 100},
        {"max_losses": None},
        {"max_losses": 0},
        {"exclude_until": "2026-12-31"},
        {"exclude_until": None},
        {"timeout_until": timeout - 1},
        {"timeout_until": 0},
    ):
        reply = await client.ask({"set_self_exclusion": 1, "max_turnover": 1} | eased)
        assert reply["error"]["code"] == "SetSelfExclusionError"
        assert reply["error"]["details"].keys() == eased.keys()
    told = (await client.ask({"get_self_exclusion": 1}))["get_self_exclusion"]
    assert told == {**limits, "max_losses": 50}  # and nothing of what was refused


@pytest.mark.parametrize(
    "pause",
    [
        {"exclude_until": "2026-06-30"},
        {"exclude_until": "2031-01-02"},
        {"exclude_until": "2020-01-01"},
        {"timeout_until": int(NOON)},
        {"timeout_until": int(NOON) + 42 * DAY + 1},
        {"timeout_until": 1_497_357_184},
    ],
)
async def test_a_pause_has_its_bounds(world: World, pause: Mapping[str, Any]) -> None:
    client = await trader(world)
    assert await client.refused({"set_self_exclusion": 1, **pause}) == "SetSelfExclusionError"
    assert await client.refused({"set_self_exclusion": 1, "exclude_until": "2026-02-30"}) == (
        "InputValidationFailed"
    )


async def test_a_limit_is_one_accounts_alone_and_needs_admin(world: World) -> None:
    client = await trader(world)
    await exclude(client, max_turnover=1)
    assert await buy(client) == "DailyTurnoverLimitExceeded"
    await client.authorize(await world.token(loginid=world.real[0].loginid))
    assert await buy(client) == ""
    await client.authorize(await world.token("read", "trade"))
    assert await client.refused({"set_self_exclusion": 1}) == "PermissionDenied"


async def test_the_operator_lifts_what_was_excluded(world: World) -> None:
    client = await trader(world)
    await exclude(client, exclude_until="2027-01-01")
    lift = exclusion.lift
    assert await world.gateway.store.write(lambda t: lift(t, world.demo.loginid))
    assert await buy(client) == ""
    assert not await world.gateway.store.write(lambda t: lift(t, world.demo.loginid))


async def refused_deposit(world: World, amount: int, *, later: int = 0) -> str:
    """The code of the refusal, so many seconds after noon; empty when it would be paid in."""

    def job(transaction: Transaction) -> None:
        exclusion.refuse_deposit(
            transaction, world.demo.loginid, currency="USD", amount=amount, at=int(NOON) + later
        )

    try:
        await world.gateway.store.write(job)
    except Refusal as refusal:
        return refusal.code
    return ""


async def test_payments_into_the_account_are_bound(world: World) -> None:
    client = await trader(world)
    assert await refused_deposit(world, 10**9) == ""
    await exclude(client, max_deposit=10, max_7day_deposit=15, max_balance=10_100)
    assert await refused_deposit(world, 10_01) == "DailyDepositLimitExceeded"
    await world.credit(10_00)
    assert await refused_deposit(world, 1) == "DailyDepositLimitExceeded"
    assert await refused_deposit(world, 5_01, later=DAY) == "7DayDepositLimitExceeded"
    assert await refused_deposit(world, 5_00, later=DAY) == ""
    await exclude(client, max_balance=10_012, timeout_until=int(NOON) + DAY)
    assert await refused_deposit(world, 1, later=DAY - 1) == "SelfExclusion"
    assert await refused_deposit(world, 2_01, later=DAY) == "AccountBalanceExceedsLimit"


# The windows, against a naive reckoning.

MOMENTS = st.integers(0, 40 * DAY)
CONTRACTS = st.lists(
    st.tuples(MOMENTS, st.integers(1, 1_000), st.none() | st.integers(0, 2_000)), max_size=12
)
AMOUNTS = st.integers(1, 5_000)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        f"max_{window}{what}": AMOUNTS
        for what in ("turnover", "losses")
        for window in ("", "7day_", "30day_")
    },
)


@cache
def database() -> Connection:
    """A database with one account, whose changes are taken back after each use."""
    connection = stores.new()
    transaction = Transaction(connection)
    user_id = users.create(transaction, "ada@example.com")
    ledger.open_account(transaction, user_id, currency="USD", is_virtual=True, at=0)
    return connection


@contextmanager
def a_database() -> Iterator[Transaction]:
    connection = database()
    connection.execute("BEGIN")
    try:
        yield Transaction(connection)
    finally:
        connection.execute("ROLLBACK")


def naive(
    contracts: list[tuple[int, int, int | None]], limits: Mapping[str, int], price: int, at: int
) -> bool:
    """Whether a purchase breaks a limit, day by day."""
    for name, most in limits.items():
        days = 7 if "_7day_" in name else 30 if "_30day_" in name else 1
        counted = [
            (cost, paid or 0)
            for bought, cost, paid in contracts
            if 0 <= at // DAY - bought // DAY < days
        ]
        used = sum(cost for cost, _ in counted)
        if name.endswith("losses"):
            used -= sum(paid for _, paid in counted)
        if used + price > most:
            return True
    return False


@given(CONTRACTS, LIMITS, AMOUNTS, st.integers(0, DAY - 1))
def test_the_windows_are_those_of_the_calendar(
    contracts: list[tuple[int, int, int | None]], limits: dict[str, int], price: int, second: int
) -> None:
    at = 40 * DAY + second
    with a_database() as transaction:
        for bought, cost, paid in contracts:
            transaction.execute(
                "INSERT INTO contracts (loginid, contract_type, shortcode, currency, price, payout,"
                " bought_at, status, sold_for)"
                " VALUES ('VRTC9000001', '', '', 'USD', ?, 0, ?, ?, ?)",
                cost,
                bought,
                "open" if paid is None else "sold",
                paid,
            )
        exclusion.tighten(transaction, "VRTC9000001", limits, at=at)
        try:
            exclusion.refuse_purchase(
                transaction, "VRTC9000001", currency="USD", price=price, held=0, at=at
            )
        except Refusal:
            refused = True
        else:
            refused = False
    assert refused == naive(contracts, limits, price, at)
