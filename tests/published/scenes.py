"""A scene for every call that is offered: what must be there, and a request that then succeeds.

A new call needs a row in `SCENES`. A scene may be set several times in one world, each
time for another client.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scopegate.composition import declared
from scopegate.demo import DEMO_EMAIL
from scopegate.exchange.ledger import Account, Ledger
from scopegate.gateway.access import users, verification
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.registry import Call
from scopegate.handlers.gateway.operator_calls import Operator
from scopegate.schemas.published import PUBLISHED
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, World

Request = dict[str, Any]
Scene = Callable[[World, Client], Awaitable[Request]]
"""Prepares the world for this client's request, and returns the request."""

OFFERED: Mapping[str, Call] = {call.name: call for call in sorted(declared(), key=lambda c: c.name)}
OWN = sorted(OFFERED.keys() - PUBLISHED.keys())
"""The calls of the gateway's own pages."""

OPERATOR_TOKEN = "a-token-of-the-operator"

_numbers = itertools.count(1)


def as_it_is(**request: Any) -> Scene:
    """A request that needs nothing prepared."""

    async def scene(world: World, client: Client) -> Request:
        return dict(request)

    return scene


async def authorize(world: World, client: Client) -> Request:
    return {"authorize": await world.token()}


async def a_stream_to_forget(world: World, client: Client) -> Request:
    first = await client.ask({"ticks": "R_100", "subscribe": 1})
    return {"forget": first["subscription"]["id"]}


async def streams_to_forget(world: World, client: Client) -> Request:
    await client.ask({"ticks": "R_100", "subscribe": 1})
    return {"forget_all": "ticks"}


async def a_sign_in_to_list(world: World, client: Client) -> Request:
    visitor = world.connect()
    await visitor.ask({"authorize": await world.token("read"), "add_to_login_history": 1})
    visitor.leave()
    return {"login_history": 1, "limit": 25}


async def more_entries_than_a_page(world: World, client: Client) -> Request:
    for _ in range(30):
        await world.credit(1)
    return {"statement": 1, "description": 1, "limit": 100, "offset": 25}


async def less_than_at_the_opening(world: World, client: Client) -> Request:
    await world.credit(-100)
    return {"topup_virtual": 1}


def an_app_of_ones_own(call: str) -> Scene:
    """The request names, under the call's own key, an app that the user registered."""

    async def scene(world: World, client: Client) -> Request:
        return {call: (await world.app("read", "trade")).id}

    return scene


async def an_app_to_describe_anew(world: World, client: Client) -> Request:
    app = await world.app("read", "trade")
    return {"app_update": app.id, "name": f"New {next(_numbers)}", "scopes": ["read"]}


async def a_new_app(world: World, client: Client) -> Request:
    return {
        "app_register": 1,
        "name": f"New {next(_numbers)}",
        "scopes": ["read", "trade"],
        "redirect_uri": "https://new.example.com/back",
        "app_markup_percentage": 1.5,
    }


async def a_connected_app(world: World, client: Client) -> Request:
    app = await world.app("read", "trade")
    await world.token("read", app=app)
    return {"revoke_oauth_app": app.id}


async def connected_apps(world: World, client: Client) -> Request:
    await a_connected_app(world, client)
    return {"oauth_apps": 1}


async def apps_of_ones_own(world: World, client: Client) -> Request:
    await world.app("read")
    return {"app_list": 1}


RISE: Request = {
    "amount": 10,
    "barrier": "+0.1",
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 60,
    "duration_unit": "s",
    "symbol": "R_100",
}
UP: Request = {
    "amount": 10,
    "basis": "stake",
    "cancellation": "5m",
    "contract_type": "MULTUP",
    "currency": "USD",
    "limit_order": {"take_profit": 5},
    "multiplier": 100,
    "symbol": "R_100",
}


_SHORT: Request = {"duration": 5, "duration_unit": "t"}
_SECOND: Request = {**_SHORT, "selected_tick": 2}
_BETWEEN: Request = {"barrier": "+3.00", "barrier2": "-2.50", "duration": 2, "duration_unit": "m"}
_MULTIPLIED: Request = {"basis": "multiplier", "duration": 1, "duration_unit": "m"}
FAMILIES: Mapping[str, Request] = {
    **dict.fromkeys(("EXPIRYRANGE", "EXPIRYMISS", "EXPIRYRANGEE", "EXPIRYMISSE"), _BETWEEN),
    **dict.fromkeys(("RANGE", "UPORDOWN"), _BETWEEN),
    **dict.fromkeys(("ASIANU", "ASIAND"), _SHORT),
    **dict.fromkeys(("TICKHIGH", "TICKLOW"), _SECOND),
    "RESETCALL": _SHORT,
    "RESETPUT": {"duration": 20, "duration_unit": "s"},
    **dict.fromkeys(("RUNHIGH", "RUNLOW"), _SHORT),
    "CALLSPREAD": _BETWEEN,
    "PUTSPREAD": {"barrier_range": "middle", "duration": 2, "duration_unit": "m"},
    **dict.fromkeys(("LBFLOATCALL", "LBFLOATPUT", "LBHIGHLOW"), _MULTIPLIED),
}
"""What a contract of each of these types needs beside a symbol, a currency and a stake of 10."""


def of_family(contract_type: str) -> Request:
    """The parameters of a contract of one of `FAMILIES`."""
    given = {"amount": 10, "basis": "stake", "currency": "USD", "symbol": "R_100"}
    return {**given, "contract_type": contract_type, **FAMILIES[contract_type]}


GROWS: Request = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "ACCU",
    "currency": "USD",
    "growth_rate": 0.01,
    "limit_order": {"take_profit": 5},
    "symbol": "1HZ100V",
}
PER_POINT: Request = {
    "amount": 10,
    "basis": "stake",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "m",
    "symbol": "1HZ100V",
}
PRODUCTS: Mapping[str, Request] = {
    "ACCU": GROWS,
    "VANILLALONGCALL": {**PER_POINT, "contract_type": "VANILLALONGCALL", "barrier": "+1.10"},
    "VANILLALONGPUT": {**PER_POINT, "contract_type": "VANILLALONGPUT", "barrier": "+0.00"},
    "TURBOSLONG": {**PER_POINT, "contract_type": "TURBOSLONG", "barrier": "-9.00"},
    "TURBOSSHORT": {**PER_POINT, "contract_type": "TURBOSSHORT", "payout_per_point": 1},
}
"""A contract of each type that has no fixed payout, multipliers aside."""


async def trader(world: World, *loginids: str) -> Client:
    """Another client of the same user's, which may trade."""
    client = world.connect()
    await client.authorize(await world.token("trade", loginid=loginids[0] if loginids else None))
    return client


async def bought(world: World, parameters: Request, **more: Any) -> int:
    """A contract of the demo account's, entered; its number."""
    client = await trader(world)
    reply = await client.ask({"buy": 1, "price": 1_000, "parameters": parameters} | more)
    assert "error" not in reply, reply["error"]
    client.leave()
    world.clock.advance(2)
    number: int = reply["buy"]["contract_id"]
    return number


async def a_proposal(world: World, client: Client) -> Request:
    quoted = await client.ask({"proposal": 1, **RISE})
    return {"buy": quoted["proposal"]["id"], "price": 100}


DEAR: Request = {**RISE, "amount": 1_000}
"""A contract that is worth more than half a thousand when it has just been bought."""


async def a_contract_to_sell(world: World, client: Client) -> Request:
    return {"sell": await bought(world, DEAR), "price": 0}


async def a_deal_to_cancel(world: World, client: Client) -> Request:
    return {"cancel": await bought(world, UP)}


async def orders_to_change(world: World, client: Client) -> Request:
    number = await bought(world, UP)
    return {"contract_update": 1, "contract_id": number, "limit_order": {"take_profit": 1}}


async def orders_to_list(world: World, client: Client) -> Request:
    return {"contract_update_history": 1, "contract_id": await bought(world, UP)}


async def a_contract_to_follow(world: World, client: Client) -> Request:
    number = await bought(world, RISE)
    return {"proposal_open_contract": 1, "contract_id": number, "subscribe": 1}


async def contracts_to_list(world: World, client: Client) -> Request:
    await bought(world, RISE)
    return {"portfolio": 1}


async def closed_contracts(world: World, _: Client) -> Request:
    client = await trader(world)
    buying = {"buy": 1, "price": 100, "parameters": RISE}
    bought = [(await client.ask(buying))["buy"]["contract_id"] for _ in range(30)]
    world.clock.advance(2)
    for number in bought:
        assert "error" not in await client.ask({"sell": number, "price": 0})
    client.leave()
    return {"profit_table": 1, "description": 1, "limit": 25, "offset": 1, "sort": "ASC"}


async def several_buyers(world: World, client: Client) -> Request:
    tokens = [await world.token("trade", loginid=account.loginid) for account in world.real]
    quoted = await client.ask({"proposal": 1, **RISE, "amount": 2})
    return {
        "buy_contract_for_multiple_accounts": quoted["proposal"]["id"],
        "price": 2.57,
        "tokens": tokens,
    }


async def several_sellers(world: World, client: Client) -> Request:
    request = await several_buyers(world, client)
    buyer = await trader(world)
    request = {
        "buy_contract_for_multiple_accounts": 1,
        "price": 1_000,
        "parameters": DEAR,
        "tokens": request["tokens"],
    }
    reply = await buyer.ask(request)
    [first, *_] = reply["buy_contract_for_multiple_accounts"]["result"]
    buyer.leave()
    world.clock.advance(2)
    return {
        "sell_contract_for_multiple_accounts": 1,
        "price": 0,
        "shortcode": first["shortcode"],
        "tokens": request["tokens"],
    }


async def an_app_to_consent_to(world: World, client: Client) -> Request:
    app = await world.app("read", "trade")
    return {
        "consent": 1,
        "query": f"app_id={app.id}&state=x",
        "returns_to": "https://app.example.com",
        "loginids": [world.demo.loginid],
        "scopes": ["read"],
    }


async def an_app_to_refuse(world: World, client: Client) -> Request:
    return {"consent_refuse": 1, "query": f"app_id={(await world.app('read')).id}"}


async def an_app_that_asks(world: World, client: Client) -> Request:
    return {"consent_request": 1, "query": f"app_id={(await world.app('read')).id}"}


async def an_app_in_use(world: World, client: Client) -> Request:
    app = await world.app("read", "trade")
    bot = world.connect(app_id=app.id)
    await bot.authorize(await world.token("read", app=app))
    await bot.ask({"balance": 1})
    return {"connected_apps": 1}


async def what_an_app_did(world: World, client: Client) -> Request:
    await an_app_in_use(world, client)
    return {"activity": 1, "limit": 100, "own_pages": 0}


async def origins_to_allow(world: World, client: Client) -> Request:
    app = await world.app("read")
    return {"app_origins": app.id, "allowed_origins": ["https://bot.example.com"]}


async def a_flow_to_choose(world: World, client: Client) -> Request:
    return {"app_flow": 1, "app_id": (await world.app("read")).id, "flow": "code"}


async def a_secret_to_create(world: World, client: Client) -> Request:
    return {"app_secret": 1, "app_id": (await world.app("read")).id, "action": "create"}


async def access_to_revoke(world: World, client: Client) -> Request:
    return {"revoke_access": (await a_connected_app(world, client))["revoke_oauth_app"]}


async def an_app_to_restrict(world: World, client: Client) -> Request:
    app_id = (await a_connected_app(world, client))["revoke_oauth_app"]
    return {"app_restrict": app_id, "restrictions": {"calls_per_minute": 60}}


async def a_token_to_change(world: World, client: Client) -> str:
    """The masked text of a new token of the account that the client is signed in to."""
    name = f"Bot {next(_numbers)}"
    owner = world.connect()
    await owner.authorize(await world.token("admin", "read"))
    made = await owner.ask({"token_create": 1, "name": name, "scopes": ["read"]})
    owner.leave()
    return token_form.masked(made["token_create"]["token"])


async def a_token_to_restrict(world: World, client: Client) -> Request:
    shown = await a_token_to_change(world, client)
    return {"token_restrict": shown, "restrictions": {"max_stake": 5}}


async def a_token_to_rotate(world: World, client: Client) -> Request:
    return {"token_rotate": await a_token_to_change(world, client), "overlap": 60}


async def a_fault_of_a_token(world: World, client: Client) -> Request:
    shown = await a_token_to_change(world, client)
    return {"fault_start": "drop", "options": {"after": "buy"}, "token": shown}


async def a_fault_to_end(world: World, client: Client) -> Request:
    owner = world.connect()
    await owner.authorize(await world.token("admin"))
    begun = await owner.ask({"fault_start": "drop", "options": {"after": "buy"}})
    owner.leave()
    return {"fault_end": begun["fault_start"]["number"]}


async def faults_to_list(world: World, client: Client) -> Request:
    await a_fault_to_end(world, client)
    return {"fault_list": 1}


async def a_restricted_token_to_create(world: World, client: Client) -> Request:
    return {
        "token_create": 1,
        "name": f"Bot {next(_numbers)}",
        "scopes": ["admin"],
        "restrictions": {"max_stake": 5, "max_loss_per_day": 50},
    }


async def let_copy(world: World, loginid: str) -> None:
    """Have the owner of an account let others copy."""
    owner = world.connect()
    await owner.authorize(await world.token("admin", loginid=loginid))
    await owner.ask({"set_settings": 1, "allow_copiers": 1})
    owner.leave()


async def a_trader_to_copy(world: World) -> tuple[str, str]:
    """A demo account of another user's, who lets others copy, and a token for it."""
    *_, demo = await world.user(f"trader{next(_numbers)}@example.com")
    await let_copy(world, demo.loginid)
    return demo.loginid, await world.token("read", loginid=demo.loginid)


async def a_trader_to_begin_with(world: World, client: Client) -> Request:
    _, text = await a_trader_to_copy(world)
    return {"copy_start": text}


async def copied(world: World, **more: Any) -> tuple[str, str]:
    """A trader whom the demo account copies, and the token it was named by."""
    loginid, text = await a_trader_to_copy(world)
    copier = await trader(world)
    reply = await copier.ask({"copy_start": text, **more})
    assert "error" not in reply, reply["error"]
    copier.leave()  # the copying hangs on tokens, not on connections
    return loginid, text


async def a_trader_to_leave(world: World, client: Client) -> Request:
    _, text = await copied(world)
    return {"copy_stop": text}


async def traders_to_list(world: World, client: Client) -> Request:
    await copied(world, assets="R_50", max_trade_stake=5)
    return {"copytrading_list": 1}


async def a_record_to_look_at(world: World, client: Client) -> Request:
    await closed_contracts(world, client)
    await let_copy(world, world.demo.loginid)
    return {"copytrading_statistics": 1, "trader_id": world.demo.loginid}


async def copies_to_tell_of(world: World, client: Client) -> Request:
    loginid, _ = await copied(world, max_trade_stake=5)
    seller = await trader(world, loginid)
    for amount in (2, 20):
        buying = {"buy": 1, "price": 100, "parameters": RISE | {"amount": amount}}
        reply = await seller.ask(buying)
        assert "error" not in reply, reply["error"]
    seller.leave()
    return {"copy_report": 1, "limit": 10}


async def tokens_to_list(world: World, client: Client) -> Request:
    await world.token("read")
    return {"token_list": 1}


async def a_password(world: World, client: Client) -> Request:
    email = f"ada{next(_numbers)}@example.com"
    await world.user(email, password="correct horse")
    return {"sign_in": 1, "email": email, "password": "correct horse"}


# Payments. Their clients are signed in to an account of `ACCOUNTS`, or name it among several.

AGENT: Request = {
    "code_of_conduct_approval": 1,
    "commission_deposit": 1,
    "commission_withdrawal": 2.5,
    "email": "agent@example.com",
    "information": "Cash, on weekdays.",
    "payment_agent_name": "Corner Shop",
    "phone_numbers": [{"phone_number": "+44-20-7946-0000"}],
    "supported_payment_methods": [{"payment_method": "Cash"}],
    "urls": [{"url": "https://shop.example.com"}],
}


async def a_real_style_account(world: World) -> str:
    return world.real[0].loginid


async def a_euro_account(world: World) -> str:
    """A real-style account of the demo user's in euros, with a balance."""
    return (await world.account("EUR", 1_000_000)).loginid


async def a_resident(world: World, country: str, user_id: int | None = None) -> None:
    """The user (the demo one) lives in this country from now on."""
    target = user_id or world.demo.user_id
    await world.gateway.store.write(
        lambda transaction: users.change_settings(transaction, target, {"residence": country})
    )


async def an_agent(world: World, account: Account, country: str = "id") -> str:
    """The account of a payment agent."""
    await a_resident(world, country, account.user_id)
    client = world.connect()
    await client.authorize(await world.token("admin", loginid=account.loginid))
    reply = await client.ask({"paymentagent_create": 1, **AGENT})
    assert "error" not in reply, reply["error"]
    client.leave()
    return account.loginid


async def a_code(world: World, kind: str) -> str:
    """A code by e-mail for the demo user, who has not asked for any before."""

    def job(transaction: Transaction) -> str:
        transaction.execute("DELETE FROM email_codes")
        return verification.create(transaction, DEMO_EMAIL, kind)

    return await world.gateway.store.write(job)


async def two_accounts(world: World, client: Client) -> Request:
    accounts = await world.gateway.service(Ledger).accounts(world.demo.user_id)
    euros = [account.loginid for account in accounts if account.currency == "EUR"]
    source = euros[-1] if euros else world.real[0].loginid
    return {
        "transfer_between_accounts": 1,
        "account_from": source,
        "account_to": world.real[1].loginid,
        "amount": 12.5,
        "currency": "EUR" if euros else "USD",
        "loginid": source,
    }


async def money_to_withdraw(world: World, client: Client) -> Request:
    code = await a_code(world, verification.PAYMENT_WITHDRAW)
    return {"cashier": "withdraw", "verification_code": code}


async def somebody(world: World) -> Account:
    """The real-style account of somebody else."""
    [real, _] = await world.user(f"somebody{next(_numbers)}@example.com")
    return real


async def a_user_who_resides(world: World, client: Client) -> Request:
    await a_resident(world, "gb")
    return {"paymentagent_create": 1, **AGENT, "loginid": world.real[0].loginid}


async def an_agent_to_describe(world: World, client: Client) -> Request:
    return {"paymentagent_details": 1, "loginid": await an_agent(world, world.real[0])}


async def an_agent_to_list(world: World, client: Client) -> Request:
    await an_agent(world, world.real[0])
    return {"paymentagent_list": "id", "currency": "USD"}


async def a_client_to_pay(world: World, client: Client) -> Request:
    return {
        "paymentagent_transfer": 1,
        "amount": 20,
        "currency": "USD",
        "description": "As agreed.",
        "transfer_to": (await somebody(world)).loginid,
        "loginid": await an_agent(world, world.real[0]),
    }


async def an_agent_to_pay(world: World, client: Client) -> Request:
    return {
        "paymentagent_withdraw": 1,
        "amount": 20,
        "currency": "USD",
        "paymentagent_loginid": await an_agent(world, await somebody(world)),
        "verification_code": await a_code(world, verification.PAYMENT_AGENT_WITHDRAW),
        "loginid": world.real[0].loginid,
    }


ACCOUNTS: Mapping[str, Callable[[World], Awaitable[str]]] = {
    "paymentagent_create": a_real_style_account,
    "paymentagent_details": a_real_style_account,
    "paymentagent_transfer": a_real_style_account,
    "paymentagent_withdraw": a_real_style_account,
    "transfer_between_accounts": a_euro_account,
}
"""The account that a client of a call is signed in to, where the demo one will not do."""


async def a_code_to_sign_up_with(world: World, client: Client) -> Request:
    email = f"new{next(_numbers)}@example.com"
    stranger = world.connect(address=f"192.0.2.{next(_numbers)}")
    await stranger.ask({"verify_email": email, "type": "account_opening"})
    return {
        "new_account_virtual": 1,
        "client_password": "Corr3ct horse",
        "residence": "id",
        "verification_code": world.mail.code(email),
    }


async def something_excluded(world: World, client: Client) -> Request:
    await set_once(
        world, {"set_self_exclusion": 1, "max_losses": 100_000, "session_duration_limit": 60}
    )
    return {"get_self_exclusion": 1}


async def answers_to_tell(world: World, client: Client) -> Request:
    await set_once(
        world, {"set_financial_assessment": 1, "financial_information": {"occupation": "Managers"}}
    )
    return {"get_financial_assessment": 1}


async def a_contract_with_markup(world: World) -> dict[str, Any]:
    """Bought through an app of the demo user's by somebody else; what names it."""
    app = await world.app("read", "trade", markup="1.5")
    [_, buyer] = await world.user(f"buyer{next(_numbers)}@example.com")
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token("trade", loginid=buyer.loginid))
    reply = await client.ask({"buy": 1, "price": 100, "parameters": RISE})
    assert "error" not in reply, reply["error"]
    client.leave()
    return {
        "app_id": app.id,
        "client_loginid": buyer.loginid,
        "date_from": "2026-01-01 00:00:00",
        "date_to": "2026-12-31 23:59:59",
    }


async def markups_to_list(world: World, client: Client) -> Request:
    return {"app_markup_details": 1, "limit": 10, **await a_contract_with_markup(world)}


async def markups_to_add(world: World, client: Client) -> Request:
    named = await a_contract_with_markup(world)
    return {"app_markup_statistics": 1} | {key: named[key] for key in ("date_from", "date_to")}


async def set_once(world: World, request: Request) -> None:
    """Let another client, with a token of scope admin, make this request."""
    client = world.connect()
    await client.authorize(await world.token("admin"))
    reply = await client.ask(request)
    assert "error" not in reply, reply["error"]
    client.leave()


async def a_token_of_the_operator(world: World, client: Client) -> Request:
    world.service(Operator).admit(OPERATOR_TOKEN)
    return {"operator_sign_in": 1, "operator_token": OPERATOR_TOKEN}


def as_the_operator(**request: Any) -> Scene:
    """A request of the operator, if they can sign in where it is made."""

    async def scene(world: World, client: Client) -> Request:
        await client.ask(await a_token_of_the_operator(world, client))
        return dict(request)

    return scene


async def an_app_to_disable(world: World, client: Client) -> Request:
    app = await world.app("read", name=f"Chart bot {next(_numbers)}")
    return await as_the_operator(operator_app_update=app.id, disabled=1)(world, client)


async def a_connection_to_end(world: World, client: Client) -> Request:
    bot = world.connect()
    await bot.ask({"ping": 1})
    ended = next(one for one in world.gateway.access.sessions if not one.at_pages)
    return await as_the_operator(operator_end_session=ended.id)(world, client)


async def a_user_to_disable(world: World, client: Client) -> Request:
    email = f"ada{next(_numbers)}@example.com"
    await world.user(email)
    return await as_the_operator(operator_user_update=email, disabled=1)(world, client)


SCENES: Mapping[str, Scene] = {
    "account_list": as_it_is(account_list=1),
    "account_reset": as_it_is(account_reset=1),
    "active_symbols": as_it_is(active_symbols="brief", product_type="basic"),
    "activity": what_an_app_did,
    "api_token": as_it_is(api_token=1, new_token="Bot", new_token_scopes=["admin"]),
    "app_delete": an_app_of_ones_own("app_delete"),
    "app_flow": a_flow_to_choose,
    "app_secret": a_secret_to_create,
    "app_get": an_app_of_ones_own("app_get"),
    "app_list": apps_of_ones_own,
    "app_markup_details": markups_to_list,
    "app_markup_statistics": markups_to_add,
    "app_origins": origins_to_allow,
    "app_register": a_new_app,
    "app_restrict": an_app_to_restrict,
    "app_update": an_app_to_describe_anew,
    "asset_index": as_it_is(asset_index=1),
    "audit_trail": as_it_is(audit_trail=1, limit=10),
    "authorize": authorize,
    "balance": as_it_is(balance=1),
    "buy": a_proposal,
    "buy_contract_for_multiple_accounts": several_buyers,
    "cancel": a_deal_to_cancel,
    "cashier": money_to_withdraw,
    "connected_apps": an_app_in_use,
    "consent": an_app_to_consent_to,
    "consent_refuse": an_app_to_refuse,
    "consent_request": an_app_that_asks,
    "copy_report": copies_to_tell_of,
    "copy_start": a_trader_to_begin_with,
    "copy_stop": a_trader_to_leave,
    "copytrading_list": traders_to_list,
    "copytrading_statistics": a_record_to_look_at,
    "contract_update": orders_to_change,
    "contract_update_history": orders_to_list,
    "contracts_for": as_it_is(contracts_for="R_50", currency="USD", landing_company="svg"),
    "contracts_for_company": as_it_is(contracts_for_company=1),
    "economic_calendar": as_it_is(economic_calendar=1),
    "exchange_rates": as_it_is(exchange_rates=1, base_currency="EUR", target_currency="USD"),
    "fault_end": a_fault_to_end,
    "fault_kinds": as_it_is(fault_kinds=1),
    "fault_list": faults_to_list,
    "fault_start": a_fault_of_a_token,
    "forget": a_stream_to_forget,
    "forget_all": streams_to_forget,
    "get_account_status": as_it_is(get_account_status=1),
    "get_financial_assessment": answers_to_tell,
    "get_limits": as_it_is(get_limits=1),
    "get_self_exclusion": something_excluded,
    "get_settings": as_it_is(get_settings=1),
    "landing_company": as_it_is(landing_company="id"),
    "landing_company_details": as_it_is(landing_company_details="svg"),
    "limits": as_it_is(limits=1),
    "login_history": a_sign_in_to_list,
    "logout": as_it_is(logout=1),
    "new_account_real": as_it_is(new_account_real=1, address_postcode="3002", currency="EUR"),
    "new_account_virtual": a_code_to_sign_up_with,
    "oauth_apps": connected_apps,
    "operator_app_update": an_app_to_disable,
    "operator_end_session": a_connection_to_end,
    "operator_overview": as_the_operator(operator_overview=1),
    "operator_sign_in": a_token_of_the_operator,
    "operator_user_update": a_user_to_disable,
    "page_info": as_it_is(page_info=1),
    "payment_methods": as_it_is(payment_methods=1, country="id"),
    "paymentagent_create": a_user_who_resides,
    "paymentagent_details": an_agent_to_describe,
    "paymentagent_list": an_agent_to_list,
    "paymentagent_transfer": a_client_to_pay,
    "paymentagent_withdraw": an_agent_to_pay,
    "paymentagent_withdraw_justification": as_it_is(
        paymentagent_withdraw_justification=1, message="My bank does not take part."
    ),
    "payout_currencies": as_it_is(payout_currencies=1),
    "ping": as_it_is(ping=1),
    "portfolio": contracts_to_list,
    "profit_table": closed_contracts,
    "proposal": as_it_is(proposal=1, **RISE),
    "proposal_open_contract": a_contract_to_follow,
    "reality_check": as_it_is(reality_check=1),
    "residence_list": as_it_is(residence_list=1),
    "restriction_kinds": as_it_is(restriction_kinds=1),
    "revoke_access": access_to_revoke,
    "revoke_oauth_app": a_connected_app,
    "sell": a_contract_to_sell,
    "sell_contract_for_multiple_accounts": several_sellers,
    "sell_expired": as_it_is(sell_expired=1),
    "set_account_currency": as_it_is(set_account_currency="USD"),
    "set_financial_assessment": as_it_is(
        set_financial_assessment=1, trading_experience={"cfd_trading_experience": "1-2 years"}
    ),
    "set_self_exclusion": as_it_is(
        set_self_exclusion=1,
        exclude_until="2027-01-01",
        max_open_bets=90,
        max_turnover=100_000,
        timeout_until=1_767_355_200,
    ),
    "set_settings": as_it_is(set_settings=1, allow_copiers=1, address_postcode="12345"),
    "sign_in": a_password,
    "sign_in_demo": as_it_is(sign_in_demo=1),
    "sign_out": as_it_is(sign_out=1),
    "states_list": as_it_is(states_list="id"),
    "statement": more_entries_than_a_page,
    "ticks": as_it_is(ticks="R_50"),
    "ticks_batch": as_it_is(ticks_batch=1, market="synthetic_index"),
    "ticks_history": as_it_is(ticks_history="R_50", end="1767268800", count=10, start=1),
    "time": as_it_is(time=1),
    "tnc_approval": as_it_is(tnc_approval=1),
    "token_create": a_restricted_token_to_create,
    "token_list": tokens_to_list,
    "token_restrict": a_token_to_restrict,
    "token_restrictions": as_it_is(token_restrictions=1),
    "token_rotate": a_token_to_rotate,
    "topup_virtual": less_than_at_the_opening,
    "multiplier_financing": as_it_is(multiplier_financing="R_100"),
    "trading_durations": as_it_is(trading_durations=1),
    "trading_times": as_it_is(trading_times="2026-01-02"),
    "transaction": as_it_is(transaction=1, subscribe=1),
    "transfer_between_accounts": two_accounts,
    "verify_email": as_it_is(verify_email="ada@example.com", type="account_opening"),
    "website_config": as_it_is(website_config=1),
    "website_status": as_it_is(website_status=1),
}


async def owner_and_operator(world: World) -> Client:
    """A page at which the demo user and the operator have signed in: it may make every call."""
    client = await world.owner()
    await client.ask(await a_token_of_the_operator(world, client))
    return client


async def signed_in(world: World, *scopes: str, to_make: str = "") -> Client:
    """A client whose token has these scopes (all when none are named), to make this call."""
    loginid = await ACCOUNTS[to_make](world) if to_make in ACCOUNTS else None
    client = world.connect()
    await client.authorize(await world.token(*scopes, loginid=loginid))
    return client
