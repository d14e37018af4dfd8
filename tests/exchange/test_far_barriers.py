"""Barriers of contracts that last so long that the price may be anywhere by their end."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.per_point import PerPoint
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import market_view
from scopegate.exchange.contracts.quoting import make_quote
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.feed import Feed
from scopegate.exchange.pricing.knockouts import turbo
from scopegate.exchange.pricing.ranges import inside
from scopegate.exchange.pricing.touch import touch
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import DAY, LEVEL_SD, SYMBOLS

FEED = Feed("far barriers")
MARGINS = Margins()
NOON = 1_767_571_200 + 12 * 3_600


def made(name: str, symbol: str, days: int, **more: Any) -> Quote:
    given: dict[str, Any] = {"currency": "USD", "amount": Decimal(1), "basis": "stake"}
    given |= {"duration": days, "duration_unit": "d"} | more
    return make_quote(QuoteRequest(contract_type=name, symbol=symbol, **given), FEED, NOON, MARGINS)


@pytest.mark.parametrize("name", ["TURBOSLONG", "TURBOSSHORT"])
@pytest.mark.parametrize("symbol", ["1HZ250V", "R_100", "cryBTCUSD"])
def test_strikes_to_choose_from_are_above_zero_and_can_be_had(name: str, symbol: str) -> None:
    kind, spot = TYPES[name], FEED.price(SYMBOLS[symbol], NOON)
    assert isinstance(kind, PerPoint)
    barrier = SYMBOLS[symbol].text(spot * 3 // 4 if name == "TURBOSLONG" else spot * 5 // 4)
    offer = made(name, symbol, 364, barrier=barrier)
    for choice in kind.choices(offer.terms, market_view(FEED, SYMBOLS[symbol], NOON)):
        assert choice.level(spot) > 0
        assert made(name, symbol, 364, barrier=choice.text(SYMBOLS[symbol])).contract_cost > 0


@pytest.mark.parametrize("symbol", ["1HZ250V", "R_100"])
def test_a_payout_per_point_finds_no_barrier_below_zero(symbol: str) -> None:
    with pytest.raises(Refusal, match="The payout per point must be from") as caught:
        made("TURBOSLONG", symbol, 364, payout_per_point=Decimal("0.000001"))
    least = caught.value.message.split()[7]
    offer = made("TURBOSLONG", symbol, 364, payout_per_point=Decimal(least))
    assert offer.terms.barrier is not None
    assert 0 < offer.terms.barrier.level(offer.spot.pips) < offer.spot.pips / 50


@pytest.mark.parametrize(
    ("pull", "from_level", "up", "down"),
    [
        (0.05, 0.0, 0.2, 0.2),
        (0.5, -0.7, 0.6, 0.5),
        (2.0, 0.0, 0.8, 0.8),
        (6.0, 1.0, 0.5, 1.5),  # a year of the liveliest index
    ],
)
def test_paths_that_are_pulled_to_the_level_meet_barriers_as_often_as_priced(
    pull: float, from_level: float, up: float, down: float
) -> None:
    rng, count, ticks = np.random.default_rng(7), 20_000, 1_000
    kept = math.exp(-pull / ticks)
    place = np.full(count, from_level)
    high, low = place.copy(), place.copy()
    for _ in range(ticks):
        place = kept * place + LEVEL_SD * math.sqrt(1 - kept**2) * rng.standard_normal(count)
        np.maximum(high, place, out=high)
        np.minimum(low, place, out=low)
    rose, fell = high >= from_level + up, low <= from_level - down
    ends = np.exp(place - from_level)

    kept = math.exp(-pull)
    sd = LEVEL_SD * math.sqrt(1 - kept**2)
    distribution = PriceDistribution(ticks, from_level * (kept - 1), sd, remaining=kept)
    spot, above, below = 1e9, 1e9 * math.exp(up), 1e9 * math.exp(-down)
    for found, priced in (
        (rose, touch(spot, above, distribution)),
        (fell, touch(spot, below, distribution)),
        (~(rose | fell), inside(spot, below, above, distribution)),
        (np.maximum(ends - math.exp(-down), 0) * ~fell, turbo(spot, below, distribution) / spot),
        (np.maximum(math.exp(up) - ends, 0) * ~rose, turbo(spot, above, distribution) / spot),
    ):
        assert abs(found.mean() - priced) < 4 * found.std() / math.sqrt(count) + 0.001


def test_what_is_kept_of_the_distance_to_the_level_is_what_the_mean_says() -> None:
    for name in ("1HZ250V", "frxEURUSD", "OTC_SPC"):
        symbol = SYMBOLS[name]
        distance = math.log(FEED.price(symbol, NOON) / symbol.level)
        distribution = market_view(FEED, symbol, NOON).distribution(NOON, NOON + 90 * DAY)
        assert distribution.mean == pytest.approx(distance * (distribution.remaining - 1), rel=0.01)
        assert distribution.remaining == pytest.approx(math.exp(-90 * symbol.daily_pull), rel=0.03)
