"""A family of contracts that is defined here alone, and traded over a socket.

It is a type (terms, price, outcome) and a view, under a published name that nothing else uses.
`docs/adding-a-family.md` lists the files that a family of the product touches.
"""

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from docs.generate import contracts_page
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common import short_fields
from scopegate.exchange.contracts.common.bounds import check_stake
from scopegate.exchange.contracts.common.contract_type import (
    ContractType,
    Quote,
    check_time_left,
)
from scopegate.exchange.contracts.common.listing import MINUTES, Decides, Listing
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Status,
    Tick,
    unentered,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.contracts.eligibility import is_offered
from scopegate.exchange.desk import Desk
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import SYMBOLS
from scopegate.handlers.exchange.views.view import ContractView, Pricing, ShownContract
from scopegate.testing import World
from tests.served import over_sockets

MARGIN = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareTerms(Terms):
    stake: int
    units: int
    """What it pays, in smallest units of money, if the price ends where it was entered."""


class Square(ContractType[SquareTerms, None]):
    """Pays `units` times the square of exit spot / entry spot."""

    name = "SNOWUP"
    listing = Listing(
        category="square",
        category_display="Squares",
        display="Square",
        sentiment="high_vol",
        barrier_category="euro_atm",
        durations=MINUTES,
        decides=Decides.DISTANCE_OF_LAST_TICK,
    )

    def mean_square(
        self, terms: SquareTerms, state: ContractState[None], market: MarketView
    ) -> float:
        law = self.distribution(terms, state, market)
        entry = market.tick if state.entry is None else state.entry
        return (market.tick.pips / entry.pips) ** 2 * math.exp(2 * law.mean + 2 * law.sd**2)

    def quote(
        self,
        terms: Terms,
        amount: int,
        request: QuoteRequest,
        market: MarketView,
        margins: Margins,
    ) -> Quote[SquareTerms]:
        check_stake(amount, terms.currency)
        agreed = terms.extended(SquareTerms, stake=amount, units=0)
        worth = self.mean_square(agreed, unentered(agreed, market.tick), market)
        units = math.floor(amount / (worth * (1 + MARGIN)))
        agreed = terms.extended(SquareTerms, stake=amount, units=units)
        return Quote(agreed, amount, market.tick)

    def has_moved(self, proposed: Any, present: Any, margins: Margins) -> bool:
        return False

    def value(
        self,
        terms: SquareTerms,
        state: ContractState[None],
        market: MarketView,
        margins: Margins,
    ) -> int:
        worth = self.mean_square(terms, state, market) * (1 - MARGIN / 2)
        return math.floor(terms.units * worth)

    def fair_value(
        self, terms: SquareTerms, state: ContractState[None], market: MarketView
    ) -> float:
        return terms.units * self.mean_square(terms, state, market)

    def check_sale(self, terms: SquareTerms, state: ContractState[None], now: int) -> None:
        super().check_sale(terms, state, now)
        check_time_left(terms, now)

    def decide(self, terms: SquareTerms, state: ContractState[None], tick: Tick) -> Outcome | None:
        if tick.epoch < self.exit_epoch(terms):
            return None
        assert state.entry is not None
        return Outcome(Status.WON, tick, terms.units * tick.pips**2 // state.entry.pips**2)

    def sentence(self, terms: SquareTerms) -> str:
        return f"Pays the square of what {terms.symbol.display_name} has moved."

    def encode(self, terms: SquareTerms) -> str:
        return f"{short_fields.plain(terms, terms.stake)}_{terms.units}"

    def decode(self, text: str, terms: Terms) -> SquareTerms:
        plain, _, units = text.rpartition("_")
        amount, start, end = plain.split("_")
        stake, terms = short_fields.read_plain(terms, amount, start, "", end, "", None)
        return terms.extended(SquareTerms, stake=stake, units=int(units))


class SquareView(ContractView[Square], of=Square):
    """The exponent."""

    def example(self) -> Terms:
        return super().example().extended(SquareTerms, stake=1_000, units=980)

    def add_to_quote(self, body: Any, details: Any, quote: Any, pricing: Pricing) -> None:
        body["multiplier"] = 2.0

    def add_to_contract(self, body: Any, shown: ShownContract) -> None:
        body["multiplier"] = 2.0

    def add_to_profit_row(self, row: Any, terms: Any) -> None:
        row["multiplier"] = "2"


WANTED = {
    "contract_type": "SNOWUP",
    "symbol": "R_100",
    "currency": "USD",
    "amount": 10,
    "basis": "stake",
    "duration": 5,
    "duration_unit": "m",
}


@pytest.fixture
async def client(world: World) -> AsyncIterator[Any]:
    """A trader's connection to a gateway that offers the family."""
    with TYPES.including(Square()):
        async with over_sockets(world) as connect:
            trader = await connect()
            await trader.authorize(await world.token("read", "trade"))
            yield trader


async def test_it_is_listed_quoted_and_streamed(world: World, client: Any) -> None:
    rows = (await client.ask({"contracts_for": "R_100"}))["contracts_for"]["available"]
    assert {row["expiry_type"] for row in rows if row["contract_type"] == "SNOWUP"} == {
        "intraday",
        "daily",
    }
    first = (await client.ask({"proposal": 1, "subscribe": 1, **WANTED}))["proposal"]
    assert (first["ask_price"], first["payout"], first["multiplier"]) == (10, 0, 2)
    world.clock.advance(2)
    following = (await client.next())["proposal"]
    assert following["id"] == first["id"]
    assert following["spot"] != first["spot"]


async def test_it_is_bought_followed_and_sold_back(world: World, client: Any) -> None:
    proposal = (await client.ask({"proposal": 1, **WANTED}))["proposal"]
    bought = (await client.ask({"buy": proposal["id"], "price": 10, "subscribe": 1}))["buy"]
    assert bought["longcode"] == "Pays the square of what Volatility 100 Index has moved."
    assert bought["shortcode"].startswith("SNOWUP_R_100_10_")
    [held] = (await client.ask({"portfolio": 1}))["portfolio"]["contracts"]
    assert held["contract_type"] == "SNOWUP"
    world.clock.advance(60)
    told = [(await client.next())["proposal_open_contract"] for _ in range(2)][-1]
    assert (told["is_valid_to_sell"], told["multiplier"]) == (1, 2)
    number = bought["contract_id"]
    standing = (await client.ask({"proposal_open_contract": 1, "contract_id": number}))[
        "proposal_open_contract"
    ]
    sold = (await client.ask({"sell": number, "price": 0}))["sell"]
    assert sold["sold_for"] == standing["bid_price"]
    [row] = (await client.ask({"profit_table": 1, "description": 1}))["profit_table"][
        "transactions"
    ]
    assert (row["contract_id"], row["multiplier"]) == (number, "2")


async def test_it_is_settled_at_its_exit_tick(world: World, client: Any) -> None:
    bought = (await client.ask({"buy": "1", "price": 10, "parameters": WANTED}))["buy"]
    world.clock.advance(301)
    await world.gateway.service(Desk).settled()
    closed = (
        await client.ask({"proposal_open_contract": 1, "contract_id": bought["contract_id"]})
    )["proposal_open_contract"]
    assert closed["status"] == "won"
    units = int(bought["shortcode"].rpartition("_")[2])
    paid = units * (closed["exit_tick"] / closed["entry_tick"]) ** 2
    assert closed["sell_price"] * 100 == pytest.approx(paid, abs=1)


def test_where_it_is_offered_follows_from_what_decides() -> None:
    """It is not told which symbols: the law of a price on a grid of steps has no such formula."""
    offered = {name for name, symbol in SYMBOLS.items() if is_offered(Square(), symbol)}
    assert {"R_100", "1HZ100V", "JD100", "frxEURUSD"} <= offered
    assert offered.isdisjoint({"stpRNG", "BOOM1000", "RB100", "DSI10"})


def test_a_type_must_declare_what_decides() -> None:
    given = {name: getattr(Square.listing, name) for name in Listing.__slots__}
    del given["decides"]
    with pytest.raises(TypeError, match="decides"):
        Listing(**given)


def test_the_documentation_lists_it() -> None:
    assert "SNOWUP" not in contracts_page()
    with TYPES.including(Square()):
        assert "| `SNOWUP` | Squares |" in contracts_page()
