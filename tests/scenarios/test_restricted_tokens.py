"""Restricted tokens: the owner knows the worst that one can do."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import orjson
import pytest

from scopegate import testing
from scopegate.exchange import caps
from scopegate.exchange.reconciliation import cap_faults
from scopegate.gateway.access import guard, tokens
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls import token_form
from scopegate.handlers.exchange.absent_traders import AbsentTraders
from scopegate.schemas.restriction_messages import MAX_CAP
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, World
from tests.conftest import Connected, limited

CALL = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "R_100",
    "duration": 5,
    "duration_unit": "t",
}
MIDNIGHT = 1_767_312_000
"""The end of the day on which test gateways begin."""


def buy(amount: float = 10, **terms: Any) -> dict[str, Any]:
    return {"buy": "1", "price": amount, "parameters": CALL | {"amount": amount} | terms}


async def created(owner: Client, **more: Any) -> dict[str, Any]:
    request = {"token_create": 1, "name": "Bot", "scopes": ["read", "trade"], **more}
    reply = await owner.ask(request)
    assert "error" not in reply, reply["error"]
    made: dict[str, Any] = reply["token_create"]
    return made


async def bot_with(world: World, **restrictions: Any) -> Client:
    """A client with a token that has these restrictions."""
    made = await created(await world.owner(), restrictions=restrictions)
    bot = world.connect()
    await bot.authorize(made["token"])
    return bot


async def error_of(client: Client, request: dict[str, Any]) -> dict[str, Any]:
    reply = await client.ask(request)
    assert "error" in reply, reply
    error: dict[str, Any] = reply["error"]
    return error


async def test_a_token_trades_within_its_caps(connected: Connected) -> None:
    owner = await connected.world.owner()
    made = await created(owner, restrictions={"max_stake": 10, "max_stake_per_day": 25})
    assert made["in_force"] == [
        {
            "name": "Bot",
            "restrictions": {"max_stake": 10.0, "max_stake_per_day": 25.0},
            "set_for": "token",
            "use": {
                "currency": "USD",
                "max_loss_per_day": 0.0,
                "max_open_contracts": 0,
                "max_stake_per_day": 0.0,
                "max_transfer_per_day": 0.0,
            },
        }
    ]
    bot = await connected.connect()
    await bot.authorize(made["token"])
    error = await error_of(bot, buy(10.5))
    assert error["code"] == "TokenCapReached"
    assert error["details"] == {
        "cap": "max_stake",
        "value": 10.0,
        "remaining": 10.0,
        "currency": "USD",
    }
    for _ in range(2):
        assert "error" not in await bot.ask(buy(10))
    error = await error_of(bot, buy(5.01))
    assert error["details"] == {
        "cap": "max_stake_per_day",
        "value": 25.0,
        "remaining": 5.0,
        "currency": "USD",
        "resets_at": MIDNIGHT,
    }
    assert error["message"] == (
        "At most USD 25.00 may be staked a day under this token, and USD 5.00 of it remains until"
        " 2026-01-02 00:00 UTC. This would take USD 5.01."
    )
    assert "error" not in await bot.ask(buy(5))
    shown = (await bot.ask({"token_restrictions": 1}))["token_restrictions"]
    assert shown["in_force"][0]["use"]["max_stake_per_day"] == 25.0
    assert shown["token"] == token_form.masked(made["token"])


async def test_a_day_ends_at_midnight_of_the_market(world: World) -> None:
    bot = await bot_with(world, max_stake_per_day=10)
    assert "error" not in await bot.ask(buy())
    assert await bot.refused(buy(1)) == "TokenCapReached"
    world.clock.advance(MIDNIGHT - world.clock.now())
    assert "error" not in await bot.ask(buy())


async def test_an_open_contract_counts_as_lost(world: World) -> None:
    bot = await bot_with(world, max_loss_per_day=20)
    bought = (await bot.ask(buy(20, duration=1, duration_unit="h")))["buy"]
    error = await error_of(bot, buy(0.35))
    assert error["details"]["cap"] == "max_loss_per_day"
    assert error["details"]["remaining"] == 0.0
    # Caps never prevent a sale; then only what was really lost counts.
    world.clock.advance(20)
    sold = (await bot.ask({"sell": bought["contract_id"], "price": 0}))["sell"]["sold_for"]
    lost = 20 - sold
    shown = (await bot.ask({"token_restrictions": 1}))["token_restrictions"]
    assert shown["in_force"][0]["use"]["max_loss_per_day"] == pytest.approx(max(0, lost))
    remains = round(20 - max(0, lost), 2)
    assert await bot.refused(buy(remains + 0.01)) == "TokenCapReached"
    assert "error" not in await bot.ask(buy(remains))


async def test_a_gain_never_lets_more_be_at_risk(world: World) -> None:
    """What is open at midnight may all be lost on the next day."""
    bot = await bot_with(world, max_loss_per_day=20)
    for _ in range(40):
        bought = (await bot.ask(buy(10)))["buy"]
        world.clock.advance(15)
        await world.caught_up()
        table = (await bot.ask({"profit_table": 1, "limit": 1}))["profit_table"]["transactions"]
        if table and table[0]["sell_price"] > 0:
            break
        assert bought
        world.clock.advance(86_400)
    else:
        pytest.fail("nothing was won")
    assert await bot.refused(buy(20.01, duration=1, duration_unit="h")) == "TokenCapReached"
    assert "error" not in await bot.ask(buy(20, duration=1, duration_unit="h"))
    assert await bot.refused(buy(1)) == "TokenCapReached"


async def test_the_number_of_open_contracts_is_bounded(world: World) -> None:
    bot = await bot_with(world, max_open_contracts=2)
    for _ in range(2):
        assert "error" not in await bot.ask(buy())
    error = await error_of(bot, buy())
    assert error["details"] == {"cap": "max_open_contracts", "value": 2, "remaining": 0}
    world.clock.advance(30)
    await world.caught_up()
    assert "error" not in await bot.ask(buy())


@pytest.mark.parametrize(
    ("restrictions", "allowed", "forbidden"),
    [
        ({"symbols": ["R_100", "R_50"]}, {}, {"symbol": "R_75"}),
        ({"markets": ["synthetic_index"]}, {}, {"symbol": "frxEURUSD"}),
        ({"contract_types": ["CALL"]}, {}, {"contract_type": "PUT"}),
    ],
)
async def test_only_what_is_listed_is_traded(
    world: World,
    restrictions: dict[str, Any],
    allowed: dict[str, Any],
    forbidden: dict[str, Any],
) -> None:
    bot = await bot_with(world, **restrictions)
    assert "error" not in await bot.ask(buy(**allowed))
    [(name, values)] = restrictions.items()
    if "frx" in forbidden.get("symbol", ""):
        forbidden |= {"duration": 1, "duration_unit": "h"}
    error = await error_of(bot, buy(**forbidden))
    assert error["code"] == "TokenRestricted"
    assert error["details"] == {"restriction": name, "allowed": values}


async def test_nothing_is_bought_in_excluded_hours(world: World) -> None:
    bot = await bot_with(world, no_trading=["11:30-12:30", "22:00-06:00"])
    error = await error_of(bot, buy())
    assert error["code"] == "TokenRestricted"
    assert error["details"] == {
        "restriction": "no_trading",
        "hours": "11:30-12:30",
        "resumes_at": MIDNIGHT - 43_200 + 1_800,
    }
    world.clock.advance(1_800)
    assert "error" not in await bot.ask(buy())
    world.clock.advance(9.5 * 3_600)
    assert (await error_of(bot, buy()))["details"]["resumes_at"] == MIDNIGHT + 6 * 3_600
    world.clock.advance(8 * 3_600)
    assert "error" not in await bot.ask(buy())


async def test_transfers_are_capped(world: World) -> None:
    owner = await world.owner()
    [payer, payee] = [account.loginid for account in world.real]
    made = await created(
        owner,
        loginid=payer,
        scopes=["read", "payments"],
        restrictions={"max_transfer_per_day": 30},
    )
    bot = world.connect()
    await bot.authorize(made["token"])

    def transfer(amount: float) -> dict[str, Any]:
        return {
            "transfer_between_accounts": 1,
            "account_from": payer,
            "account_to": payee,
            "amount": amount,
            "currency": "USD",
        }

    assert "error" not in await bot.ask(transfer(20))
    error = await error_of(bot, transfer(10.01))
    assert error["details"]["cap"] == "max_transfer_per_day"
    assert error["details"]["remaining"] == 10.0
    assert "error" not in await bot.ask(transfer(10))


async def test_racing_trades_do_not_exceed_a_cap_together(connected: Connected) -> None:
    owner = await connected.world.owner()
    made = await created(owner, restrictions={"max_stake_per_day": 50})
    bots = []
    for _ in range(10):
        bot = await connected.connect()
        await bot.authorize(made["token"])
        bots.append(bot)
    replies = await asyncio.gather(*(bot.ask(buy(7)) for bot in bots * 3))
    assert sum("error" not in reply for reply in replies) == 7
    assert {reply["error"]["code"] for reply in replies if "error" in reply} == {"TokenCapReached"}


async def test_children_count_for_their_parents(world: World) -> None:
    made = await created(
        await world.owner(),
        scopes=["read", "trade", "admin"],
        restrictions={"max_stake_per_day": 30},
    )
    parent = world.connect()
    await parent.authorize(made["token"])
    child_made = await created(parent, name="Child", restrictions={"max_stake_per_day": 20})
    assert [each["name"] for each in child_made["in_force"]] == ["Child", "Bot"]
    child, grandchild = world.connect(), world.connect()
    await child.authorize(child_made["token"])
    # A token of the published call is not less restricted either.
    reply = await parent.ask(
        {"api_token": 1, "new_token": "Plain", "new_token_scopes": ["read", "trade"]}
    )
    [plain] = [t for t in reply["api_token"]["tokens"] if t["display_name"] == "Plain"]
    await grandchild.authorize(plain["token"])
    assert "error" not in await child.ask(buy(20))
    assert (await error_of(child, buy(1)))["details"]["value"] == 20.0
    error = await error_of(grandchild, buy(10.5))
    assert error["details"]["value"] == 30.0
    assert error["details"]["remaining"] == 10.0
    assert "error" not in await grandchild.ask(buy(10))
    assert await parent.refused(buy(1)) == "TokenCapReached"


async def test_a_cap_can_be_tightened_while_a_bot_trades(connected: Connected) -> None:
    owner = await connected.world.owner()
    made = await created(owner)
    assert made["in_force"] == []
    bot = await connected.connect()
    await bot.authorize(made["token"])
    assert "error" not in await bot.ask(buy(10))
    request = {
        "token_restrict": token_form.masked(made["token"]),
        "restrictions": {"max_stake": 5},
    }
    reply = await owner.ask(request)
    assert reply["token_restrict"]["in_force"][0]["restrictions"] == {"max_stake": 5.0}
    assert await bot.refused(buy(10)) == "TokenCapReached"
    # At the pages the owner may also loosen it again.
    assert "error" not in await owner.ask(request | {"restrictions": {"max_stake": 15}})
    assert "error" not in await bot.ask(buy(15))


async def test_a_token_only_makes_restrictions_stricter(world: World) -> None:
    made = await created(
        await world.owner(), scopes=["trade", "admin"], restrictions={"max_stake": 10}
    )
    bot = world.connect()
    await bot.authorize(made["token"])
    own = {"token_restrict": made["token"]}
    for looser in ({"max_stake": 11}, {}, {"symbols": ["R_100"]}):
        error = await error_of(bot, own | {"restrictions": looser})
        assert error["code"] == "TokenRestricted"
        assert error["details"] == {"restrictions.max_stake": "Less strict than before."}
    stricter = {"max_stake": 9, "symbols": ["R_100"]}
    assert "error" not in await bot.ask(own | {"restrictions": stricter})
    assert await bot.refused(buy(10)) == "TokenCapReached"


async def test_restrictions_set_later_hold_for_children_too(world: World) -> None:
    owner = await world.owner()
    made = await created(owner, scopes=["read", "trade", "admin"])
    parent = world.connect()
    await parent.authorize(made["token"])
    inherited = await created(parent, name="Inherits")
    own = await created(parent, name="Own", restrictions={"max_stake": 10})
    inheriting, restricted = world.connect(), world.connect()
    await inheriting.authorize(inherited["token"])
    await restricted.authorize(own["token"])
    bought = (await restricted.ask(buy(10, duration=1, duration_unit="h")))["buy"]
    mask = token_form.masked(made["token"])
    request = {"token_restrict": mask, "restrictions": {"max_loss_per_day": 15}}
    # What the restricted child has open counts for its parent from now on, and what an
    # unrestricted token has bought before does not.
    [body] = (await owner.ask(request))["token_restrict"]["in_force"]
    assert body["use"]["max_loss_per_day"] == 10.0
    assert await inheriting.refused(buy(5.01)) == "TokenCapReached"
    assert await restricted.refused(buy(5.01)) == "TokenCapReached"
    assert "error" not in await inheriting.ask(buy(5, duration=1, duration_unit="h"))
    world.clock.advance(20)
    await restricted.ask({"sell": bought["contract_id"], "price": 0})
    [body] = (await parent.ask({"token_restrictions": 1}))["token_restrictions"]["in_force"]
    assert body["use"]["max_open_contracts"] == 1
    # A child that was restricted itself ends with its parent, as any.
    assert "error" not in await owner.ask({"api_token": 1, "delete_token": mask})
    assert await restricted.refused({"balance": 1}) == "AuthorizationRequired"


async def test_a_token_works_from_its_networks_alone(world: World) -> None:
    owner = await world.owner()
    made = await created(owner, restrictions={"networks": ["10.1.0.0/16", "2001:db8::/32"]})
    token = made["token"]
    inside = world.connect(address="10.1.2.3")
    await inside.authorize(token)
    await world.connect(address="2001:db8::5").authorize(token)
    error = await error_of(world.connect(address="10.2.0.1"), {"authorize": token})
    assert error["code"] == "InvalidToken"
    assert "networks" in error["details"]
    # An edit acts on connections that are signed in.
    request = {"token_restrict": token, "restrictions": {"networks": ["10.1.2.4"]}}
    assert "error" not in await owner.ask(request)
    error = await error_of(inside, {"balance": 1})
    assert "networks" in error["details"]


async def test_networks_may_be_written_as_mapped_addresses(world: World) -> None:
    made = await created(
        await world.owner(), restrictions={"networks": ["::ffff:10.1.2.0/120", "2001:db8::/32"]}
    )
    networks = made["in_force"][0]["restrictions"]["networks"]
    assert networks == ["10.1.2.0/24", "2001:db8::/32"]
    await world.connect(address="10.1.2.3").authorize(made["token"])
    await world.connect(address="::ffff:10.1.2.4").authorize(made["token"])
    assert await world.connect(address="10.1.3.1").refused({"authorize": made["token"]})


async def test_the_caps_of_an_app_stay_in_their_currency(world: World) -> None:
    """An app that opens an account does not turn USD 5 into BTC 5."""
    owner, app = await world.owner(), await world.app("read", "trade", "admin")
    request = {"app_restrict": app.id, "restrictions": {"max_stake": 5}}
    connected = world.connect(app_id=app.id)
    await connected.authorize(await world.token("read", "trade", "admin", app=app))
    [before] = (await owner.ask(request))["app_restrict"]["in_force"]
    opened = await connected.ask({"new_account_real": 1, "currency": "BTC"})
    assert opened["new_account_real"]["client_id"] < world.demo.loginid
    [after] = (await owner.ask(request))["app_restrict"]["in_force"]
    assert before["use"]["currency"] == after["use"]["currency"] == "USD"
    trail = (await owner.ask({"audit_trail": 1}))["audit_trail"]
    assert "max_stake" in next(e for e in trail if e["event"] == "app restricted")["about"]


async def test_a_currency_that_is_chosen_later_is_that_of_the_caps(world: World) -> None:
    """What was used in the old currency is not taken for amounts of the new one."""
    owner = await world.owner()
    made = await created(
        owner, scopes=["read", "trade", "admin"], restrictions={"max_open_contracts": 9}
    )
    bot = world.connect()
    await bot.authorize(made["token"])
    bought = (await bot.ask(buy(10, duration=1, duration_unit="h")))["buy"]

    def change(transaction: Transaction) -> None:
        number, user_id = transaction.single("SELECT max(id), max(user_id) FROM caps")
        limits, _ = caps.get(transaction, number, 0)
        for currency in ("EUR", "USD"):
            changed = replace(limits, currency=currency)
            caps.put(transaction, number, None, changed, user_id=user_id)
            at_risk = caps.get(transaction, number, int(world.clock.now()))[1].at_risk
            assert at_risk == (1_000 if currency == "USD" else 0)

    await world.gateway.store.write(change)
    world.clock.advance(20)
    await bot.ask({"sell": bought["contract_id"], "price": 0})
    [body] = (await bot.ask({"token_restrictions": 1}))["token_restrictions"]["in_force"]
    assert body["use"]["max_loss_per_day"] < 10
    assert await world.gateway.store.read(lambda reader: list(cap_faults(reader))) == []


async def test_the_highest_cap_fits_every_currency(world: World) -> None:
    account = await world.open_account(currency="BTC")
    owner = await world.owner()
    request = {"token_create": 1, "name": "X", "scopes": ["read"], "loginid": account.loginid}
    for amount, fits in ((MAX_CAP, True), (MAX_CAP + 1, False)):
        restrictions = {"max_stake_per_day": amount, "max_loss_per_day": amount}
        reply = await owner.ask(request | {"restrictions": restrictions})
        assert ("error" not in reply) is fits
    assert reply["error"]["code"] == "InputValidationFailed"


async def test_a_token_reaches_its_accounts_alone(world: World) -> None:
    owner = await world.owner()
    [first, second] = [account.loginid for account in world.real]
    restrictions = {"accounts": [first]}
    made = await created(
        owner, loginid=first, scopes=["read", "payments"], restrictions=restrictions
    )
    bot = world.connect()
    listed = await bot.authorize(made["token"])
    assert [account["loginid"] for account in listed["account_list"]] == [first]
    reply = await bot.ask(
        {
            "transfer_between_accounts": 1,
            "account_from": first,
            "account_to": second,
            "amount": 1,
            "currency": "USD",
        }
    )
    assert "error" in reply
    request = {"token_create": 1, "name": "X", "scopes": ["read"], "loginid": second}
    error = await error_of(owner, request | {"restrictions": restrictions})
    assert list(error["details"]) == ["restrictions.accounts"]


async def test_calls_a_minute_are_counted_on_all_connections(world: World) -> None:
    made = await created(await world.owner(), restrictions={"calls_per_minute": 5})
    bots = [world.connect() for _ in range(2)]
    for bot in bots:
        await bot.authorize(made["token"])
    replies = [await bot.ask({"balance": 1}) for _ in range(3) for bot in bots]
    errors = [reply["error"] for reply in replies if "error" in reply]
    assert [error["code"] for error in errors] == ["RateLimit"]
    assert errors[0]["details"] == {"limit": "5 calls a minute of this token"}


async def test_rotation_resets_nothing(world: World) -> None:
    owner = await world.owner()
    made = await created(
        owner, scopes=["read", "trade", "admin"], restrictions={"max_stake_per_day": 10}
    )
    bot, child = world.connect(), world.connect()
    await bot.authorize(made["token"])
    child_made = await created(bot, name="Child")
    await child.authorize(child_made["token"])
    assert "error" not in await bot.ask(buy(6))
    rotated = (await owner.ask({"token_rotate": made["token"], "overlap": 60}))["token_rotate"]
    assert rotated["name"] == "Bot"
    assert rotated["token"] != made["token"]
    fresh = world.connect()
    await fresh.authorize(rotated["token"])
    # Both work during the overlap, and share what remains.
    for client in (bot, fresh, child):
        assert (await error_of(client, buy(4.5)))["details"]["remaining"] == 4.0
    # Without an overlap the old secret ends at once; the child stays.
    again = (await owner.ask({"token_rotate": rotated["token"]}))["token_rotate"]
    assert await fresh.refused({"balance": 1}) == "AuthorizationRequired"
    await world.connect().authorize(again["token"])
    assert "error" not in await child.ask(buy(4))


async def test_a_token_rotates_only_itself_and_its_children(world: World) -> None:
    """Else a restricted token could get the secret of one that is not."""
    owner = await world.owner()
    free = await created(owner, name="Free", scopes=["read", "trade", "admin"])
    made = await created(owner, scopes=["read", "admin"], restrictions={"max_stake": 1})
    bot = world.connect()
    await bot.authorize(made["token"])
    child = await created(bot, name="Child", scopes=["read"])
    mask = token_form.masked(free["token"])
    error = await error_of(bot, {"token_rotate": mask})
    assert error["code"] == "PermissionDenied"
    assert "only that token" in error["message"]
    assert "error" not in await bot.ask({"token_rotate": child["token"]})
    assert "error" not in await owner.ask({"token_rotate": mask})


async def test_a_token_that_rotates_itself_gets_the_reply_first(world: World) -> None:
    made = await created(await world.owner(), scopes=["read", "admin"])
    bot = world.connect()
    await bot.authorize(made["token"])
    stream = await bot.ask({"balance": 1, "subscribe": 1})
    bot.send_text(orjson.dumps({"token_rotate": made["token"]}))
    messages = [await bot.next() for _ in range(2)]
    assert [message["msg_type"] for message in messages] == ["token_rotate", "balance"]
    assert messages[1]["subscription"] == stream["subscription"]
    assert messages[1]["error"]["code"] == "InvalidToken"
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
    await bot.authorize(messages[0]["token_rotate"]["token"])


async def test_an_overlap_does_not_prolong_a_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, now = await world.owner(), int(time.time())
    made = await created(owner, expires_at=now + 60)
    await owner.ask({"token_rotate": made["token"], "overlap": 86_400})
    bot = world.connect()
    await bot.authorize(made["token"])
    monkeypatch.setattr(time, "time", lambda: now + 61.0)
    assert await world.connect().refused({"authorize": made["token"]}) == "InvalidToken"
    assert await bot.refused(buy()) == "AuthorizationRequired"


@pytest.mark.parametrize("restrictions", [None, {"max_stake": 20}])
async def test_what_restricts_or_ends_a_rotated_token_holds_for_its_old_secret(
    world: World, restrictions: dict[str, Any] | None
) -> None:
    owner = await world.owner()
    before = {} if restrictions is None else {"restrictions": restrictions}
    made = await created(owner, **before)
    bot, elsewhere = world.connect(address="10.0.0.1"), world.connect(address="10.0.0.2")
    for client in (bot, elsewhere):
        await client.authorize(made["token"])
    rotated = (await owner.ask({"token_rotate": made["token"], "overlap": 60}))["token_rotate"]
    request = {
        "token_restrict": rotated["token"],
        "restrictions": {"max_stake": 5, "networks": ["10.0.0.1"]},
    }
    assert "error" not in await owner.ask(request)
    assert await bot.refused(buy(10)) == "TokenCapReached"
    assert await elsewhere.refused({"balance": 1}) == "AuthorizationRequired"
    mask = token_form.masked(rotated["token"])
    await owner.ask({"api_token": 1, "delete_token": mask})
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"


async def test_rotation_resets_no_rate_limit() -> None:
    """The new secret, and the children of the token, have the limit of the first."""
    async with limited(limits="deriv") as world:
        owner = await world.owner()
        made = await created(owner, scopes=["read", "admin"])
        bot = world.connect()
        await bot.authorize(made["token"])
        children = [await created(bot, name=f"Child {n}", scopes=["read"]) for n in range(2)]
        text = made["token"]
        for overlap in (60, 0):
            reply = await owner.ask({"token_rotate": text, "overlap": overlap})
            text = reply["token_rotate"]["token"]
        while (reply := await bot.ask({"balance": 1})).get("error") is None:
            pass
        assert reply["error"]["code"] == "RateLimit"
        for each in (text, *(child["token"] for child in children)):
            client = world.connect()
            await client.authorize(each)
            assert await client.refused({"balance": 1}) == "RateLimit"


async def test_a_token_can_be_rotated_when_the_account_has_no_room_for_more(world: World) -> None:
    def fill(transaction: Transaction) -> None:
        held = len(tokens.listed(transaction, made_for))
        for number in range(tokens.MAX_PER_USER - held):
            tokens.create(transaction, tokens.NewToken(made_for, f"T {number}", ["read"]))

    owner, made_for = await world.owner(), world.demo.loginid
    made = await created(owner)
    await world.gateway.store.write(fill)
    request = {"token_rotate": token_form.masked(made["token"])}
    assert await owner.refused(request | {"overlap": 60}) == "TooManyTokens"
    assert "error" not in await owner.ask(request)


async def test_what_restricts_or_ends_a_token_holds_for_accounts_opened_with_it(
    world: World,
) -> None:
    owner = await world.owner()
    made = await created(owner, scopes=["read", "trade", "admin"])
    bot, other = world.connect(), world.connect()
    await bot.authorize(made["token"])
    opened = (await bot.ask({"new_account_real": 1, "currency": "USD"}))["new_account_real"]
    await other.authorize(opened["oauth_token"])
    mask = token_form.masked(made["token"])
    await owner.ask({"token_restrict": mask, "restrictions": {"max_stake": 1}})
    assert await other.refused(buy(10)) == "TokenCapReached"
    await owner.ask({"api_token": 1, "delete_token": mask})
    assert await other.refused({"balance": 1}) == "AuthorizationRequired"


async def test_what_nobody_is_connected_for_is_sold(world: World) -> None:
    absent = world.service(AbsentTraders)
    made = await created(await world.owner(), restrictions={"close_on_disconnect": 20})
    bot, child = world.connect(), world.connect()
    for client in (bot, child):
        await client.authorize(made["token"])
    bought = (await bot.ask(buy(10, duration=1, duration_unit="h")))["buy"]
    short = (await bot.ask(buy(10, duration=5, duration_unit="m")))["buy"]
    world.clock.advance(20)
    now = time.time()

    async def open_ids() -> set[int]:
        owner = await world.owner()
        contracts = (await owner.ask({"portfolio": 1}))["portfolio"]["contracts"]
        return {contract["contract_id"] for contract in contracts}

    both = {bought["contract_id"], short["contract_id"]}
    await absent.check(now)
    bot.leave()
    await absent.check(now + 1_000)  # another connection has the token
    child.leave()
    await absent.check(now + 1_001)
    await absent.check(now + 1_020)
    assert await open_ids() == both
    # Somebody comes back in time, and goes again.
    back = world.connect()
    await back.authorize(made["token"])
    await absent.check(now + 1_020.5)
    back.leave()
    await absent.check(now + 1_021)
    await absent.check(now + 1_040.9)
    assert await open_ids() == both
    # It makes no difference that the token is revoked meanwhile.
    owner = await world.owner()
    await owner.ask({"api_token": 1, "delete_token": token_form.masked(made["token"])})
    await absent.check(now + 1_041)
    assert await open_ids() == set()


async def test_a_short_connection_counts_as_one(world: World) -> None:
    """A bot that connects, buys and leaves between two checks was connected then."""
    absent, now = world.service(AbsentTraders), time.time()
    made = await created(await world.owner(), restrictions={"close_on_disconnect": 20})

    async def visit() -> int:
        bot = world.connect()
        await bot.authorize(made["token"])
        bought = await bot.ask(buy(10, duration=1, duration_unit="h"))
        number: int = bought["buy"]["contract_id"]
        world.clock.advance(20)
        bot.leave()
        return number

    async def open_ids() -> set[int]:
        owner = await world.owner()
        contracts = (await owner.ask({"portfolio": 1}))["portfolio"]["contracts"]
        return {contract["contract_id"] for contract in contracts}

    first = await visit()
    await absent.check(now)
    assert await open_ids() == {first}
    await absent.check(now + 20)
    assert await open_ids() == set()
    second = await visit()
    await absent.check(now + 1_000)
    await absent.check(now + 1_019)
    assert await open_ids() == {second}
    await absent.check(now + 1_020)
    assert await open_ids() == set()


async def test_tokens_that_have_left_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_LEFT", 5)
    async with testing.world() as world:
        owner, access = await world.owner(), world.service(Access)
        for number in range(20):
            made = await created(owner, name=f"T {number}", restrictions={"max_stake": 1})
            bot = world.connect()
            await bot.authorize(made["token"])
            bot.leave()
        assert len(access._restricted) <= 5 + 2 * 2


async def test_a_token_expires(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await world.owner()
    now = int(time.time())
    error = await error_of(
        owner, {"token_create": 1, "name": "Old", "scopes": ["read"], "expires_at": now - 1}
    )
    assert error["details"] == {"expires_at": "Must be in the future."}
    made = await created(owner, expires_at=now + 3_600)
    assert made["expires_at"] == now + 3_600
    bot = world.connect()
    await bot.authorize(made["token"])
    monkeypatch.setattr(time, "time", lambda: now + 3_601.0)
    assert await world.connect().refused({"authorize": made["token"]}) == "InvalidToken"
    assert await bot.refused(buy()) == "AuthorizationRequired"


async def test_the_owner_moves_or_removes_an_expiry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    made = await created(await world.owner(), scopes=["read", "admin"], expires_at=now + 3_600)
    bot = world.connect()
    await bot.authorize(made["token"])
    child = await created(bot, name="Child", scopes=["read"])
    assert child["expires_at"] == now + 3_600
    # With a token it can only come earlier.
    request = {"token_restrict": token_form.masked(made["token"]), "restrictions": {}}
    for expires_at in (0, now + 7_200):
        reply = await bot.ask(request | {"expires_at": expires_at})
        assert reply["token_restrict"]["expires_at"] == now + 3_600
    owner = await world.owner()
    error = await error_of(owner, request | {"expires_at": now - 1})
    assert error["details"] == {"expires_at": "Must be in the future."}
    reply = await owner.ask(request | {"expires_at": 0})
    assert reply["token_restrict"]["expires_at"] is None
    monkeypatch.setattr(time, "time", lambda: now + 3_601.0)
    assert "error" not in await bot.ask({"balance": 1})
    assert "error" not in await world.connect().ask({"authorize": made["token"]})
    # What was created with it keeps its own.
    assert await world.connect().refused({"authorize": child["token"]}) == "InvalidToken"


async def test_a_new_token_can_work_from_one_address_only(world: World) -> None:
    made = await created(
        await world.owner(), valid_for_current_ip_only=1, restrictions={"max_stake": 5}
    )
    [listed] = [
        token
        for token in (await (await world.owner()).ask({"token_list": 1}))["token_list"]
        if token["name"] == "Bot"
    ]
    await world.connect(address=listed["valid_for_ip"]).authorize(made["token"])
    other = world.connect(address="10.9.9.9")
    assert await other.refused({"authorize": made["token"]}) == "InvalidToken"


async def test_the_list_of_tokens_shows_restrictions_and_their_use(world: World) -> None:
    owner = await world.owner()
    expires_at = int(time.time()) + 86_400
    made = await created(
        owner,
        scopes=["read", "trade", "admin"],
        restrictions={"max_stake_per_day": 30},
        expires_at=expires_at,
    )
    parent = world.connect()
    await parent.authorize(made["token"])
    await created(parent, name="Child", restrictions={"max_stake": 20})
    await created(parent, name="Plain")
    assert "error" not in await parent.ask(buy(12))
    listed = {each["name"]: each for each in (await owner.ask({"token_list": 1}))["token_list"]}
    assert listed["Bot"]["expires_at"] == expires_at
    [own] = listed["Bot"]["in_force"]
    assert (own["name"], own["set_for"]) == ("Bot", "token")
    assert own["use"]["max_stake_per_day"] == 12.0
    assert [hint["kind"] for hint in listed["Bot"]["hints"]] == ["expires_soon"]
    child = listed["Child"]["in_force"]
    assert [(each["set_for"], each["restrictions"]) for each in child] == [
        ("token", {"max_stake": 20.0}),
        ("parent", {"max_stake_per_day": 30.0}),
    ]
    assert listed["Child"]["parent"]["name"] == "Bot"
    [inherited] = listed["Plain"]["in_force"]
    assert (inherited["name"], inherited["set_for"]) == ("Bot", "parent")


async def test_hints_name_unused_tokens_and_unneeded_scopes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await world.owner()
    scopes = ["read", "trade", "admin"]
    await created(owner, name="Idle")
    made = [await created(owner, name=name, scopes=scopes) for name in ("Reader", "Parent")]
    reader, parent, child = (world.connect() for _ in range(3))
    await reader.authorize(made[0]["token"])
    await parent.authorize(made[1]["token"])
    await child.authorize((await created(parent, name="Child"))["token"])
    await reader.ask({"balance": 1})
    await child.ask(buy(1))
    await owner.ask({"token_list": 1})  # writes when they were used

    async def hints_after(days: float) -> dict[str, list[str]]:
        later = time.time() + days * 86_400
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: later)
            reply = await (await world.owner()).ask({"token_list": 1})
        return {
            token["name"]: [hint["words"] for hint in token["hints"]]
            for token in reply["token_list"]
            if token["name"] in ("Idle", "Reader", "Parent", "Child")
        }

    assert not any((await hints_after(6)).values())
    assert await hints_after(8) == {
        "Idle": [],
        "Reader": ["Has never used the permissions trade or admin: use a read-only token instead?"],
        "Parent": [],  # its child has traded
        "Child": [],
    }
    assert set(map(tuple, (await hints_after(91)).values())) == {
        ("Not used for 90 days: delete it?",)
    }


async def test_invalid_restrictions_are_named(world: World) -> None:
    owner = await world.owner()
    for restrictions, field in (
        ({"max_stake": -1}, "max_stake"),
        ({"max_steak": 1}, "max_steak"),
        ({"networks": ["300.1.1.1"]}, "networks.0"),
        ({"networks": ["fe80::1%a b"]}, "networks.0"),
        ({"close_on_disconnect": 4}, "close_on_disconnect"),
        ({"networks": []}, "networks"),
        ({"symbols": ["R_99"]}, "symbols"),
        ({"no_trading": ["25:00-26:00"]}, "no_trading.0"),
        ({"max_stake": None}, "max_stake"),
    ):
        error = await error_of(
            owner,
            {"token_create": 1, "name": "X", "scopes": ["read"], "restrictions": restrictions},
        )
        assert error["code"] == "InputValidationFailed"
        assert list(error["details"]) == [f"restrictions.{field}"]
    listed = (await owner.ask({"token_list": 1}))["token_list"]
    assert "X" not in [token["name"] for token in listed]


async def test_every_kind_of_restriction_is_listed(world: World) -> None:
    kinds = (await world.connect().ask({"restriction_kinds": 1}))["restriction_kinds"]
    assert {"networks", "max_stake", "no_trading"} <= {kind["name"] for kind in kinds}
    assert all(kind["words"] and kind["label"] and kind["example"] for kind in kinds)
    inputs = {kind["name"]: kind["input"] for kind in kinds}
    assert inputs["max_loss_per_day"] == "amount"
    assert inputs["calls_per_minute"] == inputs["max_open_contracts"] == "integer"
    assert inputs["networks"] == inputs["contract_types"] == inputs["no_trading"] == "list"
    assert set(inputs.values()) == {"amount", "integer", "list"}
