"""An app's markup: on the price, in the transaction of the purchase, in its owner's account."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange import ledger
from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.desk import Desk
from scopegate.exchange.feed import Feed
from scopegate.exchange.ledger import Account, Ledger
from scopegate.exchange.rates import Rates
from scopegate.exchange.rules import Margins
from scopegate.gateway.access.apps import App
from scopegate.store.transactions import Transaction
from scopegate.testing import NOON, Client, World
from tests.conftest import Connected
from tests.scenarios.test_copying import party, trader_of

RISE = {
    "amount": 100,
    "basis": "payout",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "t",
    "symbol": "R_100",
}
UP = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "MULTUP",
    "currency": "USD",
    "multiplier": 100,
    "symbol": "R_100",
}
FEED = Feed("markups")
RANGE = {"date_from": "2026-01-01 00:00:00", "date_to": "2026-01-31 23:59:59"}


async def owner_of_apps(world: World) -> list[Account]:
    """A user with a real-style account and a demo one."""
    return await world.user("owner@example.com")


async def balance(world: World, loginid: str) -> int:
    return (await world.gateway.service(Ledger).balance(loginid)).units


async def exchange_keeps(world: World) -> int:
    """What the exchange holds in USD."""

    def job(reader: Transaction) -> int:
        row = reader.one(
            "SELECT coalesce(sum(balance), 0) FROM counter_accounts"
            " WHERE name = 'exchange' AND currency = 'USD'"
        )
        return 0 if row is None else row[0]

    return await world.gateway.store.read(job)


async def bought(client: Client, parameters: dict[str, Any], price: float = 1_000) -> Any:
    reply = await client.ask({"buy": 1, "price": price, "parameters": parameters})
    assert "error" not in reply, reply["error"]
    return reply["buy"]


async def test_a_markup_is_paid_by_the_buyer_and_booked_to_the_apps_owner(
    connected: Connected,
) -> None:
    world = connected.world
    _, earner = await owner_of_apps(world)
    app = await world.app("read", "trade", owner=earner.user_id, markup="2")
    plain, client = await connected.connect(), await connected.connect(app.id)
    fair = (await plain.ask({"proposal": 1, **RISE}))["proposal"]
    quoted = (await client.ask({"proposal": 1, **RISE}))["proposal"]
    assert quoted["ask_price"] == pytest.approx(fair["ask_price"] + 2, abs=0.01)
    assert quoted["contract_details"]["app_markup_amount"] == "2.00"
    assert "app_markup_amount" not in fair["contract_details"]

    await client.authorize(await world.token())
    kept, before = await exchange_keeps(world), await balance(world, earner.loginid)
    receipt = await bought(client, RISE)
    assert receipt["buy_price"] == quoted["ask_price"]
    assert await balance(world, earner.loginid) - before == 200
    assert await exchange_keeps(world) - kept == round(fair["ask_price"] * 100)
    followed = await client.ask(
        {"proposal_open_contract": 1, "contract_id": receipt["contract_id"]}
    )
    assert followed["proposal_open_contract"]["app_markup_amount"] == "2.00"

    owner = await connected.connect()
    await owner.authorize(await world.token("read", loginid=earner.loginid))
    [entry, _] = (await owner.ask({"statement": 1, "description": 1}))["statement"]["transactions"]
    assert (entry["action_type"], entry["amount"], entry["app_id"]) == ("adjustment", 2.0, app.id)
    assert str(receipt["contract_id"]) in entry["longcode"]
    details = await owner.ask({"app_markup_details": 1, **RANGE})
    assert details["app_markup_details"]["transactions"] == [
        {
            "app_id": app.id,
            "app_markup": 2.0,
            "app_markup_usd": 2.0,
            "app_markup_value": 2.0,
            "client_currcode": "USD",
            "client_loginid": world.demo.loginid,
            "dev_currcode": "USD",
            "dev_loginid": earner.loginid,
            "transaction_id": receipt["transaction_id"],
            "transaction_time": str(receipt["purchase_time"]),
        }
    ]
    sums = (await owner.ask({"app_markup_statistics": 1, **RANGE}))["app_markup_statistics"]
    assert sums == {
        "breakdown": [
            {
                "app_id": app.id,
                "app_markup_usd": 2.0,
                "app_markup_value": 2.0,
                "dev_currcode": "USD",
                "transactions_count": 1,
            }
        ],
        "total_app_markup_usd": 2.0,
        "total_transactions_count": 1,
    }


async def test_a_stake_pays_less_and_a_multiplier_costs_more(world: World) -> None:
    _, earner = await owner_of_apps(world)
    app = await world.app("trade", owner=earner.user_id, markup="3")
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token())
    before = await balance(world, earner.loginid)
    plain = (await world.connect().ask({"proposal": 1, **RISE, "basis": "stake"}))["proposal"]
    receipt = await bought(client, RISE | {"basis": "stake"})
    assert receipt["buy_price"] == 100
    assert receipt["payout"] < plain["payout"]
    markup = int(receipt["payout"] * 100 * 0.03 + 1e-6)
    assert await balance(world, earner.loginid) - before == markup
    receipt = await bought(client, UP)
    assert receipt["buy_price"] == 10.30
    assert await balance(world, earner.loginid) - before == markup + 30


async def test_where_nobody_is_to_get_it_no_markup_is_charged(world: World) -> None:
    _, earner = await owner_of_apps(world)
    app = await world.app("trade", owner=earner.user_id, markup="2")
    fair = (await world.connect().ask({"proposal": 1, **RISE}))["proposal"]["ask_price"]
    client = world.connect(app_id=app.id)
    # The owner buys through their own app.
    await client.authorize(await world.token(loginid=earner.loginid))
    assert (await client.ask({"proposal": 1, **RISE}))["proposal"]["ask_price"] == fair
    assert (await bought(client, RISE))["buy_price"] == fair
    # The owner has no account in the buyer's currency.
    await client.authorize(await world.token())
    opened = (await client.ask({"new_account_real": 1, "currency": "EUR"}))["new_account_real"]
    await client.authorize(opened["oauth_token"])
    dear = RISE | {"currency": "EUR"}
    quoted = (await client.ask({"proposal": 1, **dear}))["proposal"]
    reply = await client.ask({"buy": quoted["id"], "price": quoted["ask_price"]})
    assert reply["buy"]["buy_price"] == quoted["ask_price"] - 2
    followed = await client.ask(
        {"proposal_open_contract": 1, "contract_id": reply["buy"]["contract_id"]}
    )
    assert "app_markup_amount" not in followed["proposal_open_contract"]


async def test_a_markup_goes_to_an_account_of_the_same_kind(world: World) -> None:
    real, demo = await owner_of_apps(world)
    app = await world.app("trade", owner=real.user_id, markup="1")
    for buyer, earner in ((world.demo, demo), (world.real[0], real)):
        client = world.connect(app_id=app.id)
        await client.authorize(await world.token(loginid=buyer.loginid))
        before = await balance(world, earner.loginid)
        await bought(client, RISE)
        assert await balance(world, earner.loginid) - before == 100


async def test_prices_with_and_without_markup_are_streams_of_their_own(world: World) -> None:
    _, earner = await owner_of_apps(world)
    app = await world.app("trade", owner=earner.user_id, markup="2")
    prices = {}
    for app_id in (1089, app.id):
        client = world.connect(app_id=app_id)
        first = await client.ask({"proposal": 1, "subscribe": 1, **RISE})
        world.clock.advance(2)
        later = await client.next()
        prices[app_id] = (first["proposal"]["ask_price"], later["proposal"]["ask_price"])
    assert all(high > low + 1 for low, high in zip(prices[1089], prices[app.id], strict=True))


async def test_buying_for_several_accounts_pays_for_each(world: World) -> None:
    real, demo = await owner_of_apps(world)
    app = await world.app("trade", owner=real.user_id, markup="1")
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token())
    buyers = (world.demo, *world.real, demo)
    tokens = [await world.token(loginid=account.loginid) for account in buyers]
    before = await balance(world, real.loginid)
    reply = await client.ask(
        {
            "buy_contract_for_multiple_accounts": 1,
            "price": 100,
            "parameters": RISE,
            "tokens": tokens,
        }
    )
    results = reply["buy_contract_for_multiple_accounts"]["result"]
    assert [result for result in results if "code" in result] == []
    assert await balance(world, real.loginid) - before == 200
    first, *_, owners = [result["buy_price"] for result in results]
    assert first - owners == pytest.approx(1)  # to oneself nothing is paid


async def test_a_markup_in_another_currency_is_told_in_dollars(world: World) -> None:
    [_, earner] = await owner_of_apps(world)
    app = await world.app("trade", owner=earner.user_id, markup="2")
    client, owner = world.connect(app_id=app.id), world.connect()
    await owner.authorize(await world.token(loginid=earner.loginid))
    await owner.ask({"new_account_real": 1, "currency": "EUR"})
    await client.authorize(await world.token())
    opened = (await client.ask({"new_account_real": 1, "currency": "EUR"}))["new_account_real"]
    await client.authorize(opened["oauth_token"])
    for _ in range(2):
        await bought(client, RISE | {"currency": "EUR"})
        world.clock.advance(600)
    listed = (await owner.ask({"app_markup_details": 1, "sort": "ASC", **RANGE}))[
        "app_markup_details"
    ]["transactions"]
    assert {(row["app_markup_value"], row["dev_currcode"]) for row in listed} == {(2.0, "EUR")}
    rates = Rates(world.gateway.service(Feed))
    worth = [
        rates.converted(200, "EUR", "USD", int(row["transaction_time"])) / 100 for row in listed
    ]
    assert [row["app_markup_usd"] for row in listed] == worth
    sums = (await owner.ask({"app_markup_statistics": 1, **RANGE}))["app_markup_statistics"]
    assert sums["total_app_markup_usd"] == pytest.approx(sum(worth))
    assert [row["app_markup_value"] for row in sums["breakdown"]] == [4.0]


async def test_a_copy_pays_no_markup(world: World) -> None:
    _, earner = await owner_of_apps(world)
    app = await world.app("trade", owner=earner.user_id, markup="2")
    trader, text = await trader_of(world, world.connect(app_id=app.id))
    copier = await party(world, "copier")
    await copier.done({"copy_start": text, "max_trade_stake": 98})
    before = await balance(world, earner.loginid)
    await bought(trader.client, UP | {"amount": 98})
    [own], [copy] = await trader.rows(), await copier.rows()
    assert (own["price"], own["markup"]) == (9_996, 196)
    assert (copy["price"], copy["markup"]) == (9_800, 0)
    assert copy["payout"] == own["payout"]
    assert await balance(world, earner.loginid) - before == 196


async def earned(world: World, owner: Client, **more: Any) -> list[tuple[int, str]]:
    reply = await owner.ask({"app_markup_details": 1, **RANGE, **more})
    assert "error" not in reply, reply["error"]
    listed = reply["app_markup_details"]["transactions"]
    return [(row["app_id"], row["client_loginid"]) for row in listed]


async def test_markups_are_listed_as_they_are_asked_for(world: World) -> None:
    _, earner = await owner_of_apps(world)
    first, second = [
        await world.app("trade", owner=earner.user_id, markup=markup) for markup in ("1", "2")
    ]
    sold: list[tuple[int, str]] = []
    app: App
    for app, account in (
        (second, world.demo),
        (first, world.demo),
        (second, (await world.user("bob@example.com"))[1]),
    ):
        client = world.connect(app_id=app.id)
        await client.authorize(await world.token(loginid=account.loginid))
        await bought(client, RISE)
        sold.append((app.id, account.loginid))
        world.clock.advance(60)
    owner = world.connect()
    await owner.authorize(await world.token("read", loginid=earner.loginid))
    assert await earned(world, owner) == sold[::-1]
    assert await earned(world, owner, sort="ASC") == sold
    assert await earned(world, owner, sort="ASC", limit=1, offset=1) == [sold[1]]
    assert await earned(world, owner, app_id=second.id) == [sold[2], sold[0]]
    assert await earned(world, owner, client_loginid=sold[2][1]) == [sold[2]]
    by_app = await earned(world, owner, sort_fields=["app_id", "transaction_time"])
    assert by_app == [sold[1], sold[2], sold[0]]
    noon = int(NOON)
    assert await earned(world, owner, date_from=str(noon), date_to=str(noon + 60)) == sold[1::-1]
    assert await earned(world, owner, app_id=1089) == []
    sums = (await owner.ask({"app_markup_statistics": 1, **RANGE}))["app_markup_statistics"]
    assert [(row["app_id"], row["app_markup_usd"]) for row in sums["breakdown"]] == [
        (first.id, 1.0),
        (second.id, 4.0),
    ]
    assert (sums["total_app_markup_usd"], sums["total_transactions_count"]) == (5.0, 3)
    stranger = world.connect()
    await stranger.authorize(await world.token())
    assert await earned(world, stranger) == []
    wrong = {"date_from": "2026-02-30 00:00:00", "date_to": "0"}
    assert await owner.refused({"app_markup_statistics": 1} | wrong) == "InputValidationFailed"


async def test_all_balances_still_add_up_to_nothing(world: World) -> None:
    _, earner = await owner_of_apps(world)
    app = await world.app("trade", owner=earner.user_id, markup="3")
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token())
    for parameters in (RISE, UP, RISE | {"basis": "stake", "amount": 7.77}):
        await bought(client, parameters)
    world.clock.advance(20)
    await world.gateway.service(Desk).settled()

    def job(reader: Transaction) -> list[Any]:
        return reader.all(
            "SELECT currency, sum(balance) FROM"
            " (SELECT currency, balance FROM accounts"
            "  UNION ALL SELECT currency, balance FROM counter_accounts) AS every GROUP BY currency"
        )

    assert {row[0]: row[1] for row in await world.gateway.store.read(job)} == {"USD": 0}
    for account in await world.gateway.store.read(ledger.accounts):
        loginid = account.loginid
        entries = await world.gateway.store.read(lambda r, of=loginid: ledger.entries(r, of))  # type: ignore[misc]
        assert sum(entry.amount for entry in entries) == account.balance


@given(
    st.sampled_from(["CALL", "PUT", "DIGITMATCH", "DIGITDIFF", "ONETOUCH"]),
    st.sampled_from(["stake", "payout"]),
    st.decimals("0.35", "2000", places=2),
    st.integers(1, 300).map(lambda hundredths: hundredths / 10_000),
)
def test_the_exchange_never_gets_less_than_without_a_markup(
    kind: str, basis: str, amount: Any, share: float
) -> None:
    more: dict[str, Any] = {"barrier": "+5"} if kind == "ONETOUCH" else {}
    if kind.startswith("DIGIT"):
        more = {"barrier": "5"}
    quote_request = {
        "contract_type": kind,
        "symbol": "R_100",
        "currency": "USD",
        "amount": amount,
        "basis": basis,
        "duration": 5,
        "duration_unit": "t",
    } | more

    def offered(markup: Any) -> Any:
        return quoting.make_quote(
            QuoteRequest(**quote_request, markup=markup), FEED, int(NOON), Margins()
        )

    try:
        offer, fair = offered(type(amount)(repr(share))), offered(type(amount)(0))
    except Refusal:
        return
    assert offer.markup == int(offer.payout * type(amount)(repr(share)))
    # Per unit of the payout; the fair price was rounded up to a cent itself.
    assert (offer.price - offer.markup) * 1_000_000 >= offer.payout * fair.ask
