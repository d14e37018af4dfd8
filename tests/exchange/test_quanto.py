"""No contract gains by the currency in which it is paid.

A price is fair in the currency of the account. If that currency moves with the symbol, it is not
fair in dollars: so only contracts are sold whose margin covers the difference many times over.
"""

import math
from decimal import Decimal
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from scopegate.exchange import fixedpoint
from scopegate.exchange.contracts import eligibility
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.listing import NO_END
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.quoting import make_quote
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.pricing.terminal import above, call
from scopegate.exchange.rates import DOLLAR_SYMBOLS, Rates
from scopegate.exchange.rules import MAX_SHARED_DRIFT, Margins
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, Symbol, covariance
from tests.effort import chosen

pytestmark = pytest.mark.slow

MONDAY = 1_767_571_200  # 2026-01-05 00:00 UTC
NOON = MONDAY + 15 * 3_600
FEED = Feed("quanto")
MARGINS = Margins()


def made(name: str, symbol: str, currency: str, **more: Any) -> Any:
    given: dict[str, Any] = {"amount": Decimal("0.01" if currency == "BTC" else "10")}
    given |= {"basis": "stake"} | more
    return make_quote(
        QuoteRequest(contract_type=name, symbol=symbol, currency=currency, **given),
        FEED,
        NOON,
        MARGINS,
    )


def refused(name: str, symbol: str, currency: str, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        made(name, symbol, currency, **more)
    return caught.value


def test_a_coin_does_not_pay_for_bets_on_itself() -> None:
    for coin, symbol in (("BTC", "cryBTCUSD"), ("ETH", "cryETHUSD"), ("LTC", "cryLTCUSD")):
        for name, kind in TYPES.items():
            assert not eligibility.is_offered(kind, SYMBOLS[symbol], coin)
            more: dict[str, Any] = {"multiplier": Decimal(100)}
            if kind.listing.durations != NO_END:
                more = {"duration": 5, "duration_unit": "m"}
            assert refused(name, symbol, coin, **more).code == "OfferingsValidationError"
        refusal = refused("CALL", symbol, coin, duration=30, duration_unit="d")
        assert refusal.message.startswith(f"Trading is not offered for this asset in {coin}")
        assert set(refusal.details or {}) == {"currency"}
        others = [s for s in SYMBOLS.values() if eligibility.shared_in_a_day(s, coin)]
        assert others == [SYMBOLS[symbol]]
    assert made("CALL", "cryETHUSD", "BTC", duration=30, duration_unit="d")
    assert made("CALL", "cryBTCUSD", "USD", duration=30, duration_unit="d")
    assert made("CALL", "cryBTCUSD", "USDC", duration=30, duration_unit="d")
    assert made("CALL", "cryBTCUSD", "EUR", duration=30, duration_unit="d")


def test_a_currency_pays_within_a_day_for_what_moves_with_it() -> None:
    for currency, symbol, is_shared in (
        ("EUR", "frxEURUSD", True),
        ("EUR", "frxEURJPY", True),
        ("EUR", "frxUSDJPY", True),  # the dollar moves too
        ("EUR", "frxXAUUSD", True),
        ("GBP", "WLDAUD", True),
        ("EUR", "frxGBPJPY", False),
        ("EUR", "OTC_GDAXI", False),
        ("USD", "frxEURUSD", False),
        ("USDC", "frxEURUSD", False),
        ("BTC", "frxEURUSD", False),
    ):
        made("CALL", symbol, currency, duration=5, duration_unit="m")
        days = {"duration": 7, "duration_unit": "d"}
        multiplier = {"multiplier": Decimal(TYPES["MULTUP"].choices(SYMBOLS[symbol], 10**6)[0])}  # type: ignore[attr-defined]
        if not is_shared:
            assert made("CALL", symbol, currency, **days)
            assert made("MULTUP", symbol, currency, **multiplier)
            continue
        refusal = refused("CALL", symbol, currency, **days)
        assert refusal.message.startswith("Trading is not offered for this duration: contracts on")
        assert f"paid in {currency} must end within a day" in refusal.message
        refusal = refused("CALL", symbol, currency, date_expiry=NOON + DAY + 60)
        assert refusal.message == "Trading is not offered for this duration."
        assert "15s" in (refusal.details or {})["date_expiry"]
        assert set(refused("MULTUP", symbol, currency, **multiplier).details or {}) == {"currency"}


@pytest.mark.parametrize("currency", CURRENCIES)
def test_no_contract_is_worth_more_in_dollars_than_it_costs(currency: str) -> None:
    """By the law of both: counted in dollars, the log price has a drift of the covariance."""
    for symbol in SYMBOLS.values():
        shared = eligibility.shared_in_a_day(symbol, currency)
        if not shared:
            continue
        kinds = [k for k in TYPES.values() if eligibility.is_offered(k, symbol, currency)]
        assert shared <= MAX_SHARED_DRIFT or not kinds
        for kind in kinds:
            longest = eligibility.durations(kind, symbol, currency)
            assert longest.days is None
            assert longest.seconds is None or longest.seconds[1] <= DAY
        if not kinds:
            continue
        ticks = DAY // symbol.step
        sd = symbol.tick_sd * math.sqrt(ticks)
        plain, tilted = PriceDistribution(ticks, 0.0, sd), PriceDistribution(ticks, shared * sd, sd)
        for away in (-2.0, -1.0, 0.0, 1.0, 2.0):
            strike = 1e6 * math.exp(away * sd)
            gained = above(1e6, strike, tilted) - above(1e6, strike, plain)
            assert 0 < gained < MARGINS.financial / 10
            dearer = call(1e6, strike, tilted) / call(1e6, strike, plain) - 1
            assert dearer < MARGINS.financial * 0.6


def test_symbols_that_share_nothing_move_apart() -> None:
    """What the rule takes for granted, in the prices themselves, over years of days."""
    days = [
        day
        for day in range(chosen(1_460, 7_300))
        if SYMBOLS["frxEURUSD"].grid.counts[day % 7] == DAY // 2
    ]
    feed = Feed("apart")

    def moves(symbol: Symbol) -> Any:
        anchor = feed._open(symbol).process.anchor  # type: ignore[attr-defined]
        found = [anchor(day + 1) - anchor(day) for day in days]
        return np.array(found, np.float64) / fixedpoint.ONE

    names = ["R_100", "JD100", "BOOM500", "DSI10", "cryETHUSD", "cryBTCUSD", "OTC_GDAXI"]
    names += ["frxGBPJPY", "frxUSDJPY", "frxXAUUSD", "frxEURJPY", "frxEURUSD", "WLDAUD", "WLDXAU"]
    for rate_name in filter(None, DOLLAR_SYMBOLS.values()):
        rate, theirs = SYMBOLS[rate_name], moves(SYMBOLS[rate_name])
        for name in names:
            symbol = SYMBOLS[name]
            expected = covariance(rate, symbol) / rate.total_volatility / symbol.total_volatility
            found = float(np.corrcoef(theirs, moves(symbol))[0, 1])
            assert abs(found - expected) * math.sqrt(len(days)) < 4


SAMPLE = chosen(1_500, 6_000)


def in_dollars(symbol: str, currency: str, days: int, *, rises: bool) -> tuple[float, float]:
    """The mean gain in dollars of a contract at the money whose price is its chance.

    Bought over and over: a share of what it costs in dollars, and its standard error.
    """
    feed = Feed(f"dollars {symbol}")
    rates, known = Rates(feed), SYMBOLS[symbol]
    gained = []
    for start in range(EARLIEST + 5 * DAY, EARLIEST + 2_500 * DAY * 20, days * DAY):
        if not (known.is_open(start) and known.is_open(start + days * DAY)):
            continue
        first, last = feed.price(known, start), feed.price(known, start + days * DAY)
        law = feed.distribution(known, start, start, start + days * DAY)
        chance = above(first, first, law)
        chance = chance if rises else 1 - chance
        before, after = (
            float(rates.rate(currency, "USD", at).spot) for at in (start, start + days * DAY)
        )
        pays = (last > first) if rises else (last < first)
        gained.append(pays * after / before / chance - 1)
        if len(gained) == SAMPLE:
            break
    return float(np.mean(gained)), float(np.std(gained)) / math.sqrt(len(gained))


def test_why_a_coin_does_not_pay_for_bets_on_itself() -> None:
    """Without a margin: over thirty days a rise paid in bitcoin gains in dollars, a fall loses."""
    gained, error = in_dollars("cryBTCUSD", "BTC", 30, rises=True)
    sd = 0.6 * math.sqrt(30 / 365)
    theory = NormalDist().cdf(sd) / NormalDist().cdf(0.0) - 1
    assert theory > 0.1
    assert gained > 3.5 * error
    assert gained == pytest.approx(theory, abs=0.08)  # and the coin itself is expected to rise
    lost, error = in_dollars("cryBTCUSD", "BTC", 30, rises=False)
    assert lost < -2 * error


@pytest.mark.proof  # thousands of days; the law of both is checked above
def test_what_is_left_gains_nothing_in_dollars() -> None:
    """A day of EUR/USD, the longest that is paid in euros: the margin is 6 % of the cost."""
    for rises in (True, False):
        gained, error = in_dollars("frxEURUSD", "EUR", 1, rises=rises)
        assert abs(gained) < 3.5 * error
        assert (1 + gained) * 0.5 / (0.5 + MARGINS.financial) - 1 < -2 * error
    gained, error = in_dollars("cryETHUSD", "BTC", 30, rises=True)
    steady = math.expm1(0.18 * 30 / 365)  # what bitcoin itself is expected to rise, at its level
    assert abs(gained - steady) < 3.5 * error + 0.02
