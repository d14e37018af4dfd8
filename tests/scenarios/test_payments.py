"""Money between accounts: one's own, across currencies, and through payment agents."""

import asyncio
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from scopegate.app import compose
from scopegate.demo import DEMO_EMAIL
from scopegate.exchange import agents
from scopegate.exchange.feed import Feed
from scopegate.exchange.ledger import Account, Ledger
from scopegate.exchange.rates import Rates
from scopegate.gateway.calls import token_form
from scopegate.runtime.clock import HandClock
from scopegate.settings import Settings
from scopegate.testing import NOON, Client, Mailbox, World
from tests import books
from tests.conftest import Connected
from tests.published.scenes import AGENT, a_resident, an_agent, somebody
from tests.scenarios.test_app_tokens import allowed

Request = dict[str, Any]


def transfer(source: Account, target: Account, amount: float, **more: Any) -> Request:
    return {
        "transfer_between_accounts": 1,
        "account_from": source.loginid,
        "account_to": target.loginid,
        "amount": amount,
        "currency": source.currency,
        **more,
    }


def keyed(request: Request, key: str = "mine-1") -> Request:
    return {**request, "passthrough": {"idempotency_key": key}}


async def signed_in(connected: Connected, account: Account, *scopes: str) -> Client:
    client = await connected.connect()
    await client.authorize(await connected.world.token(*scopes, loginid=account.loginid))
    return client


async def signed_in_here(world: World, account: Account, *scopes: str) -> Client:
    client = world.connect()
    await client.authorize(await world.token(*scopes, loginid=account.loginid))
    return client


async def balances(world: World, *accounts: Account) -> list[int]:
    return [(await world.gateway.service(Ledger).balance(each.loginid)).units for each in accounts]


async def right(world: World) -> None:
    """Fail unless the books are right."""
    assert await world.gateway.store.read(books.mistakes) == []


async def a_letter(world: World, client: Client, kind: str = "paymentagent_withdraw") -> str:
    """The code that the demo user finds in the mailbox."""
    await client.ask({"verify_email": DEMO_EMAIL, "type": kind})
    return world.mail.code(DEMO_EMAIL)


# Between one's own accounts.


async def test_money_moves_between_ones_own_accounts(connected: Connected) -> None:
    world = connected.world
    first, second = world.real
    client = await signed_in(connected, first)
    listed = await client.ask({"transfer_between_accounts": 1})
    assert listed["transfer_between_accounts"] == 0
    assert {each["loginid"]: each["transfers"] for each in listed["accounts"]} == {
        first.loginid: "none",
        second.loginid: "all",
    }
    watcher = await signed_in(connected, second, "read")
    await watcher.ask({"transaction": 1, "subscribe": 1})
    await watcher.ask({"balance": 1, "subscribe": 1})
    await client.ask({"transaction": 1, "subscribe": 1})

    reply = await client.ask(transfer(first, second, 25.5))
    assert reply["transfer_between_accounts"] == 1
    assert [(each["loginid"], each["balance"]) for each in reply["accounts"]] == [
        (first.loginid, "9974.50"),
        (second.loginid, "10025.50"),
    ]
    told = {(await watcher.next())["msg_type"]: None for _ in range(2)}
    assert told.keys() == {"transaction", "balance"}
    entry = (await client.next())["transaction"]
    assert (entry["action"], entry["amount"], entry["balance"]) == ("transfer", -25.5, 9974.5)
    assert entry["transaction_id"] == reply["transaction_id"]

    for each, amount in ((client, -25.5), (watcher, 25.5)):
        asked = {"statement": 1, "action_type": "transfer", "description": 1}
        [row] = (await each.ask(asked))["statement"]["transactions"]
        assert row["amount"] == amount
        assert (row["from"]["loginid"], row["to"]["loginid"]) == (first.loginid, second.loginid)
    assert row["longcode"] == f"Transferred from {first.loginid}."
    await right(world)


@pytest.mark.parametrize("scope", ["read", "trade", "admin", "trading_information"])
async def test_a_token_without_payments_moves_nothing(connected: Connected, scope: str) -> None:
    world = connected.world
    first, second = world.real
    client = await signed_in(connected, first, scope)
    for request in (
        transfer(first, second, 1),
        {"cashier": "deposit"},
        {
            "paymentagent_transfer": 1,
            "amount": 10,
            "currency": "USD",
            "transfer_to": second.loginid,
        },
    ):
        reply = await client.ask(request)
        assert reply["error"] == {
            "code": "PermissionDenied",
            "message": "Permission denied, requires payments scope.",
        }
    assert await balances(world, first, second) == [1_000_000, 1_000_000]


async def test_a_transfer_across_currencies_nets_to_nothing(connected: Connected) -> None:
    world = connected.world
    dollars = world.real[0]
    euros, bitcoin = await world.account("EUR", 50_000), await world.account("BTC", 0)
    client = await signed_in(connected, dollars)
    rates = Rates(world.gateway.service(Feed))
    now = int(world.clock.now())

    reply = await client.ask(transfer(dollars, euros, 1_000))
    got = int(100_000 * rates.rate("USD", "EUR", now).spot)  # rounded down to the cent
    assert await balances(world, dollars, euros) == [900_000, 50_000 + got]
    assert {each["loginid"]: each["balance"] for each in reply["accounts"]} == {
        dollars.loginid: "9000.00",
        euros.loginid: f"{(50_000 + got) / 100:.2f}",
    }
    await client.ask(transfer(dollars, bitcoin, 0.01))
    tiny = int(Fraction(1, 100) * rates.rate("USD", "BTC", now).spot * 10**8)
    assert await balances(world, bitcoin) == [tiny]
    back = await signed_in(connected, bitcoin, "payments")
    # Less than a cent is left of it: it is refused, and not swallowed.
    refused = await back.ask(transfer(bitcoin, dollars, 0.00000001))
    assert refused["error"]["code"] == "TransferBetweenAccountsError"
    assert "smallest amount of USD" in refused["error"]["message"]

    # In each currency what conversion took is what the accounts gave, and all adds up to nothing.
    converted = await world.gateway.store.read(lambda reader: books.counters(reader, "conversion"))
    assert converted == {"USD": 100_001, "EUR": -got, "BTC": -tiny}
    sums = await world.gateway.store.read(books.by_currency)
    assert sums == {"USD": 0, "EUR": 0, "BTC": 0}
    await right(world)
    statement = await client.ask({"statement": 1, "description": 1, "limit": 2})
    newest, oldest = statement["statement"]["transactions"]
    assert f"at 1 USD = {float(rates.rate('USD', 'EUR', now).spot):.10f}" in oldest["longcode"]
    assert newest["amount"] == -0.01


async def test_what_cannot_be_transferred_is_refused_with_the_reason(world: World) -> None:
    first, second = world.real
    stranger, demo = await somebody(world), world.demo
    client = await signed_in_here(world, first)
    for request, code, words in (
        (transfer(first, first, 1), "TransferBetweenAccountsError", "different accounts"),
        (transfer(first, stranger, 1), "TransferBetweenAccountsError", "You have no account"),
        (transfer(first, demo, 1), "TransferBetweenAccountsError", "demo and real-style"),
        (transfer(second, first, 1), "TransferBetweenAccountsError", "You are signed in to"),
        (transfer(first, second, 0), "TransferBetweenAccountsError", "more than 0"),
        (transfer(first, second, 10_000.01), "InsufficientBalance", "10000.00"),
        (transfer(first, second, 1) | {"currency": "EUR"}, "TransferBetweenAccountsError", "USD"),
        (transfer(first, second, 1) | {"currency": "XYZ"}, "InputValidationFailed", "currency"),
        (transfer(first, second, 0.001), "InputValidationFailed", "amount"),
        (transfer(first, second, -1), "InputValidationFailed", "amount"),
        (transfer(first, second, 10**10), "InputValidationFailed", "amount"),
    ):
        error = (await client.ask(request))["error"]
        assert error["code"] == code, request
        assert words in error["message"], request
    missing = transfer(first, second, 1)
    del missing["amount"], missing["currency"]
    error = (await client.ask(missing))["error"]
    assert error["details"].keys() == {"amount", "currency"}
    # A demo account has nobody to pay but another demo account.
    token = await signed_in_here(world, demo)
    assert await token.refused(transfer(demo, first, 1)) == "TransferBetweenAccountsError"
    other = await world.account("USD", 0, is_virtual=True)
    assert "error" not in await token.ask(transfer(demo, other, 1))
    assert await balances(world, first, second, stranger) == [1_000_000] * 3
    await right(world)


# Once.


async def test_a_retried_transfer_moves_money_once(connected: Connected) -> None:
    """The same request again, at once and from everywhere: one payment, one answer."""
    world = connected.world
    first, second = world.real
    request = keyed(transfer(first, second, 10))
    clients = [await signed_in(connected, first, "payments") for _ in range(5)]
    replies = await asyncio.gather(*(client.ask(request) for client in clients * 4))
    told = [
        {key: value for key, value in reply.items() if key not in ("req_id", "echo_req")}
        for reply in replies
    ]
    assert all(each == told[0] for each in told)
    assert await balances(world, first, second) == [999_000, 1_001_000]
    # Much later as well, when the balances are others: it tells of the payment that was made.
    await clients[0].ask(transfer(first, second, 1))
    again = await clients[0].ask(request)
    assert again["accounts"] == told[0]["accounts"]
    assert again["transaction_id"] == told[0]["transaction_id"]
    assert await balances(world, first, second) == [998_900, 1_001_100]
    await right(world)


async def test_a_key_is_for_one_payment_of_one_account_and_call(world: World) -> None:
    first, second = world.real
    third = await world.account("USD", 0)
    await an_agent(world, first)
    other = await somebody(world)
    client = await signed_in_here(world, first)
    assert "error" not in await client.ask(keyed(transfer(first, second, 10)))
    for request in (transfer(first, second, 11), transfer(first, third, 10)):
        error = (await client.ask(keyed(request)))["error"]
        assert error["code"] == "IdempotencyKeyReused"
        assert "Use a new key" in error["message"]
    for wrong in (5, "", "a b", "x" * 65):
        request = {**transfer(first, second, 1), "passthrough": {"idempotency_key": wrong}}
        assert await client.refused(request) == "InputValidationFailed"
    assert await balances(world, first, second, third) == [999_000, 1_001_000, 0]
    # Another call and another account have keys of their own.
    paying = {
        "paymentagent_transfer": 1,
        "amount": 10,
        "currency": "USD",
        "transfer_to": other.loginid,
    }
    assert "error" not in await client.ask(keyed(paying))
    back = await signed_in_here(world, second)
    assert "error" not in await back.ask(keyed(transfer(second, first, 10)))
    assert await balances(world, first, second) == [999_000, 1_000_000]
    # What was refused has not used its key up.
    await world.credit(-1_000_000, second.loginid)
    assert await back.refused(keyed(transfer(second, first, 10), "later")) == "InsufficientBalance"
    await world.credit(5_000, second.loginid)
    assert "error" not in await back.ask(keyed(transfer(second, first, 10), "later"))
    await right(world)


async def test_the_key_of_another_app_pays_nothing(world: World) -> None:
    first, second = world.real
    theirs = await somebody(world)
    await an_agent(world, theirs)
    owner = await signed_in_here(world, first)
    withdrawal = {
        "paymentagent_withdraw": 1,
        "amount": 10,
        "currency": "USD",
        "paymentagent_loginid": theirs.loginid,
        "verification_code": await a_letter(world, owner),
    }
    mine, other = [await world.app("payments") for _ in range(2)]
    one, again, another = [world.connect(app_id=app.id) for app in (mine, mine, other)]
    for client, app in ((one, mine), (again, mine), (another, other)):
        [token, _] = await allowed(world, app, first.loginid, second.loginid)
        await client.authorize(token)
    for request in (keyed(transfer(first, second, 10)), keyed(withdrawal)):
        paid = (await one.ask(request))["transaction_id"]
        assert (await again.ask(request))["transaction_id"] == paid
        assert await another.refused(request) == "IdempotencyKeyReused"
        # The owner may find out what became of it.
        assert (await owner.ask(request))["transaction_id"] == paid
    assert await balances(world, first, second) == [998_000, 1_001_000]
    await right(world)


async def test_a_key_outlives_a_restart(tmp_path: Path) -> None:
    settings = Settings(db=tmp_path / "kept.db", seed="kept", start=repr(NOON), port=0)
    token = ""
    told = []
    for _ in range(2):
        clock = HandClock(NOON)
        async with compose(settings, clock) as gateway:
            world = await World.around(gateway, clock, Mailbox())
            first, second = world.real
            token = token or await world.token("payments", loginid=first.loginid)
            client = world.connect()
            await client.authorize(token)
            told.append(await client.ask(keyed(transfer(first, second, 10))))
            assert await balances(world, first, second) == [999_000, 1_001_000]
            client.leave()
    assert told[0] == told[1]
    assert told[0]["transfer_between_accounts"] == 1


async def test_nothing_is_paid_for_a_token_that_is_revoked_meanwhile(world: World) -> None:
    first, second = world.real
    await an_agent(world, first)
    agent = await an_agent(world, await somebody(world))
    owner = await signed_in_here(world, first)
    code = await a_letter(world, owner)
    token = await world.token("payments", loginid=first.loginid)
    client = world.connect()
    await client.authorize(token)
    requests: list[Request] = [
        transfer(first, second, 10),
        keyed(transfer(first, second, 10)),
        {
            "paymentagent_transfer": 1,
            "amount": 10,
            "currency": "USD",
            "transfer_to": agent,
        },
        {
            "paymentagent_withdraw": 1,
            "amount": 10,
            "currency": "USD",
            "paymentagent_loginid": agent,
            "verification_code": code,
        },
        {"paymentagent_withdraw_justification": 1, "message": "Why not."},
    ]
    # All are under way when the token goes: each was let in under a grant that still held.
    revoking = {"api_token": 1, "delete_token": token_form.masked(token)}
    revoked, *replies = await asyncio.gather(
        owner.ask(revoking), *(client.ask(request) for request in requests)
    )
    assert "error" not in revoked
    assert [reply["error"]["code"] for reply in replies] == ["AuthorizationRequired"] * 5
    assert await balances(world, first, second) == [1_000_000, 1_000_000]
    # The code was not used up for nothing.
    assert "error" not in await owner.ask(requests[3])


# Payment agents.


async def test_a_user_becomes_a_payment_agent_and_is_found(connected: Connected) -> None:
    world = connected.world
    account = world.real[0]
    client = await signed_in(connected, account, "admin", "read")
    details = (await client.ask({"paymentagent_details": 1}))["paymentagent_details"]
    assert details == {"can_apply": 1, "status": None}

    assert (await client.ask({"paymentagent_create": 1, **AGENT}))["paymentagent_create"] == 1
    details = (await client.ask({"paymentagent_details": 1}))["paymentagent_details"]
    assert details["status"] == "authorized"
    assert details["target_country"] == "id"
    assert (details["min_withdrawal"], details["max_withdrawal"]) == (10.0, 2000.0)
    for told in ("email", "information", "payment_agent_name", "phone_numbers", "urls"):
        assert details[told] == AGENT[told]

    stranger = await connected.connect()

    async def listed(country: str, **more: str) -> list[dict[str, Any]]:
        reply = await stranger.ask({"paymentagent_list": country, **more})
        found: list[dict[str, Any]] = reply["paymentagent_list"]["list"]
        return found

    [found] = await listed("id")
    assert found["paymentagent_loginid"] == account.loginid
    assert found["name"] == "Corner Shop"
    assert (found["deposit_commission"], found["withdrawal_commission"]) == ("1", "2.5")
    assert (found["currencies"], found["min_withdrawal"]) == ("USD", "10.00")
    assert await listed("ID", currency="USD") == [found]
    assert await listed("id", currency="EUR") == await listed("gb") == []
    reply = await stranger.ask({"paymentagent_list": "gb"})
    assert reply["paymentagent_list"]["available_countries"] == [["id", "Indonesia"]]

    settings = (await client.ask({"get_settings": 1}))["get_settings"]
    assert settings["is_authenticated_payment_agent"] == 1

    # Told again, it replaces what was told before.
    changed = {**AGENT, "payment_agent_name": "Market Stall", "phone_numbers": []}
    await client.ask({"paymentagent_create": 1, **changed})
    [found] = await listed("id")
    assert (found["name"], found["phone_numbers"]) == ("Market Stall", [])


async def test_a_demo_account_is_no_agents(world: World) -> None:
    await a_resident(world, "id")
    client = await signed_in_here(world, world.demo)
    assert await client.refused({"paymentagent_create": 1, **AGENT}) == "RealAccountNeeded"
    for field, value in (
        ("urls", [{"url": "javascript://alert(1)"}]),
        ("urls", [{"url": "https://a.example"}] * 21),
        ("phone_numbers", [{"phone_number": "none"}]),
        ("commission_deposit", 9.5),
        ("payment_agent_name", "x" * 101),
    ):
        reply = await client.ask({"paymentagent_create": 1, **AGENT, field: value})
        assert next(iter(reply["error"]["details"])).startswith(field)


async def test_a_withdrawal_to_an_agent_with_the_code_from_the_mailbox(
    connected: Connected,
) -> None:
    world = connected.world
    mine, theirs = world.real[0], await somebody(world)
    await an_agent(world, theirs)
    client = await signed_in(connected, mine, "payments", "read")
    agent = await signed_in(connected, theirs, "read")
    await agent.ask({"transaction": 1, "subscribe": 1})
    code = await a_letter(world, client)
    request = {
        "paymentagent_withdraw": 1,
        "amount": 100,
        "currency": "USD",
        "description": "For the boat.",
        "paymentagent_loginid": theirs.loginid,
        "verification_code": code,
    }
    wrong = await client.ask({**request, "verification_code": "not_the_code"})
    assert wrong["error"]["code"] == "InvalidToken"
    assert wrong["echo_req"]["verification_code"] == "<not shown>"

    rehearsed = await client.ask({**request, "dry_run": 1})
    assert rehearsed["paymentagent_withdraw"] == 2
    assert rehearsed["paymentagent_name"] == "Corner Shop"
    assert "transaction_id" not in rehearsed
    assert await balances(world, mine, theirs) == [1_000_000, 1_000_000]

    reply = await client.ask(keyed(request))
    assert reply["paymentagent_withdraw"] == 1
    assert reply["paymentagent_name"] == "Corner Shop"
    assert await balances(world, mine, theirs) == [990_000, 1_010_000]
    # Repeated, its code is good for the same answer; for another payment it is used up.
    again = await client.ask(keyed(request))
    assert again["transaction_id"] == reply["transaction_id"]
    assert await client.refused(request) == "InvalidToken"
    assert await client.refused({**request, "dry_run": 1}) == "InvalidToken"
    assert await client.refused(keyed(request, "other")) == "InvalidToken"
    assert await balances(world, mine, theirs) == [990_000, 1_010_000]

    entry = (await agent.next())["transaction"]
    assert (entry["action"], entry["amount"]) == ("deposit", 100.0)
    statement = await client.ask({"statement": 1, "description": 1, "action_type": "withdrawal"})
    [row] = statement["statement"]["transactions"]
    assert row["amount"] == -100.0
    assert row["longcode"] == (
        f"Withdrawn through payment agent Corner Shop ({theirs.loginid}). For the boat."
    )
    await right(world)


async def test_one_code_is_one_withdrawal_however_it_is_raced(world: World) -> None:
    mine, theirs = world.real[0], await somebody(world)
    await an_agent(world, theirs)
    clients = [await signed_in_here(world, mine, "payments") for _ in range(5)]
    code = await a_letter(world, clients[0])
    request = {
        "paymentagent_withdraw": 1,
        "amount": 50,
        "currency": "USD",
        "paymentagent_loginid": theirs.loginid,
        "verification_code": code,
    }
    replies = await asyncio.gather(*(client.ask(request) for client in clients * 3))
    assert sum("error" not in reply for reply in replies) == 1
    assert await balances(world, mine, theirs) == [995_000, 1_005_000]


async def test_a_code_for_something_else_withdraws_nothing(world: World) -> None:
    """Neither one of another purpose, nor one that another user was sent."""
    mine, theirs = world.real[0], await somebody(world)
    await an_agent(world, theirs)
    [ada, _] = await world.user("ada@example.com")
    client = await signed_in_here(world, mine)
    request = {
        "paymentagent_withdraw": 1,
        "amount": 50,
        "currency": "USD",
        "paymentagent_loginid": theirs.loginid,
    }
    code = await a_letter(world, client, "payment_withdraw")
    assert await client.refused({**request, "verification_code": code}) == "InvalidToken"
    await client.ask({"verify_email": "ada@example.com", "type": "paymentagent_withdraw"})
    code = world.mail.code("ada@example.com")
    assert await client.refused({**request, "verification_code": code}) == "InvalidToken"
    hers = await signed_in_here(world, ada)
    assert "error" not in await hers.ask({**request, "verification_code": code})


async def test_an_agent_pays_a_client(world: World) -> None:
    mine, theirs = world.real[0], await somebody(world)
    agent, client = await signed_in_here(world, mine), await signed_in_here(world, theirs)
    request = {
        "paymentagent_transfer": 1,
        "amount": 30,
        "currency": "USD",
        "transfer_to": theirs.loginid,
    }
    error = (await agent.ask(request))["error"]
    assert error["code"] == "PaymentAgentTransferError"
    assert "is not a payment agent" in error["message"]
    await an_agent(world, mine)
    assert (await agent.ask({**request, "dry_run": 1}))["paymentagent_transfer"] == 2
    assert await balances(world, mine, theirs) == [1_000_000, 1_000_000]
    reply = await agent.ask(keyed(request))
    assert (await agent.ask(keyed(request)))["transaction_id"] == reply["transaction_id"]
    assert reply["paymentagent_transfer"] == 1
    assert reply["client_to_loginid"] == theirs.loginid
    assert await balances(world, mine, theirs) == [997_000, 1_003_000]
    statement = await client.ask({"statement": 1, "description": 1, "limit": 1})
    [row] = statement["statement"]["transactions"]
    assert (row["action_type"], row["amount"]) == ("deposit", 30.0)
    assert row["longcode"] == f"Paid by payment agent Corner Shop ({mine.loginid})."
    await right(world)


async def test_agents_refuse_what_is_not_for_them(world: World) -> None:
    first, second = world.real
    await an_agent(world, first)
    other, euros = await somebody(world), await world.account("EUR", 100_000)
    await an_agent(world, euros)
    agent = await signed_in_here(world, first)
    request = {"paymentagent_transfer": 1, "currency": "USD", "amount": 20}

    async def refused(words: str, **fields: Any) -> None:
        error = (await agent.ask({**request, **fields}))["error"]
        assert error["code"] == "PaymentAgentTransferError"
        assert words in error["message"]

    await refused("between 10.00 and 2000.00 USD", transfer_to=other.loginid, amount=9.99)
    await refused("between 10.00 and 2000.00 USD", transfer_to=other.loginid, amount=2000.01)
    await refused("Use transfer_between_accounts", transfer_to=second.loginid)
    await refused("not a real-style account", transfer_to=world.demo.loginid)
    await refused("does not accept such payments", transfer_to="CR1")
    await refused("is in USD", transfer_to=other.loginid, currency="EUR")
    foreign = await world.account("EUR", 0, owner=other.user_id)
    await refused("does not accept such payments", transfer_to=foreign.loginid)
    poor = {**request, "transfer_to": other.loginid}
    await world.credit(-999_000, first.loginid)
    assert await agent.refused(poor) == "InsufficientBalance"
    await world.credit(999_000, first.loginid)
    # A user who is locked out is paid nothing, and is no agent.
    client = await signed_in_here(world, other)
    code = await a_letter(world, agent)
    await world.gateway.store.write(
        lambda transaction: transaction.execute(
            "UPDATE users SET disabled_at = 1 WHERE id = ?", other.user_id
        )
    )
    await refused("does not accept such payments", transfer_to=other.loginid)
    assert (await client.ask({"paymentagent_list": "id"}))["paymentagent_list"]["list"]
    withdrawal = {
        "paymentagent_withdraw": 1,
        "amount": 20,
        "currency": "USD",
        "paymentagent_loginid": other.loginid,
        "verification_code": code,
    }
    error = (await agent.ask(withdrawal))["error"]
    assert error["code"] == "PaymentAgentWithdrawError"
    assert "is not a payment agent" in error["message"]
    await right(world)


async def test_what_an_owner_excludes_is_not_paid_in(world: World) -> None:
    """The owner gets the reason; other payers learn nothing of what the owner chose."""
    first, second = world.real
    agent = await somebody(world)
    await an_agent(world, agent)
    owner = await signed_in_here(world, second)
    payer = await signed_in_here(world, first)
    paying = await signed_in_here(world, agent)
    reply = await owner.ask({"set_self_exclusion": 1, "max_deposit": 100})
    assert "error" not in reply, reply["error"]
    client = {
        "paymentagent_transfer": 1,
        "amount": 60,
        "currency": "USD",
        "transfer_to": second.loginid,
    }
    assert "error" not in await payer.ask(transfer(first, second, 60))
    assert await payer.refused(transfer(first, second, 60)) == "DailyDepositLimitExceeded"
    error = (await paying.ask(client))["error"]
    assert error == {
        "code": "PaymentAgentTransferError",
        "message": f"{second.loginid} does not accept such payments at present.",
    }
    assert "error" not in await paying.ask({**client, "amount": 40})
    assert await balances(world, first, second, agent) == [994_000, 1_010_000, 996_000]
    # The next day is another day.
    world.clock.advance(86_400)
    assert "error" not in await payer.ask(transfer(first, second, 60))
    await right(world)


async def test_an_agent_does_not_find_out_which_accounts_exist(connected: Connected) -> None:
    world = connected.world
    mine, theirs = world.real[0], await somebody(world)
    await an_agent(world, mine)
    agent = await signed_in(connected, mine, "payments")
    excluding = (await world.user("excluding@example.com"))[0]
    owner = await signed_in(connected, excluding)
    assert "error" not in await owner.ask({"set_self_exclusion": 1, "max_deposit": 1})
    others = {
        "there": theirs.loginid,
        "none": "CR99999",
        "demo": (await world.user("demo@example.com"))[1].loginid,
        "none like it": "VRTC99999",
        "foreign": (await world.account("EUR", 100, owner=theirs.user_id)).loginid,
        "empty": (await world.open_account("new@example.com", virtual=False)).loginid,
        "excluding": excluding.loginid,
    }
    request = {"paymentagent_transfer": 1, "amount": 30, "currency": "USD"}

    async def told(**change: Any) -> dict[str, Any]:
        """The agent's error for each account, without the loginid in the request."""
        replies = {}
        for name, loginid in others.items():
            reply = await agent.ask({**request, "transfer_to": loginid, "req_id": 1, **change})
            del reply["echo_req"]
            replies[name] = {key: str(value).replace(loginid, "X") for key, value in reply.items()}
        return replies

    tried = await told(dry_run=1)
    assert tried["there"]["paymentagent_transfer"] == "2"
    # Tried, or refused for a reason of the agent's own: each account is answered alike.
    changes: list[dict[str, Any]] = [
        {"amount": 9},
        {"currency": "EUR"},
        {"amount": 9, "dry_run": 1},
        {"dry_run": 1},
    ]
    for change in changes:
        replies = await told(**change)
        assert all(reply == replies["there"] for reply in replies.values())
    await world.set_balance(1_000, mine.loginid)
    poor = await told()
    assert "InsufficientBalance" in poor["there"]["error"]
    assert all(reply == poor["there"] for reply in poor.values())
    # Only an actual payment shows that there is an account.
    await world.set_balance(100_000, mine.loginid)
    paid = await told()
    assert paid.pop("there")["paymentagent_transfer"] == "1"
    assert all(reply == paid["none"] for reply in paid.values())
    # An agent knows which accounts are the agent's own.
    own = {**request, "transfer_to": world.real[1].loginid, "dry_run": 1}
    assert "Use transfer_between_accounts" in (await agent.ask(own))["error"]["message"]


async def test_a_first_payment_counts_where_no_opening_balance_came_before_it(world: World) -> None:
    first, _ = world.real
    empty = await world.open_account(virtual=False)
    owner, payer = await signed_in_here(world, empty), await signed_in_here(world, first)
    await owner.ask({"set_self_exclusion": 1, "max_deposit": 100})
    assert "error" not in await payer.ask(transfer(first, empty, 60))
    assert await payer.refused(transfer(first, empty, 60)) == "DailyDepositLimitExceeded"


async def test_nobody_else_settles_the_currency_of_an_account(world: World) -> None:
    """An agent's payment would: it would take the opening balance, and the choice, away."""
    agent, empty = await somebody(world), await world.open_account(virtual=False)
    await an_agent(world, agent)
    paying, owner = await signed_in_here(world, agent), await signed_in_here(world, empty)
    request = {
        "paymentagent_transfer": 1,
        "amount": 20,
        "currency": "USD",
        "transfer_to": empty.loginid,
    }
    assert await paying.refused(request) == "PaymentAgentTransferError"
    assert (await owner.ask({"set_account_currency": "USD"}))["set_account_currency"] == 1
    assert "error" not in await paying.ask(request)
    assert await balances(world, empty) == [1_002_000]


async def test_a_payment_through_an_agent_is_of_like_size_in_every_currency(world: World) -> None:
    bitcoin = await world.account("BTC", 100_000_000)
    await an_agent(world, bitcoin)
    other = await somebody(world)
    theirs = await world.account("BTC", 1, owner=other.user_id)
    agent = await signed_in_here(world, bitcoin)
    request = {"paymentagent_transfer": 1, "currency": "BTC", "transfer_to": theirs.loginid}
    for amount in (0.00019999, 0.04000001):
        error = (await agent.ask({**request, "amount": amount}))["error"]
        assert "between 0.00020000 and 0.04000000 BTC" in error["message"]
    assert "error" not in await agent.ask({**request, "amount": 0.04})
    assert await balances(world, theirs) == [4_000_001]


async def test_the_latest_reason_for_a_withdrawal_is_kept(world: World) -> None:
    mine = world.real[0]
    client = await signed_in_here(world, mine, "payments")
    asked = {"paymentagent_withdraw_justification": 1}
    assert await client.refused(asked) == "InputValidationFailed"
    for message in ("My bank is shut.", "My bank has moved."):
        reply = await client.ask({**asked, "message": message})
        assert reply["paymentagent_withdraw_justification"] == 1
    [kept] = await world.gateway.store.read(agents.reasons)
    assert (kept.loginid, kept.message) == (mine.loginid, "My bank has moved.")


# The cashier, and rates.


async def test_the_cashier_is_the_page_of_the_paper_account(connected: Connected) -> None:
    world = connected.world
    client = await signed_in(connected, world.real[0], "payments")
    page = (await client.ask({"cashier": "deposit"}))["cashier"]
    assert page.startswith("http://127.0.0.1:")
    assert page.endswith("/account")
    assert await client.refused({"cashier": "withdraw"}) == "ASK_EMAIL_VERIFY"
    code = await a_letter(world, client, "payment_withdraw")
    request = {"cashier": "withdraw", "verification_code": code}
    assert (await client.ask(request))["cashier"] == page
    assert await client.refused(request) == "InvalidToken"
    for more in ({"provider": "crypto"}, {"type": "api"}):
        assert await client.refused({"cashier": "deposit", **more}) == "CashierForwardError"
    assert await balances(world, world.real[0]) == [1_000_000]


async def test_rates_are_those_of_the_feed_and_are_streamed(connected: Connected) -> None:
    world = connected.world
    client = await connected.connect()
    rates = Rates(world.gateway.service(Feed))
    reply = await client.ask({"exchange_rates": 1, "base_currency": "USD"})
    told = reply["exchange_rates"]["rates"]
    assert sorted(told) == ["AUD", "BTC", "ETH", "EUR", "GBP", "LTC", "USDC"]
    now = int(world.clock.now())
    assert reply["exchange_rates"]["date"] == now
    for target, rate in told.items():
        assert rate == pytest.approx(float(rates.rate("USD", target, now).spot), rel=1e-9)

    asked = {"exchange_rates": 1, "base_currency": "BTC", "target_currency": "USD", "subscribe": 1}
    first = await client.ask(asked)
    assert await client.refused(asked) == "AlreadySubscribed"
    steady = {**asked, "base_currency": "USDC"}
    unmoved = await client.ask(steady)
    symbol = (await client.ask({"ticks": "cryBTCUSD", "subscribe": 0}))["tick"]
    assert first["exchange_rates"]["rates"]["USD"] == symbol["quote"]
    for _ in range(4):
        world.clock.advance(1)
    await client.ask({"ping": 1})
    events = client.received
    assert events  # of the one that moves alone
    assert {event["subscription"]["id"] for event in events} == {first["subscription"]["id"]}
    known = first["exchange_rates"]["rates"]
    for event in events:
        body = event["exchange_rates"]
        assert body["rates"] != known
        at = body["date"]
        assert body["rates"]["USD"] == pytest.approx(float(rates.rate("BTC", "USD", at).spot))
        known = body["rates"]
    for stream in (first, unmoved):
        assert (await client.ask({"forget": stream["subscription"]["id"]}))["forget"] == 1
    world.clock.advance(10)
    await client.ask({"ping": 1})
    assert client.received == []


async def test_a_rate_of_what_there_is_not_is_refused(world: World) -> None:
    client = world.connect()
    for fields, field in (
        ({"base_currency": "XYZ"}, "base_currency"),
        ({"base_currency": "USD", "target_currency": "xyz"}, "target_currency"),
        ({"base_currency": "USD", "include_spread": 1}, "include_spread"),
        ({"base_currency": "USD", "subscribe": 1}, "subscribe"),
    ):
        error = (await client.ask({"exchange_rates": 1, **fields}))["error"]
        assert error["details"].keys() == {field}


async def test_balances_of_several_currencies_are_added_up_in_dollars(world: World) -> None:
    euros = await world.account("EUR", 50_000)
    client = await signed_in_here(world, world.real[0], "read")
    body = (await client.ask({"balance": 1, "account": "all"}))["balance"]
    worth = Rates(world.gateway.service(Feed)).converted(
        50_000, "EUR", "USD", int(world.clock.now())
    )
    assert body["accounts"][euros.loginid]["balance"] == 500.0
    assert body["accounts"][euros.loginid]["converted_amount"] == worth / 100
    assert body["total"]["deriv"] == {"amount": (2_000_000 + worth) / 100, "currency": "USD"}
