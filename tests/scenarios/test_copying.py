"""Copying: what a trader buys and sells, copiers buy and sell once, each by its own means.

The trader here is a user of its own, with a demo account that others copy with theirs.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from scopegate.exchange import copying, ledger, performance
from scopegate.exchange.desk import Desk
from scopegate.exchange.ledger import Account
from scopegate.exchange.rules import MAX_COPIERS, MAX_TRADERS
from scopegate.gateway.access import tokens
from scopegate.gateway.calls import token_form
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, World
from tests.conftest import Connected
from tests.scenarios.test_races import CALL, UP, bought, buying

NOT_ALLOWED = {
    "code": "CopyTradingNotAllowed",
    "message": "Trader does not allow copy trading.",
}


@dataclass
class Party:
    """Somebody with a demo account, and a connection that may do all with it."""

    world: World
    account: Account
    client: Client

    @property
    def loginid(self) -> str:
        return self.account.loginid

    async def done(self, request: dict[str, Any]) -> Any:
        """What a request that must not be refused is answered."""
        reply = await self.client.ask(request)
        assert "error" not in reply, reply["error"]
        return reply[reply["msg_type"]]

    async def rows(self) -> list[dict[str, Any]]:
        """The account's contracts, oldest first, as the book has them."""
        found = await self.world.gateway.store.read(
            lambda reader: reader.all(
                "SELECT * FROM contracts WHERE loginid = ? ORDER BY id", self.loginid
            )
        )
        return [dict(row) for row in found]

    async def copies(self) -> dict[int, str]:
        """The status of the account's copies, by the contract that they are of."""
        return {row["copied_from"]: row["status"] for row in await self.rows()}

    async def report(self) -> list[dict[str, Any]]:
        """What `copy_report` lists, oldest first."""
        body = await self.done({"copy_report": 1, "limit": 1_000})
        assert body["loginid"] == self.loginid
        listed: list[dict[str, Any]] = body["copies"]
        return listed[::-1]

    async def balance(self) -> int:
        return round((await self.done({"balance": 1}))["balance"] * 100)


async def party(world: World, name: str, client: Client | None = None) -> Party:
    """A new user's demo account."""
    *_, demo = await world.user(f"{name}@example.com")
    client = client or world.connect()
    await client.authorize(await world.token(loginid=demo.loginid))
    return Party(world, demo, client)


async def trader_of(world: World, client: Client | None = None) -> tuple[Party, str]:
    """A trader who lets others copy, and a token that is handed out."""
    trader = await party(world, "trader", client)
    await trader.done({"set_settings": 1, "allow_copiers": 1})
    return trader, await world.token("read", loginid=trader.loginid)


async def pair(world: World) -> tuple[Party, Party, str]:
    """A trader, a copier, and the token by which the one copies the other."""
    trader, text = await trader_of(world)
    copier = await party(world, "copier")
    await copier.done({"copy_start": text})
    return trader, copier, text


async def sold(party: Party, number: int) -> None:
    await party.done({"sell": number, "price": 0})


async def revoke(trader: Party, text: str) -> None:
    await trader.done({"api_token": 1, "delete_token": token_form.masked(text)})


async def check_books(world: World) -> None:
    """Every balance is the sum of its entries, and with the counter accounts all is nothing."""

    def job(reader: Transaction) -> tuple[list[Any], int]:
        wrong = reader.all(
            "SELECT loginid FROM accounts WHERE balance <> (SELECT coalesce(sum(amount), 0)"
            " FROM ledger WHERE ledger.loginid = accounts.loginid)"
        )
        net = reader.one(
            "SELECT (SELECT sum(balance) FROM accounts) + (SELECT sum(balance) FROM"
            " counter_accounts)"
        )
        assert net is not None
        return wrong, net[0]

    assert await world.gateway.store.read(job) == ([], 0)


async def test_a_trader_and_two_copiers(connected: Connected) -> None:
    """One copier is too poor for some, the other has a bound: each buys what it can, once."""
    world = connected.world
    trader, text = await trader_of(world, await connected.connect())
    poor = await party(world, "poor", await connected.connect())
    bounded = await party(world, "bounded", await connected.connect())
    await world.credit(2_500 - 1_000_000, poor.loginid)
    await poor.done({"copy_start": text})
    await bounded.done({"copy_start": text, "min_trade_stake": "5", "max_trade_stake": "12.5"})
    for copier in (poor, bounded):
        for stream in ("copy_report", "transaction", "balance", "proposal_open_contract"):
            await copier.client.ask({stream: 1, "subscribe": 1})

    numbers = {}
    for stake in (2, 10, 30):
        request = buying(CALL, key=f"stake-{stake}", amount=stake)
        numbers[stake] = await bought(trader.client, request)
        assert await bought(trader.client, request) == numbers[stake]  # repeated: nothing more
    assert await poor.copies() == {numbers[2]: "open", numbers[10]: "open"}
    assert await bounded.copies() == {numbers[10]: "open"}
    assert await poor.balance() == 2_500 - 1_200
    mine = {row["id"]: row for row in await trader.rows()}
    for copier in (poor, bounded):
        for row in await copier.rows():
            original = mine[row["copied_from"]]
            assert row["bought_at"] == original["bought_at"]
            for column in ("shortcode", "price", "payout"):
                assert row[column] == original[column]
        shown = await copier.done({"portfolio": 1})
        assert [each["contract_id"] for each in shown["contracts"]] == [
            row["id"] for row in await copier.rows()
        ]

    # The failure is told to its copier alone.
    assert [(each["trader_contract_id"], each.get("code")) for each in await poor.report()] == [
        (numbers[2], None),
        (numbers[10], None),
        (numbers[30], "InsufficientBalance"),
    ]
    assert [(each["trader_contract_id"], each.get("code")) for each in await bounded.report()] == [
        (numbers[2], "InvalidStakeLimit"),
        (numbers[10], None),
        (numbers[30], "InvalidStakeLimit"),
    ]
    assert await trader.report() == []
    [below, _, above] = await bounded.report()
    assert "below your minimum of USD 5.00" in below["message"]
    assert "above your maximum of USD 12.50" in above["message"]

    world.clock.advance(2)
    before = {copier.loginid: await copier.balance() for copier in (trader, poor, bounded)}
    await sold(trader, numbers[10])
    assert await poor.copies() == {numbers[2]: "open", numbers[10]: "sold"}
    assert await bounded.copies() == {numbers[10]: "sold"}
    # The same contract at the same moment is worth the same to everybody.
    after = {copier.loginid: await copier.balance() for copier in (trader, poor, bounded)}
    assert len({after[loginid] - before[loginid] for loginid in after}) == 1
    assert await trader.client.refused({"sell": numbers[10], "price": 0}) == "NoOpenPosition"

    # Each heard of its own on every stream, each thing once.
    for copier, refusals in ((poor, 1), (bounded, 2)):
        rows = await copier.rows()
        told: dict[str, list[Any]] = {}
        for message in copier.client.received:
            told.setdefault(message["msg_type"], []).append(message[message["msg_type"]])
        entries = [(each["action"], each["contract_id"]) for each in told["transaction"]]
        assert Counter(entries) == Counter(
            [("buy", row["id"]) for row in rows]
            + [("sell", row["id"]) for row in rows if row["status"] == "sold"]
        )
        assert len(told["balance"]) == len(entries)
        assert {each["contract_id"] for each in told["proposal_open_contract"]} == {
            row["id"] for row in rows
        }
        streamed = [copy for each in told["copy_report"] for copy in each["copies"]]
        assert streamed == await copier.report()
        assert sum("code" in each for each in streamed) == refusals

    # The token is revoked, and nothing more is copied: neither buys nor sells.
    await revoke(trader, text)
    await bought(trader.client, buying(CALL, amount=7))
    await sold(trader, numbers[2])
    assert await poor.copies() == {numbers[2]: "open", numbers[10]: "sold"}
    assert await bounded.copies() == {numbers[10]: "sold"}
    for copier in (poor, bounded):
        assert await copier.done({"copytrading_list": 1}) == {"copiers": [], "traders": []}
        assert copier.client.received == []
    # What is open is the copier's own, to sell or to settle.
    [row, _] = await poor.rows()
    await sold(poor, row["id"])
    await check_books(world)


async def test_what_a_trader_sells_after_its_copier_did_is_paid_once_to_each(world: World) -> None:
    trader, copier, _ = await pair(world)
    number = await bought(trader.client, buying(CALL, amount=10))
    world.clock.advance(2)
    [row] = await copier.rows()
    await sold(copier, row["id"])
    await sold(trader, number)
    assert await copier.copies() == {number: "sold"}
    # It was sold by the copier: of the trader's sale there is nothing to tell.
    assert [each["action"] for each in await copier.report()] == ["buy"]
    # And the other way round.
    number = await bought(trader.client, buying(CALL, amount=10))
    world.clock.advance(2)
    await sold(trader, number)
    [_, row] = await copier.rows()
    assert await copier.client.refused({"sell": row["id"], "price": 0}) == "NoOpenPosition"
    await check_books(world)


async def test_a_copy_settles_by_itself(world: World) -> None:
    trader, copier, _ = await pair(world)
    number = await bought(trader.client, buying(CALL, amount=10))
    world.clock.advance(400)
    await world.gateway.service(Desk).settled()
    [mine], [theirs] = await trader.rows(), await copier.rows()
    assert mine["status"] in ("won", "lost")
    for column in ("status", "sold_for", "sold_at", "exit_epoch"):
        assert theirs[column] == mine[column]
    assert [each["trader_contract_id"] for each in await copier.report()] == [number]


async def test_a_cancelled_deal_is_cancelled_for_its_copiers(world: World) -> None:
    trader, copier, _ = await pair(world)
    number = await bought(trader.client, buying({**UP, "cancellation": "5m"}))
    world.clock.advance(2)
    assert (await trader.done({"cancel": number}))["sold_for"] == 10
    assert await copier.copies() == {number: "cancelled"}
    [row] = await copier.rows()
    assert row["sold_for"] == 1_000
    assert [each["action"] for each in await copier.report()] == ["buy", "cancel"]


async def test_orders_stay_each_ones_own(world: World) -> None:
    """A copy begins with the trader's orders; later ones are not copied, and hinder no sale."""
    trader, copier, _ = await pair(world)
    number = await bought(trader.client, buying({**UP, "limit_order": {"take_profit": 900}}))
    [row] = await copier.rows()
    assert row["take_profit"] == 90_000
    world.clock.advance(1)
    update = {"contract_update": 1, "limit_order": {"take_profit": 800}}
    await trader.done({**update, "contract_id": number})
    [row] = await copier.rows()
    assert row["take_profit"] == 90_000
    await copier.done({**update, "contract_id": row["id"], "limit_order": {"stop_loss": 9}})
    await sold(trader, number)
    assert await copier.copies() == {number: "sold"}


async def test_a_copy_whose_orders_change_as_the_trader_sells_is_told_of(world: World) -> None:
    """Whichever is first, the trader's sale stands, and the copier knows how its copy stands."""
    trader, copier, _ = await pair(world)
    seen = set()
    for turns in range(12):
        number = await bought(trader.client, buying(UP))
        world.clock.advance(1)
        [*_, row] = await copier.rows()
        change = {
            "contract_update": 1,
            "contract_id": row["id"],
            "limit_order": {"take_profit": 500},
        }
        changing = asyncio.ensure_future(copier.client.ask(change))
        for _ in range(turns):
            await asyncio.sleep(0)
        await sold(trader, number)
        changed = "error" not in await changing
        status = (await copier.copies())[number]
        last = (await copier.report())[-1]
        assert last["trader_contract_id"] == number
        assert last["action"] == "sell"
        assert last["contract_id"] == row["id"]
        if status == "open":
            assert changed
            assert last["code"] == "ContractUpdateFailure"
            await sold(copier, row["id"])
        else:
            assert status == "sold"
            assert "code" not in last
        seen.add(status)
    assert seen == {"open", "sold"}  # each has come first at times
    await check_books(world)


async def test_only_what_is_wanted_is_copied(world: World) -> None:
    """Another symbol or type is no failure: it is not copied, and not told of."""
    trader, text = await trader_of(world)
    copier = await party(world, "copier")
    await copier.done({"copy_start": text, "assets": "R_100", "trade_types": ["CALL", "PUT"]})
    wanted = await bought(trader.client, buying(CALL, amount=1, symbol="R_100"))
    await bought(trader.client, buying(CALL, amount=1))
    await bought(trader.client, buying(CALL, amount=1, symbol="R_100", contract_type="CALLE"))
    assert await copier.copies() == {wanted: "open"}
    assert [each["trader_contract_id"] for each in await copier.report()] == [wanted]


async def test_what_is_bought_for_several_accounts_is_copied_too(world: World) -> None:
    trader, copier, _ = await pair(world)
    token = await world.token("trade", loginid=trader.loginid)
    client = world.connect()
    await client.authorize(await world.token("trade"))
    reply = await client.ask(
        {
            "buy_contract_for_multiple_accounts": 1,
            "price": 100,
            "parameters": {**CALL, "amount": 10},
            "tokens": [token],
        }
    )
    [result] = reply["buy_contract_for_multiple_accounts"]["result"]
    assert await copier.copies() == {result["contract_id"]: "open"}
    world.clock.advance(2)
    reply = await client.ask(
        {
            "sell_contract_for_multiple_accounts": 1,
            "price": 0,
            "shortcode": result["shortcode"],
            "tokens": [token],
        }
    )
    [sale] = reply["sell_contract_for_multiple_accounts"]["result"]
    assert "code" not in sale
    assert await copier.copies() == {result["contract_id"]: "sold"}


async def test_a_key_that_is_raced_is_copied_once(world: World) -> None:
    """As many requests under one key, all under way at once, are one buy, and one copy."""
    trader, copier, _ = await pair(world)
    token = await world.token("trade", loginid=trader.loginid)
    clients = [world.connect() for _ in range(8)]
    for client in clients:
        await client.authorize(token)
    request = buying(CALL, key="mine", amount=10)
    numbers = await asyncio.gather(*(bought(client, request) for client in clients))
    assert len(set(numbers)) == 1
    assert await copier.copies() == {numbers[0]: "open"}
    assert len(await copier.report()) == 1


async def test_a_copier_with_too_much_open_is_told(world: World) -> None:
    trader, copier, _ = await pair(world)
    await asyncio.gather(*(bought(copier.client, buying(CALL, amount=1)) for _ in range(100)))
    await bought(trader.client, buying(CALL, amount=1))
    [refusal] = await copier.report()
    assert refusal["code"] == "OpenPositionLimitExceeded"
    assert refusal["contract_id"] is None


async def test_a_refused_trade_of_the_traders_is_not_copied(world: World) -> None:
    trader, copier, _ = await pair(world)
    await world.credit(-999_900, trader.loginid)
    refused = buying(CALL, amount=10)
    assert await trader.client.refused(refused) == "InsufficientBalance"
    assert await copier.rows() == []
    assert await copier.report() == []


# Beginning and ending.


async def test_whoever_starts_again_goes_on_with_the_new_settings(world: World) -> None:
    trader, copier, text = await pair(world)
    [before] = (await copier.done({"copytrading_list": 1}))["traders"]
    assert before == {
        "assets": ["*"],
        "loginid": trader.loginid,
        "max_trade_stake": None,
        "min_trade_stake": None,
        "token": before["token"],
        "trade_types": ["*"],
    }
    await copier.done({"copy_start": text, "assets": ["R_50", "R_100"], "max_trade_stake": 3})
    [after] = (await copier.done({"copytrading_list": 1}))["traders"]
    assert after == before | {"assets": ["R_50", "R_100"], "max_trade_stake": 3}
    await bought(trader.client, buying(CALL, amount=2))
    assert await copier.rows() == []
    listed = await trader.done({"copytrading_list": 1})
    assert listed == {"copiers": [{"loginid": copier.loginid}], "traders": []}


@pytest.mark.parametrize("by", ["token", "handle"])
async def test_after_stopping_nothing_more_is_copied(world: World, by: str) -> None:
    trader, copier, text = await pair(world)
    number = await bought(trader.client, buying(CALL, amount=2))
    kept = await bought(trader.client, buying(CALL, amount=2))
    world.clock.advance(2)
    [listed] = (await copier.done({"copytrading_list": 1}))["traders"]
    named = text if by == "token" else listed["token"]
    reply = await copier.client.ask({"copy_stop": named})
    assert reply["copy_stop"] == 1
    assert reply["echo_req"]["copy_stop"] == token_form.NOT_SHOWN
    await bought(trader.client, buying(CALL, amount=2))
    await sold(trader, number)
    assert await copier.copies() == {number: "open", kept: "open"}
    assert await copier.client.refused({"copy_stop": named}) == "InvalidToken"
    assert (await copier.done({"copytrading_list": 1}))["traders"] == []
    # Who begins anew follows from then on, under the same handle.
    await copier.done({"copy_start": text})
    assert (await copier.done({"copytrading_list": 1}))["traders"] == [listed]
    await sold(trader, kept)
    later = await bought(trader.client, buying(CALL, amount=2))
    assert await copier.copies() == {number: "open", kept: "sold", later: "open"}


async def test_the_handle_opens_nothing(world: World) -> None:
    trader, copier, text = await pair(world)
    [listed] = (await copier.done({"copytrading_list": 1}))["traders"]
    handle = listed["token"]
    assert not token_form.holds_token(handle)
    stranger = await party(world, "stranger")
    for request in ({"authorize": handle}, {"copy_start": handle}, {"copy_stop": handle}):
        assert await stranger.client.refused(request) == "InvalidToken"
    await bought(trader.client, buying(CALL, amount=2))
    assert len(await copier.rows()) == 1
    # Nor does it tell the token: what is kept and shown is made without it.
    reply = await copier.client.ask({"copy_start": text})
    assert text not in str(reply)


async def test_taking_the_permission_back_ends_all_copying(world: World) -> None:
    trader, copier, text = await pair(world)
    assert (await trader.done({"get_settings": 1}))["allow_copiers"] == 1
    number = await bought(trader.client, buying(CALL, amount=2))
    world.clock.advance(2)
    await trader.done({"set_settings": 1, "first_name": "Ada"})  # has nothing to do with it
    assert len((await copier.done({"copytrading_list": 1}))["traders"]) == 1
    await trader.done({"set_settings": 1, "allow_copiers": 0})
    await bought(trader.client, buying(CALL, amount=2))
    await sold(trader, number)
    assert await copier.copies() == {number: "open"}
    assert (await copier.client.ask({"copy_start": text}))["error"] == NOT_ALLOWED
    # Allowing it anew brings nobody back who did not ask.
    await trader.done({"set_settings": 1, "allow_copiers": 1})
    await bought(trader.client, buying(CALL, amount=2))
    assert await copier.copies() == {number: "open"}


async def test_copying_ends_with_the_link_of_the_app_whose_token_it_hangs_on(world: World) -> None:
    trader, _ = await trader_of(world)
    app = await world.app("read", "trade")
    text = await world.token("read", loginid=trader.loginid, app=app)
    copier = await party(world, "copier", world.connect(app_id=app.id))
    await copier.done({"copy_start": text})
    number = await bought(trader.client, buying(CALL, amount=2))
    assert await copier.copies() == {number: "open"}
    assert (await trader.done({"revoke_oauth_app": app.id})) == 1
    await bought(trader.client, buying(CALL, amount=2))
    assert await copier.copies() == {number: "open"}
    assert (await trader.done({"copytrading_list": 1}))["copiers"] == []


async def test_copying_ends_with_the_token_that_started_it(world: World) -> None:
    """An app that was let trade for the copier starts to copy: revoked, it buys nothing more."""
    trader, text = await trader_of(world)
    copier = await party(world, "copier")
    app = await world.app("trade")
    bot = world.connect(app_id=app.id)
    await bot.authorize(await world.token("trade", loginid=copier.loginid, app=app))
    assert (await bot.ask({"copy_start": text}))["copy_start"] == 1
    number = await bought(trader.client, buying(CALL, amount=2))
    await copier.done({"revoke_oauth_app": app.id})
    # It has ended at once, not with the next purchase only.
    assert await copier.client.refused({"copy_stop": text}) == "InvalidToken"
    await bought(trader.client, buying(CALL, amount=2))
    assert await copier.copies() == {number: "open"}
    assert (await copier.done({"copytrading_list": 1}))["traders"] == []


async def test_copying_ends_with_a_token_that_runs_out(world: World) -> None:
    trader, _ = await trader_of(world)
    copier = await party(world, "copier")

    def job(transaction: Transaction) -> str:
        return tokens.create(
            transaction,
            tokens.NewToken(trader.loginid, "Short", [], expires_at=time.time() + 3_600),
        )

    text = await world.gateway.store.write(job)
    await copier.done({"copy_start": text})
    await world.gateway.store.write(
        lambda transaction: transaction.execute(
            "UPDATE tokens SET expires_at = ? WHERE expires_at IS NOT NULL", time.time() - 1
        )
    )
    await bought(trader.client, buying(CALL, amount=2))
    assert await copier.rows() == []


async def test_a_revocation_amid_buys_divides_them(world: World) -> None:
    """Every buy before it is copied, none after it, whatever is under way at once."""
    trader, _ = await trader_of(world)
    copier = await party(world, "copier")
    for round_ in range(10):
        text = await world.token("read", loginid=trader.loginid)
        await copier.done({"copy_start": text})
        known = len(await trader.rows())
        asked = [
            asyncio.ensure_future(bought(trader.client, buying(CALL, amount=1))) for _ in range(8)
        ]
        for _ in range(round_):
            await asyncio.sleep(0)
        await revoke(trader, text)
        before = await copier.copies()
        numbers = await asyncio.gather(*asked)
        # Not one was copied after the reply to the revocation.
        assert await copier.copies() == before
        mine = [row["id"] for row in await trader.rows()][known:]
        assert sorted(numbers) == mine
        copied = [number in before for number in mine]
        assert copied == sorted(copied, reverse=True)  # the first ones, and no later one
        world.clock.advance(1)
        for row in [*await trader.rows(), *await copier.rows()]:
            if row["status"] == "open":
                owner = trader if row["loginid"] == trader.loginid else copier
                await sold(owner, row["id"])
    await check_books(world)


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ("the trader's token", "InvalidToken"),
        ("the copier's token", "AuthorizationRequired"),
        ("the permission", "CopyTradingNotAllowed"),
    ],
)
async def test_nothing_begins_for_what_is_taken_back_meanwhile(
    world: World, ends: str, code: str
) -> None:
    """What is taken back is written first; the beginning that waits behind it does nothing."""
    trader, text = await trader_of(world)
    copier = await party(world, "copier")
    token = await world.token("trade", loginid=copier.loginid)
    client = world.connect()
    await client.authorize(token)
    owner = copier if ends == "the copier's token" else trader
    request = {
        "api_token": 1,
        "delete_token": token_form.masked(token if owner is copier else text),
    }
    if ends == "the permission":
        request = {"set_settings": 1, "allow_copiers": 0}
    done, begun = await asyncio.gather(owner.client.ask(request), client.ask({"copy_start": text}))
    assert "error" not in done
    assert begun["error"]["code"] == code
    await bought(trader.client, buying(CALL, amount=1))
    assert await copier.rows() == []


# What is refused.


async def test_who_may_not_be_copied(world: World) -> None:
    trader, text = await trader_of(world)
    silent = await party(world, "silent")
    copier = await party(world, "copier")
    token = await world.token("read", loginid=silent.loginid)
    assert (await copier.client.ask({"copy_start": token}))["error"] == NOT_ALLOWED
    own = await world.token("read", loginid=trader.loginid)
    assert await trader.client.refused({"copy_start": own}) == "CopyTradingNotAllowed"
    # Demo and real-style accounts do not mix.
    real = world.connect()
    await real.authorize(await world.token(loginid=world.real[0].loginid))
    assert await real.refused({"copy_start": text}) == "CopyTradingNotAllowed"


async def test_another_currency_cannot_be_copied(world: World) -> None:
    _, text = await trader_of(world)
    euros = await world.gateway.store.write(
        lambda transaction: ledger.open_account(
            transaction, world.demo.user_id, currency="EUR", is_virtual=True, at=0
        )
    )
    client = world.connect()
    await client.authorize(await world.token(loginid=euros.loginid))
    error = (await client.ask({"copy_start": text}))["error"]
    assert error["code"] == "CopyTradingWrongCurrency"
    assert "is in USD and yours in EUR" in error["message"]


async def test_copies_are_not_copied_again(world: World) -> None:
    _, copier, _ = await pair(world)
    await copier.done({"set_settings": 1, "allow_copiers": 1})
    token = await world.token("read", loginid=copier.loginid)
    third = await party(world, "third")
    error = (await third.client.ask({"copy_start": token}))["error"]
    assert error["code"] == "CopyTradingNotAllowed"
    assert "This trader copies others" in error["message"]


async def test_who_is_copied_copies_nobody(world: World) -> None:
    trader, _, _ = await pair(world)
    third = await party(world, "third")
    await third.done({"set_settings": 1, "allow_copiers": 1})
    token = await world.token("read", loginid=third.loginid)
    error = (await trader.client.ask({"copy_start": token}))["error"]
    assert error["code"] == "CopyTradingNotAllowed"
    assert "Others copy you" in error["message"]


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"min_trade_stake": 5, "max_trade_stake": 4.99}, "min_trade_stake"),
        ({"min_trade_stake": -1}, "min_trade_stake"),
        ({"max_trade_stake": 0}, "max_trade_stake"),
    ],
)
async def test_limits_that_nothing_fits_are_refused(
    world: World, limits: dict[str, float], field: str
) -> None:
    _, text = await trader_of(world)
    copier = await party(world, "copier")
    error = (await copier.client.ask({"copy_start": text, **limits}))["error"]
    assert error["code"] == "InvalidStakeLimit"
    assert error["details"].keys() == {field}


@pytest.mark.parametrize(
    "wanted", [{"assets": ["R_50", "R_5000"]}, {"trade_types": "CALLING"}], ids=str
)
async def test_what_is_not_offered_cannot_be_asked_for(
    world: World, wanted: dict[str, Any]
) -> None:
    _, text = await trader_of(world)
    copier = await party(world, "copier")
    error = (await copier.client.ask({"copy_start": text, **wanted}))["error"]
    assert error["code"] == "InputValidationFailed"
    assert error["details"].keys() == wanted.keys()


async def test_a_wrong_token_counts_as_one(world: World) -> None:
    """Guessing goes no faster here than at `authorize`."""
    copier = await party(world, "copier")
    guesses = [token_form.new_owner_token() for _ in range(6)]
    refused = [await copier.client.refused({"copy_start": guess}) for guess in guesses[:3]]
    refused += [await copier.client.refused({"copy_stop": guess}) for guess in guesses[3:]]
    assert refused == ["InvalidToken"] * 5 + ["RateLimit"]
    assert await copier.client.refused({"authorize": guesses[0]}) == "RateLimit"


async def test_a_trader_has_so_many_copiers_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_COPIERS == 100
    monkeypatch.setattr(copying, "MAX_COPIERS", 2)
    trader, text = await trader_of(world)
    first, second, third = [await party(world, f"copier{number}") for number in range(3)]
    await first.done({"copy_start": text})
    await second.done({"copy_start": text})
    error = (await third.client.ask({"copy_start": text}))["error"]
    assert error["code"] == "CopyTradingNotAllowed"
    await second.done({"copy_start": text, "max_trade_stake": 5})  # is one of the two
    await first.done({"copy_stop": text})
    await third.done({"copy_start": text})
    listed = (await trader.done({"copytrading_list": 1}))["copiers"]
    assert {each["loginid"] for each in listed} == {second.loginid, third.loginid}


async def test_an_account_copies_so_many_traders_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_TRADERS == 20
    monkeypatch.setattr(copying, "MAX_TRADERS", 1)
    _, copier, text = await pair(world)
    other = await party(world, "other")
    await other.done({"set_settings": 1, "allow_copiers": 1})
    token = await world.token("read", loginid=other.loginid)
    assert await copier.client.refused({"copy_start": token}) == "CopyTradingNotAllowed"
    await copier.done({"copy_start": text})
    await copier.done({"copy_stop": text})
    await copier.done({"copy_start": token})


async def test_a_full_house_of_copiers_buys_in_one_transaction(world: World) -> None:
    """As many as there may be: all of them have the copy when the trader has the reply."""
    trader, text = await trader_of(world)

    def job(transaction: Transaction) -> list[str]:
        accounts = [
            ledger.open_account(
                transaction, world.demo.user_id, currency="USD", is_virtual=True, at=0
            )
            for _ in range(MAX_COPIERS)
        ]
        for account in accounts[::2]:  # every second one has something to copy with
            loginid = account.loginid
            deposit = ledger.Posting(loginid=loginid, action="deposit", amount=1_500, at=0)
            ledger.post(transaction, deposit)
        return [
            tokens.create(transaction, tokens.NewToken(account.loginid, "Copier", ["trade"]))
            for account in accounts
        ]

    texts = await world.gateway.store.write(job)
    for held in texts:
        client = world.connect()
        await client.authorize(held)
        assert (await client.ask({"copy_start": text}))["copy_start"] == 1
        client.leave()
    number = await bought(trader.client, buying(CALL, amount=10))
    world.clock.advance(2)
    await sold(trader, number)

    def tell(reader: Transaction) -> tuple[Any, ...]:
        copies = reader.one(
            "SELECT count(*), count(DISTINCT loginid), count(CASE status WHEN 'sold' THEN 1 END)"
            " FROM contracts WHERE copied_from = ?",
            number,
        )
        reports = reader.one(
            "SELECT count(*), count(code) FROM copy_reports WHERE original = ?", number
        )
        assert copies is not None
        assert reports is not None
        return (*copies, *reports)

    assert await world.gateway.store.read(tell) == (50, 50, 50, 150, 50)
    await check_books(world)


# What is told.


async def test_reports_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MAX_REPORTS", 5)
    trader, copier, _ = await pair(world)
    numbers = [await bought(trader.client, buying(CALL, amount=1)) for _ in range(8)]
    assert [each["trader_contract_id"] for each in await copier.report()] == numbers[-5:]
    latest = await copier.done({"copy_report": 1, "limit": 2})
    assert [each["trader_contract_id"] for each in latest["copies"]] == numbers[:-3:-1]


async def test_a_report_is_listed_or_streamed_and_never_both(world: World) -> None:
    """A client that subscribes amid trading gets each trade once."""
    trader, copier, _ = await pair(world)
    for turns in range(12):
        asked = [
            asyncio.ensure_future(bought(trader.client, buying(CALL, amount=1))) for _ in range(4)
        ]
        for _ in range(turns):
            await asyncio.sleep(0)
        first = await copier.client.ask({"copy_report": 1, "subscribe": 1, "limit": 1_000})
        numbers = await asyncio.gather(*asked)
        heard = [each["trader_contract_id"] for each in first["copy_report"]["copies"]]
        for message in copier.client.received:
            assert message["copy_report"]["id"] == first["subscription"]["id"]
            heard += [each["trader_contract_id"] for each in message["copy_report"]["copies"]]
        assert set(numbers) <= set(heard)
        assert len(heard) == len(set(heard))
        ended = await copier.done({"forget_all": "copy_report"})
        assert ended == [first["subscription"]["id"]]


async def test_statistics_are_for_those_who_let_others_copy(world: World) -> None:
    trader = await party(world, "trader")
    stranger = world.connect()
    for loginid in (trader.loginid, "CR1"):  # whether there is one is not told
        request = {"copytrading_statistics": 1, "trader_id": loginid}
        assert (await stranger.ask(request))["error"] == NOT_ALLOWED
    await trader.done({"set_settings": 1, "allow_copiers": 1})
    request = {"copytrading_statistics": 1, "trader_id": trader.loginid}
    body = (await stranger.ask(request))["copytrading_statistics"]
    assert body == {
        "active_since": int(trader.account.created_at),
        "avg_duration": 0,
        "avg_loss": 0,
        "avg_profit": 0,
        "copiers": 0,
        "last_12months_profitable_trades": 0,
        "monthly_profitable_trades": {},
        "performance_probability": 0.5,
        "total_trades": 0,
        "trades_breakdown": {},
        "trades_profitable": 0,
        "yearly_profitable_trades": {},
    }


async def test_statistics_add_up_the_closed_contracts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader, _, _ = await pair(world)
    began = int(world.clock.now())
    for _ in range(30):
        await bought(trader.client, buying(CALL, amount=1, symbol="R_100"))
    world.clock.advance(400)
    await world.gateway.service(Desk).settled()
    numbers = [await bought(trader.client, buying(UP, amount=5)) for _ in range(3)]
    world.clock.advance(10)
    await sold(trader, numbers[0])  # the others stay open, and are not counted
    closed = [row for row in await trader.rows() if row["status"] != "open"]
    gains = [100 * (row["sold_for"] - row["price"]) / row["price"] for row in closed]
    won, lost = [g for g in gains if g > 0], [g for g in gains if g < 0]
    request = {"copytrading_statistics": 1, "trader_id": trader.loginid}
    body = (await world.connect().ask(request))["copytrading_statistics"]
    share = round(100 * len(won) / 31, 2)
    assert body.pop("performance_probability") == pytest.approx(
        0.0 if not won else 1.0, abs=0.02
    )  # thirty of one tick: all were won, or none
    assert body == {
        "active_since": began,
        "avg_duration": round(sum(r["sold_at"] - r["bought_at"] for r in closed) / 31),
        "avg_loss": round(sum(lost) / len(lost), 2) if lost else 0,
        "avg_profit": round(sum(won) / len(won), 2) if won else 0,
        "copiers": 1,
        "last_12months_profitable_trades": share,
        "monthly_profitable_trades": {"2026-01": share},
        "total_trades": 31,
        "trades_breakdown": {"synthetic_index": 100.0},
        "trades_profitable": share,
        "yearly_profitable_trades": {"2026": share},
    }
    # However long somebody has traded, only the latest are looked at.
    monkeypatch.setattr(
        performance, "_CLOSED", performance._CLOSED.replace(str(performance.LATEST), "1")
    )
    body = (await world.connect().ask(request))["copytrading_statistics"]
    assert body["total_trades"] == 31
    assert body["avg_duration"] == 10
