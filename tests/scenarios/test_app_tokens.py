"""Tokens of apps: limited to what the user gave, and to what the app itself created."""

import itertools
from typing import Any

import orjson
import pytest

from scopegate.demo import DEMO_EMAIL
from scopegate.exchange.ledger import MAX_BY_APPS, MAX_PER_USER, Ledger
from scopegate.gateway.access import apps, tokens, verification
from scopegate.gateway.access.apps import App
from scopegate.gateway.calls import token_form
from scopegate.handlers.exchange.exchange_scopes import ADMIN, PAYMENTS
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, World
from tests.conftest import Connected
from tests.published.scenes import AGENT, OFFERED, SCENES, a_resident, an_agent, somebody

APP = {"name": "Chart bot", "scopes": ["read"], "redirect_uri": "https://bot.test/in"}
OWN_TOKEN = (
    "Permission denied, requires your own API token, but this one belongs to an app. Create one on"
    " the gateway's page /tokens."
)


async def allowed(world: World, app: App, *loginids: str) -> list[str]:
    """The tokens that an app gets for these accounts (the demo one), with all its scopes."""
    chosen = loginids or (world.demo.loginid,)

    def job(transaction: Transaction) -> list[str]:
        link_id = apps.link(transaction, app, world.demo.user_id, app.scopes, chosen)
        return [
            tokens.issue(transaction, link_id, app.name, loginid, app.scopes) for loginid in chosen
        ]

    return await world.gateway.store.write(job)


async def bot_of(connected: Connected, app: App, *loginids: str) -> Client:
    """The app, signed in to the first of these accounts (the demo one)."""
    [token, *_] = await allowed(connected.world, app, *loginids)
    client = await connected.connect(app_id=app.id)
    await client.authorize(token)
    return client


async def owner_of(connected: Connected, *scopes: str, loginid: str | None = None) -> Client:
    """A client with a token that the owner made."""
    client = await connected.connect()
    await client.authorize(await connected.world.token(*scopes, loginid=loginid))
    return client


async def done(client: Client, **request: Any) -> Any:
    """Make a call that must succeed; its object."""
    reply = await client.ask(request)
    assert "error" not in reply, reply["error"]
    return reply[next(iter(request))]


async def refused(client: Client, code: str, **request: Any) -> str:
    """Make a call that must be refused with this code; the message."""
    error = (await client.ask(request)).get("error")
    assert error is not None, f"{next(iter(request))} was not refused"
    assert error["code"] == code
    message: str = error["message"]
    return message


# Managing: tokens, apps, authorizations, payment agents, exclusions.


async def test_an_app_manages_only_the_apps_that_it_registered(connected: Connected) -> None:
    world = connected.world
    mine = await world.app("read", name="My other app", markup="1")
    bot = await bot_of(connected, await world.app("read", "admin"))
    moved = {**APP, "redirect_uri": "https://evil.test/in", "app_markup_percentage": 3}
    assert await done(bot, app_list=1) == []
    for request in (
        {"app_get": mine.id},
        {"app_update": mine.id, **moved},
        {"app_origins": mine.id, "allowed_origins": ["https://evil.test"]},
        {"app_flow": 1, "app_id": mine.id, "flow": "code"},
        {"app_delete": mine.id},
    ):
        await refused(bot, "InvalidAppID", **request)
    assert world.gateway.access.app(mine.id) == mine

    made = await done(bot, app_register=1, **APP)
    number = made["app_id"]
    assert await done(bot, app_list=1) == [made]
    assert await done(bot, app_get=number) == made
    assert [one["app_id"] for one in await done(bot, app_flow=1)] == [number]
    assert (await done(bot, app_update=number, **moved))["redirect_uri"] == moved["redirect_uri"]
    await done(bot, app_origins=number, allowed_origins=["https://bot.test"])
    # Neither does another app reach it; its owner does.
    another = await bot_of(connected, await world.app("read", "admin"))
    assert await done(another, app_list=1) == []
    await refused(another, "InvalidAppID", app_delete=number)
    owner = await owner_of(connected, "read", "admin")
    listed = {app["app_id"] for app in await done(owner, app_list=1)}
    assert {mine.id, number} < listed
    assert await done(bot, app_delete=number) == 1
    assert await done(owner, app_delete=mine.id) == 1


async def test_an_app_disconnects_no_app_and_binds_no_account(connected: Connected) -> None:
    world = connected.world
    mine = await world.app("read")
    token = await world.token("read", app=mine)
    bot = await bot_of(connected, await world.app("read", "admin", "payments"))
    in_40_days = int(world.clock.now()) + 40 * 86_400
    for request in (
        {"revoke_oauth_app": mine.id},
        {"set_self_exclusion": 1, "timeout_until": in_40_days},
        {"paymentagent_create": 1, **AGENT},
    ):
        assert await refused(bot, "PermissionDenied", **request) == OWN_TOKEN
    assert await done(bot, get_self_exclusion=1) == {}
    other = await connected.connect(app_id=mine.id)
    await other.authorize(token)  # still connected
    assert [app["app_id"] for app in await done(bot, oauth_apps=1)] != [mine.id]
    owner = await owner_of(connected, "admin", "read")
    assert len(await done(owner, oauth_apps=1)) == 2
    assert await done(owner, revoke_oauth_app=mine.id) == 1
    await done(owner, set_self_exclusion=1, timeout_until=in_40_days)


async def test_an_app_manages_only_the_tokens_of_its_authorization(
    connected: Connected,
) -> None:
    world = connected.world
    mine = await world.token("read", "trade")
    app = await world.app("read", "admin")
    bot = await bot_of(connected, app)
    other = await bot_of(connected, await world.app("read", "admin"))
    assert (await done(bot, api_token=1))["tokens"] == []
    for shown in (mine, token_form.masked(mine)):
        await refused(bot, "APITokenError", api_token=1, delete_token=shown)
    # Each app names its tokens as it likes; its owner sees them all.
    minting = {"api_token": 1, "new_token": "Copier", "new_token_scopes": ["read"]}
    [minted] = (await done(bot, **minting))["tokens"]
    [further] = (await done(other, **minting))["tokens"]
    owner = await owner_of(connected, "read", "admin")
    await done(owner, **minting)
    names = [one["display_name"] for one in (await done(owner, api_token=1))["tokens"]]
    assert names.count("Copier") == 3
    for shown in (minted["token"], token_form.masked(minted["token"])):
        await refused(other, "APITokenError", api_token=1, delete_token=shown)

    # A token that was created with an app's token is an app's token.
    child = await connected.connect(app_id=app.id)
    await child.authorize(minted["token"])
    await refused(child, "PermissionDenied", api_token=1)  # it has read alone
    await done(bot, api_token=1, delete_token=token_form.masked(minted["token"]))
    assert (await done(bot, api_token=1))["tokens"] == []
    await done(owner, api_token=1, delete_token=token_form.masked(further["token"]))
    still = await connected.connect()
    await still.authorize(mine)


async def test_a_token_that_an_app_minted_is_bound_as_the_apps_own(
    connected: Connected,
) -> None:
    world = connected.world
    mine, app = await world.app("read"), await world.app("read", "admin")
    bot = await bot_of(connected, app)
    minting = {"api_token": 1, "new_token": "Child", "new_token_scopes": ["read", "admin"]}
    [minted] = (await done(bot, **minting))["tokens"]
    child = await connected.connect(app_id=app.id)
    shown = await child.authorize(minted["token"])
    assert [account["loginid"] for account in shown["account_list"]] == [world.demo.loginid]
    assert await done(child, app_list=1) == []
    await refused(child, "InvalidAppID", app_delete=mine.id)
    assert await refused(child, "PermissionDenied", revoke_oauth_app=app.id) == OWN_TOKEN


async def test_an_app_is_not_in_the_owners_way(world: World) -> None:
    """An app can use up its own numbers of tokens, apps and accounts, and not its user's."""
    app = await world.app()
    bot = world.connect(app_id=app.id)
    [token] = await allowed(world, app)
    await bot.authorize(token)
    number = itertools.count(1)
    for kind, request in (
        ("TooManyTokens", {"api_token": 1, "new_token": "T{}", "new_token_scopes": ["read"]}),
        ("AppRegister", {"app_register": 1, "name": "A{}", "scopes": ["read"]}),
        ("TooManyAccounts", {"new_account_virtual": 1}),
    ):
        count = 0
        while "error" not in (reply := await bot.ask(_numbered(request, next(number)))):
            count += 1
        assert reply["error"]["code"] == kind
        assert count == (MAX_BY_APPS if kind == "TooManyAccounts" else 20)
        owner = world.connect()
        await owner.authorize(await world.token("read", "admin"))
        assert "error" not in await owner.ask(_numbered(request, next(number)))
    owned = await world.gateway.service(Ledger).accounts(world.demo.user_id)
    assert len(owned) < MAX_PER_USER


def _numbered(request: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        name: value.format(number) if isinstance(value, str) else value
        for name, value in request.items()
    }


async def test_an_app_adds_personal_details_and_changes_none(connected: Connected) -> None:
    world = connected.world
    owner = await owner_of(connected, "read", "admin")
    await done(owner, set_settings=1, first_name="Ada", residence="id")
    told = {"trading_experience": {"forex_trading_experience": "Over 3 years"}}
    await done(owner, set_financial_assessment=1, **told)
    bot = await bot_of(connected, await world.app("read", "admin"))
    await done(bot, set_settings=1, allow_copiers=1, preferred_language="DE", email_consent=1)
    await done(bot, set_settings=1, first_name="Ada", last_name="Lovelace")
    for changed in ({"residence": "gb"}, {"first_name": "Eve"}, {"last_name": "Other"}):
        [field] = changed
        error = (await bot.ask({"set_settings": 1, **changed}))["error"]
        assert error["code"] == "PermissionDenied"
        assert error["details"] == {field: "Already stored."}
    opening = {"new_account_real": 1, "currency": "EUR"}
    await refused(bot, "PermissionDenied", **opening, residence="gb")
    await done(bot, **opening, residence="id", address_city="Jakarta")
    other = {"trading_experience": {"forex_trading_experience": "0-1 year"}}
    await refused(bot, "PermissionDenied", set_financial_assessment=1, **other)
    settings = await done(owner, get_settings=1)
    names = ("first_name", "last_name", "residence", "address_city", "allow_copiers")
    assert [settings[name] for name in names] == ["Ada", "Lovelace", "id", "Jakarta", 1]
    await done(owner, set_settings=1, first_name="Augusta")


async def test_an_app_settles_only_the_currency_of_an_account_that_it_opened(world: World) -> None:
    mine = (await world.open_account(virtual=False)).loginid
    app = await world.app("read", "admin")
    [token] = await allowed(world, app, mine)
    bot = world.connect(app_id=app.id)
    await bot.authorize(token)
    assert await refused(bot, "PermissionDenied", set_account_currency="EUR") == OWN_TOKEN
    opened = await done(bot, new_account_real=1)
    await bot.authorize(opened["oauth_token"])
    assert await done(bot, set_account_currency="EUR") == 1
    owner = world.connect()
    await owner.authorize(await world.token("admin", loginid=mine))
    assert await done(owner, set_account_currency="EUR") == 1


MADE_BY_APPS = {
    "api_token",
    "app_delete",
    "app_flow",
    "app_origins",
    "app_register",
    "app_update",
    "cashier",
    "copytrading_list",
    "new_account_real",
    "paymentagent_details",
    "paymentagent_withdraw",
    "paymentagent_withdraw_justification",
    "set_account_currency",
    "set_financial_assessment",
    "set_settings",
    "tnc_approval",
    "transfer_between_accounts",
}
"""The calls of the scopes admin and payments that an app may make, each within its bounds."""


async def test_calls_that_need_admin_or_payments_refuse_apps_except_a_list(world: World) -> None:
    managing = {name for name, call in OFFERED.items() if call.scopes & {ADMIN, PAYMENTS}}
    assert {name for name in managing if OFFERED[name].app_tokens} == MADE_BY_APPS
    assert managing - MADE_BY_APPS == {
        "app_secret",
        "fault_end",
        "fault_list",
        "fault_start",
        "paymentagent_create",
        "paymentagent_transfer",
        "revoke_oauth_app",
        "set_self_exclusion",
        "token_create",
        "token_restrict",
        "token_rotate",
    }
    assert all(call.app_tokens for name, call in OFFERED.items() if name not in managing)
    app = await world.app()
    [token] = await allowed(world, app, world.real[0].loginid)
    bot = world.connect(app_id=app.id)
    await bot.authorize(token)
    for name in managing - MADE_BY_APPS:
        assert await refused(bot, "PermissionDenied", **{name: 1}) == OWN_TOKEN


# The published copy-trading web app.


async def test_the_published_copy_trading_app_works_with_its_token(
    connected: Connected,
) -> None:
    world = connected.world
    trader_account = (await world.user("trader@example.com"))[1]
    app = await world.app("read", "trade", "admin", name="Copy trading")
    trader = await connected.connect()
    await trader.authorize(await world.token(loginid=trader_account.loginid))
    await done(trader, set_settings=1, allow_copiers=1)
    shared = await world.token("read", loginid=trader_account.loginid)

    [token, *_] = await allowed(world, app, world.demo.loginid, world.real[0].loginid)
    bot = await connected.connect(app_id=app.id)
    shown = await bot.authorize(token)
    assert shown["scopes"] == ["read", "trade", "admin"]
    assert (await bot.ask({"ping": 1}))["ping"] == "pong"
    assert (await done(bot, get_settings=1))["allow_copiers"] == 0
    await done(bot, set_settings=1, allow_copiers=1)
    assert (await done(bot, get_settings=1))["allow_copiers"] == 1
    assert (await done(bot, api_token=1))["tokens"] == []
    made = await done(bot, api_token=1, new_token="Copiers", new_token_scopes=["read"])
    [minted] = made["tokens"]
    assert minted["display_name"] == "Copiers"
    listed = (await done(bot, api_token=1))["tokens"]
    assert [one["token"] for one in listed] == [token_form.masked(minted["token"])]
    assert (await done(bot, api_token=1, delete_token=listed[0]["token"]))["tokens"] == []

    assert await done(bot, copy_start=shared, max_trade_stake="50") == 1
    copying = await done(bot, copytrading_list=1)
    assert [one["loginid"] for one in copying["traders"]] == [trader_account.loginid]
    statistics = await done(bot, copytrading_statistics=1, trader_id=trader_account.loginid)
    assert statistics["copiers"] == 1
    assert await done(bot, copy_stop=copying["traders"][0]["token"]) == 1

    reply = await bot.ask({"balance": 1, "account": "all", "subscribe": 1})
    assert set(reply["balance"]["accounts"]) == {world.demo.loginid, world.real[0].loginid}
    again = await bot.ask({"balance": 1, "account": "all", "subscribe": 0})
    assert again["balance"] == {
        name: value for name, value in reply["balance"].items() if name != "id"
    }
    assert await done(bot, logout=1) == 1


# Payments.


async def test_an_app_empties_no_account_past_the_code_by_e_mail(connected: Connected) -> None:
    """It becomes no payment agent, and pays as none where its user is one."""
    world = connected.world
    account, thief = world.real[0], await somebody(world)
    bot = await bot_of(connected, await world.app("read", "admin", "payments"), account.loginid)
    paying = {
        "paymentagent_transfer": 1,
        "amount": 2_000,
        "currency": "USD",
        "transfer_to": thief.loginid,
    }
    await done(bot, set_settings=1, residence="id")
    assert await refused(bot, "PermissionDenied", paymentagent_create=1, **AGENT) == OWN_TOKEN
    assert await refused(bot, "PermissionDenied", **paying) == OWN_TOKEN
    await an_agent(world, account)  # its user becomes one
    for more in ({}, {"dry_run": 1}):
        assert await refused(bot, "PermissionDenied", **paying, **more) == OWN_TOKEN
    agent = await an_agent(world, thief)
    withdrawing = {
        "paymentagent_withdraw": 1,
        "amount": 2_000,
        "currency": "USD",
        "paymentagent_loginid": agent,
    }
    await refused(bot, "InvalidToken", **withdrawing, verification_code="guessed1")
    assert (await done(bot, balance=1))["balance"] == 10_000

    # With the code that only the owner gets, it may pay.
    code = await world.gateway.store.write(
        lambda transaction: verification.create(
            transaction, DEMO_EMAIL, verification.PAYMENT_AGENT_WITHDRAW
        )
    )
    assert await done(bot, **withdrawing, verification_code=code) == 1
    owner = await owner_of(connected, "payments", loginid=account.loginid)
    assert await done(owner, **paying) == 1


async def test_an_app_moves_money_between_its_accounts_alone(connected: Connected) -> None:
    world = connected.world
    first, second = world.real
    third = await world.account("USD", 100_000)
    app = await world.app("read", "payments")
    bot = await bot_of(connected, app, first.loginid, second.loginid)
    listed = (await bot.ask({"transfer_between_accounts": 1}))["accounts"]
    assert [one["loginid"] for one in listed] == [first.loginid, second.loginid]
    moving = {"transfer_between_accounts": 1, "currency": "USD", "amount": 10}
    given = {**moving, "account_from": first.loginid}
    for payee in (third.loginid, "CR1234567"):
        said = await refused(bot, "TransferBetweenAccountsError", **given, account_to=payee)
        assert said.startswith(f"You have no account {payee} that this app may use")
    await refused(
        bot,
        "TransferBetweenAccountsError",
        **moving,
        account_from=third.loginid,
        account_to=first.loginid,
    )
    assert await done(bot, **given, account_to=second.loginid) == 1

    # A transfer by the owner is in the account's statement, without the other account.
    owner = await owner_of(connected, loginid=first.loginid)
    assert len((await owner.ask({"transfer_between_accounts": 1}))["accounts"]) == 3
    assert await done(owner, **given, account_to=third.loginid) == 1
    told, earlier = (await done(bot, statement=1, description=1, limit=2))["transactions"]
    assert (told["amount"], told["from"], "to" in told) == (-10, {"loginid": first.loginid}, False)
    assert told["longcode"] == "Transferred: USD 10.00."
    assert earlier["to"] == {"loginid": second.loginid}
    shown = (await done(owner, statement=1, description=1, limit=1))["transactions"][0]
    assert shown["to"] == {"loginid": third.loginid}


# Accounts in reach.


async def test_an_app_sees_the_accounts_that_it_was_given(connected: Connected) -> None:
    world = connected.world
    first, second = world.real
    app = await world.app("read", "trading_information")
    [token] = await allowed(world, app, first.loginid)
    bot = await connected.connect(app_id=app.id)
    shown = await bot.authorize(token)
    assert [one["loginid"] for one in shown["account_list"]] == [first.loginid]
    owner = await owner_of(connected, "read", loginid=first.loginid)
    given = [first.loginid]
    everything = [first.loginid, second.loginid, world.demo.loginid]
    for client, reached in ((bot, given), (owner, everything)):
        assert [one["loginid"] for one in await done(client, account_list=1)] == reached
        body = await done(client, balance=1, account="all")
        assert list(body["accounts"]) == reached
        assert body["total"]["deriv"]["amount"] == 10_000 * len(reached[:2])
        assert ("deriv_demo" in body["total"]) == (client is owner)
    await refused(bot, "InputValidationFailed", balance=1, account=second.loginid)
    assert (await done(owner, balance=1, account=second.loginid))["loginid"] == second.loginid


async def test_a_stream_of_balances_tells_of_accounts_in_reach(connected: Connected) -> None:
    world = connected.world
    first, second = world.real
    app = await world.app("read", "admin")
    bot = await bot_of(connected, app, first.loginid)
    owner = await owner_of(connected, "read", loginid=first.loginid)
    for client in (bot, owner):
        await client.ask({"balance": 1, "account": "all", "subscribe": 1})
    await world.credit(100, second.loginid)
    await world.credit(200, first.loginid)
    assert (await bot.next())["balance"]["loginid"] == first.loginid
    assert (await owner.next())["balance"]["loginid"] == second.loginid
    assert (await owner.next())["balance"]["loginid"] == first.loginid

    # An account that the app opens joins its authorization, on streams that are open too.
    opened = await done(bot, new_account_real=1, currency="USD")
    number = opened["client_id"]
    assert (await bot.next())["balance"]["loginid"] == number
    await world.credit(300, number)
    assert (await bot.next())["balance"]["balance"] == 10_003
    reached = [first.loginid, number]
    assert [one["loginid"] for one in await done(bot, account_list=1)] == reached
    assert list((await done(bot, balance=1, account="all"))["accounts"]) == reached
    further = await connected.connect(app_id=app.id)
    shown = await further.authorize(opened["oauth_token"])
    assert [one["loginid"] for one in shown["account_list"]] == reached
    owner_page = await world.owner()
    [connected] = (await owner_page.ask({"connected_apps": 1}))["connected_apps"]
    assert connected["loginids"] == sorted(reached)


async def test_a_list_of_copies_shows_accounts_in_reach(connected: Connected) -> None:
    world = connected.world
    trader, copier = world.real
    stranger = await somebody(world)
    owner = await owner_of(connected, loginid=trader.loginid)
    await done(owner, set_settings=1, allow_copiers=1)
    shared = await world.token("read", loginid=trader.loginid)
    for account in (copier, stranger):
        client = await connected.connect()
        await client.authorize(await world.token("trade", loginid=account.loginid))
        await done(client, copy_start=shared)
    app = await world.app("read", "admin")
    bot = await bot_of(connected, app, trader.loginid)
    assert await done(bot, copytrading_list=1) == {
        "copiers": [{"loginid": stranger.loginid}],
        "traders": [],
    }
    assert len((await done(owner, copytrading_list=1))["copiers"]) == 2
    bot = await bot_of(connected, app, copier.loginid)
    assert (await done(bot, copytrading_list=1))["traders"] == []
    bot = await bot_of(connected, app, copier.loginid, trader.loginid)
    [shown] = (await done(bot, copytrading_list=1))["traders"]
    assert shown["loginid"] == trader.loginid


async def test_a_report_of_copies_names_accounts_in_reach(connected: Connected) -> None:
    """What an account copied from another of the user's is no affair of an app that has the one."""
    world = connected.world
    trader, copier = world.real
    stranger = await somebody(world)
    copying = await owner_of(connected, "trade", loginid=copier.loginid)
    trading = {}
    for account in (trader, stranger):
        trading[account.loginid] = await owner_of(connected, loginid=account.loginid)
        await done(trading[account.loginid], set_settings=1, allow_copiers=1)
        await done(copying, copy_start=await world.token("read", loginid=account.loginid))
    app = await world.app("read")
    given = [await bot_of(connected, app, copier.loginid)]
    given.append(await bot_of(connected, await world.app("read"), copier.loginid, trader.loginid))
    for bot in given:
        assert (await done(bot, copy_report=1, subscribe=1))["copies"] == []
    parameters = {
        "amount": 10,
        "basis": "stake",
        "contract_type": "CALL",
        "currency": "USD",
        "duration": 5,
        "duration_unit": "t",
        "symbol": "R_100",
    }
    for client in trading.values():
        await done(client, buy=1, price=100, parameters=parameters)
    for bot, traders in zip(given, ([stranger.loginid], list(trading)), strict=True):
        streamed = [(await bot.next())["copy_report"]["copies"][0]["trader"] for _ in traders]
        assert streamed == traders
        listed = (await done(bot, copy_report=1))["copies"]
        assert [one["trader"] for one in listed] == traders[::-1]


async def test_an_app_sees_the_markups_of_apps_that_it_registered(
    connected: Connected,
) -> None:
    world = connected.world
    buyer = await somebody(world)
    admin = await world.app("read", "admin")
    bot = await bot_of(connected, admin, world.real[0].loginid)
    theirs = await done(
        bot,
        app_register=1,
        name="Made by the app",
        scopes=["trade"],
        redirect_uri="https://bot.test/in",
        app_markup_percentage=2,
    )
    mine = await world.app("trade", markup="3")
    parameters = {
        "amount": 10,
        "basis": "stake",
        "contract_type": "CALL",
        "currency": "USD",
        "duration": 5,
        "duration_unit": "t",
        "symbol": "R_100",
    }
    for app_id in (mine.id, theirs["app_id"]):
        client = await connected.connect(app_id=app_id)
        await client.authorize(await world.token("trade", loginid=buyer.loginid))
        await done(client, buy=1, price=100, parameters=parameters)
    owner = await owner_of(connected, "read", loginid=world.real[0].loginid)
    span = {"date_from": "2026-01-01 00:00:00", "date_to": "2026-01-03 00:00:00"}
    for client, seen in ((bot, {theirs["app_id"]}), (owner, {mine.id, theirs["app_id"]})):
        found = await done(client, app_markup_details=1, **span)
        assert {one["app_id"] for one in found["transactions"]} == seen
        found = await done(client, app_markup_statistics=1, **span)
        assert {one["app_id"] for one in found["breakdown"]} == seen
    # The markup goes to an account that this app was not given.
    elsewhere = await bot_of(connected, admin, world.real[1].loginid)
    assert (await done(elsewhere, app_markup_details=1, **span))["transactions"] == []


BY_DESIGN = {
    "buy_contract_for_multiple_accounts": "each account is named by a token of its own",
    "sell_contract_for_multiple_accounts": "each account is named by a token of its own",
    "authorize": "it signs in with a token that the owner made",
    "paymentagent_list": "agents publish their account",
}
"""The calls whose reply may name an account that the app was not given, and why."""


@pytest.mark.parametrize("name", sorted(SCENES.keys() - BY_DESIGN.keys()))
async def test_no_reply_to_an_app_names_an_account_that_it_was_not_given(
    world: World, name: str
) -> None:
    """Every call is made with an app's token for one account that may do everything."""
    setting = world.connect(at_pages=True)
    await setting.authorize(await world.token(loginid=world.real[0].loginid))
    await a_resident(world, "id")
    euros = await world.account("EUR", 1_000_000)
    request = dict(await SCENES[name](world, setting))
    mine = world.real[0].loginid
    app = await world.app()
    [token] = await allowed(world, app, mine)
    bot = world.connect(app_id=app.id)
    await bot.authorize(token)
    for key in ("loginid", "account_from"):
        if key in request:
            request[key] = mine
    if name == "balance":
        request["account"] = "all"
    answered = await bot.ask(request)
    reply = orjson.dumps({key: answered[key] for key in answered.keys() - {"echo_req"}}).decode()
    owned = await world.gateway.service(Ledger).accounts(world.demo.user_id)
    reached = {mine, *_opened_by(answered)}
    named = {one.loginid for one in owned if one.loginid not in reached and one.loginid in reply}
    assert named - {request.get("account_to")} == set(), euros.loginid


def _opened_by(reply: dict[str, Any]) -> set[str]:
    """The account that the call opened, which joins the authorization."""
    return {
        reply[name]["client_id"]
        for name in ("new_account_real", "new_account_virtual")
        if name in reply
    }
