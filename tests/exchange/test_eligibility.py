"""What is offered on which market, and how a market's hours bound its contracts."""

from decimal import Decimal
from typing import Any, get_args

import pytest

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import Quote, replay
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import begin
from scopegate.exchange.contracts.eligibility import is_offered
from scopegate.exchange.contracts.multipliers import Multiplier, multipliers, stop_out_worth
from scopegate.exchange.contracts.quoting import make_quote
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import DAY, SYMBOLS, Motion, Symbol
from scopegate.schemas.contract_types import ContractType

FEED = Feed("offered")
MARGINS = Margins()
MONDAY = 1_767_571_200  # 2026-01-05 00:00 UTC
AFTERNOON = MONDAY + 15 * 3_600
FRIDAY_CLOSE = MONDAY + 4 * DAY + 75_300
DIGITS = {name for name in TYPES if name.startswith("DIGIT")}
ENDS = {"CALL", "CALLE", "PUT", "PUTE"}
TOUCHES = {"ONETOUCH", "NOTOUCH"}
MULTIPLIERS = {"MULTUP", "MULTDOWN"}


def made(name: str, symbol: str, now: int = AFTERNOON, **more: Any) -> Quote:
    given: dict[str, Any] = {"currency": "USD", "amount": Decimal(10), "basis": "stake"}
    if name in MULTIPLIERS:
        given["multiplier"] = Decimal(multipliers(SYMBOLS[symbol])[0])
    elif not {"duration", "date_expiry"} & more.keys():
        given |= {"duration": 5, "duration_unit": "m"}
    return make_quote(
        QuoteRequest(contract_type=name, symbol=symbol, **given | more), FEED, now, MARGINS
    )


def refused(name: str, symbol: str, now: int = AFTERNOON, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        made(name, symbol, now, **more)
    return caught.value


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("R_100", ENDS | TOUCHES | DIGITS | MULTIPLIERS),
        ("1HZ250V", ENDS | TOUCHES | DIGITS | MULTIPLIERS),
        ("JD50", ENDS | MULTIPLIERS),
        ("BOOM300N", MULTIPLIERS),
        ("CRASH1000", MULTIPLIERS),
        ("stpRNG", ENDS | TOUCHES | MULTIPLIERS),
        ("stpRNG5", ENDS | TOUCHES | MULTIPLIERS),
        ("BOOM150N", MULTIPLIERS),
        ("CRASH900", MULTIPLIERS),
        ("RB100", MULTIPLIERS),
        ("DSI20", MULTIPLIERS),
        ("RDBULL", ENDS | TOUCHES | DIGITS),
        ("WLDAUD", ENDS | TOUCHES | MULTIPLIERS),
        ("WLDXAU", ENDS | TOUCHES | MULTIPLIERS),
        ("cryXRPUSD", ENDS | TOUCHES | MULTIPLIERS),
        ("frxEURUSD", ENDS | TOUCHES | MULTIPLIERS),
        ("frxXAUUSD", ENDS | TOUCHES | MULTIPLIERS),
        ("cryBTCUSD", ENDS | TOUCHES | MULTIPLIERS),
        ("OTC_SPC", ENDS | TOUCHES | MULTIPLIERS),
    ],
)
def test_what_is_sold_is_what_the_law_of_the_price_allows(symbol: str, expected: set[str]) -> None:
    known = ENDS | TOUCHES | DIGITS | MULTIPLIERS
    found = {name for name in known if is_offered(TYPES[name], SYMBOLS[symbol])}
    assert found == expected
    for name in known - expected:
        refusal = refused(name, symbol)
        assert refusal.code == "OfferingsValidationError"
        assert refusal.message.startswith("Trading is not offered for this asset")


@pytest.mark.parametrize("symbol", SYMBOLS.values(), ids=list(SYMBOLS))
def test_whatever_is_offered_has_a_price(symbol: Symbol) -> None:
    barrier = f"+{symbol.text(max(1, round(FEED.price(symbol, AFTERNOON) * symbol.tick_sd * 10)))}"
    for name, kind in TYPES.items():
        if not is_offered(kind, symbol) or name not in ENDS | TOUCHES | MULTIPLIERS:
            continue
        more = {"barrier": barrier} if name in TOUCHES else {}
        assert made(name, symbol.name, **more).price >= 1_000
        if name in ENDS and symbol.motion is not Motion.RESETS:
            for days in (1, 7, 364):
                assert made(name, symbol.name, duration=days, duration_unit="d").price == 1_000


# Hours.


def test_a_closed_market_prices_nothing() -> None:
    for symbol, now in (
        ("frxEURUSD", FRIDAY_CLOSE),
        ("OTC_SPC", MONDAY),
        ("OTC_SPC", MONDAY + DAY),
    ):
        for name in ("CALL", "MULTUP"):
            refusal = refused(name, symbol, now)
            assert (refusal.code, refusal.message) == (
                "MarketIsClosed",
                "This market is presently closed.",
            )
    assert made("CALL", "cryBTCUSD", MONDAY + 5 * DAY).price == 1_000


def test_a_contract_ends_while_its_market_is_open() -> None:
    friday = FRIDAY_CLOSE - 600
    assert made("CALL", "frxEURUSD", friday, duration=9, duration_unit="m")
    refusal = refused("CALL", "frxEURUSD", friday, duration=10, duration_unit="m")
    assert refusal.code == "OfferingsValidationError"
    assert refusal.message.startswith("Contract must expire during trading hours")
    assert set(refusal.details or {}) == {"duration"}
    refusal = refused("CALL", "frxEURUSD", friday, date_expiry=friday + DAY)
    assert set(refusal.details or {}) == {"date_expiry"}
    assert made("CALL", "frxEURUSD", friday, date_expiry=MONDAY + 7 * DAY + 60)


def test_a_contract_has_a_tick_after_its_entry() -> None:
    """A second before the close, to end in the first second of the next week."""
    last = FRIDAY_CLOSE - 1
    monday = MONDAY + 7 * DAY
    assert refused("CALL", "frxEURUSD", last, date_expiry=monday + 1).code == (
        "OfferingsValidationError"
    )
    bought = made("CALL", "frxEURUSD", last, date_expiry=monday + 2)
    assert (bought.terms.entry_epoch, TYPES["CALL"].exit_epoch(bought.terms)) == (
        monday,
        monday + 2,
    )


def test_ticks_are_counted_before_the_close() -> None:
    assert made("CALL", "frxEURUSD", FRIDAY_CLOSE - 13, duration=5, duration_unit="t")
    refusal = refused("CALL", "frxEURUSD", FRIDAY_CLOSE - 12, duration=5, duration_unit="t")
    assert refusal.message == "The market closes before this number of ticks."


def test_a_daily_contract_ends_at_the_close_of_a_day_that_has_one() -> None:
    friday = made("CALL", "frxEURUSD", duration=4, duration_unit="d").terms
    assert friday.expiry == FRIDAY_CLOSE - 1
    assert TYPES["CALL"].exit_epoch(friday) == FRIDAY_CLOSE - 2
    assert made("CALL", "OTC_SPC", duration=1, duration_unit="d").terms.expiry == (
        MONDAY + DAY + 72_000 - 1
    )
    refusal = refused("CALL", "frxEURUSD", duration=5, duration_unit="d")
    assert refusal.message == "The market is closed on the day when the contract would end."


def test_a_contract_starts_while_its_market_is_open() -> None:
    friday = FRIDAY_CLOSE - 1_200
    opened = made("CALL", "frxEURUSD", friday, date_start=friday + 300).terms
    assert opened.entry_epoch == friday + 300
    refusal = refused("CALL", "frxEURUSD", friday, date_start=friday + 3_000)
    assert set(refusal.details or {}) == {"date_start"}


def test_a_contract_over_a_weekend_is_priced_by_the_ticks_that_there_are() -> None:
    friday, monday = FRIDAY_CLOSE - 600, MONDAY + 7 * DAY
    over = made("CALL", "frxEURUSD", friday, date_expiry=monday + 600, barrier="+0.00060")
    short = made(
        "CALL", "frxEURUSD", friday - 900, duration=20, duration_unit="m", barrier="+0.00060"
    )
    assert over.ask == pytest.approx(short.ask, abs=20_000)


def test_a_contract_over_a_weekend_is_entered_and_settled_at_ticks() -> None:
    terms = made(
        "ONETOUCH",
        "frxEURUSD",
        FRIDAY_CLOSE - 1,
        date_expiry=MONDAY + 7 * DAY + 300,
        barrier="+0.00002",
    ).terms
    symbol, kind = terms.symbol, TYPES["ONETOUCH"]
    state = begin(terms, FEED)
    assert state.spot.epoch == FRIDAY_CLOSE - 2
    on_sunday = replay(kind, terms, state, FEED, MONDAY + 6 * DAY)
    assert on_sunday.entry is None
    ended = replay(kind, terms, on_sunday, FEED, MONDAY + 8 * DAY)
    assert ended.entry is not None
    assert ended.outcome is not None
    assert ended.entry.epoch == MONDAY + 7 * DAY
    assert symbol.has_tick(ended.outcome.tick.epoch)
    assert replay(kind, terms, state, FEED, MONDAY + 8 * DAY) == ended


def test_nothing_is_bought_back_while_the_market_is_closed() -> None:
    for name in ("CALL", "MULTUP"):
        more = {} if name == "MULTUP" else {"duration": 4, "duration_unit": "d"}
        terms = made(name, "OTC_SPC", **more).terms
        state = replay(TYPES[name], terms, begin(terms, FEED), FEED, AFTERNOON + 10)
        TYPES[name].check_sale(terms, state, AFTERNOON + 10)
        with pytest.raises(Refusal, match="presently closed"):
            TYPES[name].check_sale(terms, state, MONDAY + 72_000)


def test_a_short_contract_on_a_real_name_takes_relative_barriers_alone() -> None:
    spot = SYMBOLS["frxEURUSD"].text(FEED.price(SYMBOLS["frxEURUSD"], AFTERNOON))
    refusal = refused("CALL", "frxEURUSD", barrier=spot)
    assert (refusal.code, set(refusal.details or {})) == ("BarrierValidationError", {"barrier"})
    assert made("CALL", "frxEURUSD", barrier="+0.00010")
    assert made("CALL", "frxEURUSD", barrier=spot, duration=3, duration_unit="d")
    index = SYMBOLS["R_50"]
    assert made("CALL", "R_50", barrier=index.text(FEED.price(index, AFTERNOON)))


def test_a_market_that_starts_anew_has_contracts_of_one_day() -> None:
    late = MONDAY + DAY - 300
    assert made("CALL", "RDBULL", late, duration=299, duration_unit="s")
    for more in (
        {"duration": 5, "duration_unit": "m"},
        {"date_expiry": late + 400},
    ):
        assert "resets at 00:00" in refused("CALL", "RDBULL", late, **more).message
    assert (
        "resets at 00:00"
        in refused("CALL", "RDBULL", MONDAY + DAY - 9, duration=5, duration_unit="t").message
    )
    assert refused("CALL", "RDBULL", duration=1, duration_unit="d").message == (
        "Trading is not offered for this duration."
    )
    assert "resets at 00:00" in refused("CALL", "RDBULL", late, date_start=late + 600).message


def test_a_trend_is_in_the_price() -> None:
    rise, fall = (
        made(name, "RDBULL", duration=8, duration_unit="h").ask for name in ("CALL", "PUTE")
    )
    assert rise > fall + 200_000  # 0.58 sd in eight hours: 0.72 against 0.28


# Multipliers.


def test_the_commission_covers_what_the_stop_out_is_worth_and_the_margin() -> None:
    for symbol in SYMBOLS.values():
        for name in sorted(MULTIPLIERS):
            if not is_offered(TYPES[name], symbol):
                continue
            offered_now = made(name, symbol.name)
            terms, spot = offered_now.terms, offered_now.spot.pips
            worth = stop_out_worth(symbol, spot, rises=name == "MULTUP")
            exact = terms.stake * terms.multiplier * worth * 1.3
            assert exact - 1e-6 <= terms.commission <= exact + 1


def test_who_bets_on_spikes_pays_for_them_and_who_bets_against_them_does_not() -> None:
    """A position that a spike stops out never loses more than its stake."""
    boom, crash = SYMBOLS["BOOM1000"], SYMBOLS["CRASH1000"]
    spot = 10_000_000
    against, along = (stop_out_worth(boom, spot, rises=rises) for rises in (False, True))
    assert against == pytest.approx(1_000 * 4e-6 * 1.25 / 3.25 + 0.5 / spot)
    assert along < against / 15
    assert stop_out_worth(crash, spot, rises=True) == against
    for symbol in (boom, crash, SYMBOLS["JD100"]):
        for name in MULTIPLIERS:
            kind = TYPES[name]
            assert isinstance(kind, Multiplier)
            for multiplier in kind.choices(symbol, FEED.price(symbol, AFTERNOON)):
                terms = made(name, symbol.name, multiplier=Decimal(multiplier)).terms
                assert terms.commission <= terms.stake * 0.52


def test_a_multiplier_is_not_offered_where_a_spike_would_waive_most_of_the_stake() -> None:
    """A spike of 0.4 % goes so far beyond a stop-out that x300 would waive half of the stake."""
    for symbol, along, against in (
        ("BOOM1000", "MULTUP", "MULTDOWN"),
        ("CRASH1000", "MULTDOWN", "MULTUP"),
    ):
        for multiplier in (100, 200):
            for name in MULTIPLIERS:
                made(name, symbol, multiplier=Decimal(multiplier))
        for multiplier in (300, 400, 500):
            made(along, symbol, multiplier=Decimal(multiplier))
            refusal = refused(against, symbol, multiplier=Decimal(multiplier))
            assert refusal.message.endswith("Accepts 100,200.")


@pytest.mark.parametrize(
    ("symbol", "known"),
    [
        ("R_10", [400, 1_000, 2_000, 3_000, 4_000]),
        ("R_25", [160, 400, 800, 1_200, 1_600]),
        ("R_50", [80, 200, 400, 600, 800]),
        ("R_75", [50]),
        ("R_100", [40, 100, 200, 300, 400]),
        ("1HZ75V", [50]),
        ("1HZ15V", [300]),
        ("1HZ30V", [140]),
        ("1HZ90V", [45]),
        ("BOOM1000", [100, 200, 300, 400, 500]),
        ("CRASH1000", [100, 200, 300, 400, 500]),
        ("cryBTCUSD", [100, 200, 300, 500, 800]),
    ],
)
def test_the_multipliers_that_bots_know_are_there(symbol: str, known: list[int]) -> None:
    assert multipliers(SYMBOLS[symbol])[: len(known)] == known
    kind = TYPES["MULTDOWN" if symbol == "CRASH1000" else "MULTUP"]
    assert isinstance(kind, Multiplier)
    assert kind.choices(SYMBOLS[symbol], SYMBOLS[symbol].level) == multipliers(SYMBOLS[symbol])


def test_the_commission_covers_a_stop_out_at_a_whole_pip() -> None:
    """The step index at 4,218.5: up to a pip, of which there are eight until the stop-out."""
    symbol, spot = SYMBOLS["stpRNG"], 42_185
    worth = stop_out_worth(symbol, spot, rises=True)
    assert symbol.tick_sd_at(spot) == 1 / spot
    assert 1 / spot <= worth <= 1.1 / spot
    pair = SYMBOLS["frxEURGBP"]
    for spot in (80_000, 8_000, 800):  # 1.7 pips a tick, and less
        assert stop_out_worth(pair, spot, rises=True) >= 1 / spot
        assert stop_out_worth(pair, spot, rises=True) >= 0.5825 * pair.tick_sd + 0.5 / spot
    kind = TYPES["MULTUP"]
    assert isinstance(kind, Multiplier)
    assert kind.choices(pair, 8_000) == multipliers(pair)[:3]
    assert kind.choices(pair, 800) == []


def test_deal_cancellation_is_sold_where_its_formula_holds_and_within_the_hours() -> None:
    for name in ("R_100", "frxEURUSD", "OTC_SPC", "cryETHUSD"):
        assert made("MULTUP", name, cancellation="30m").cancellation_price > 0
    for name in ("JD100", "BOOM500", "stpRNG"):
        assert "not offered" in refused("MULTUP", name, cancellation="30m").message
    refusal = refused("MULTUP", "frxEURUSD", FRIDAY_CLOSE - 1_200, cancellation="30m")
    assert refusal.message == "The market closes before the deal cancellation ends."


def test_a_multiplier_sleeps_while_its_market_is_closed() -> None:
    terms = made("MULTUP", "OTC_SPC", stop_loss=Decimal(5)).terms
    kind = TYPES["MULTUP"]
    by_step = begin(terms, FEED)
    for last in range(AFTERNOON, AFTERNOON + 3 * DAY, 3_601):
        by_step = replay(kind, terms, by_step, FEED, last)
    at_once = replay(kind, terms, begin(terms, FEED), FEED, AFTERNOON + 3 * DAY)
    assert at_once.outcome == by_step.outcome
    if at_once.outcome is not None:
        assert terms.symbol.has_tick(at_once.outcome.tick.epoch)


def test_the_margin_of_real_names_is_the_least_that_is_kept() -> None:
    for symbol, kept in (("R_100", 12_000), ("frxEURUSD", 30_000), ("JD100", 12_000)):
        both = [made(name, symbol).ask for name in ("CALL", "PUTE")]
        assert sum(both) == pytest.approx(1_000_000 + 2 * kept, abs=3)
    generous = Margins(rise_fall=0.04)
    request = QuoteRequest(
        contract_type="CALL",
        symbol="frxEURUSD",
        currency="USD",
        amount=Decimal(10),
        basis="stake",
        duration=5,
        duration_unit="m",
    )
    assert quoting.make_quote(request, FEED, AFTERNOON, generous).ask == (
        made("CALL", "frxEURUSD").ask + 10_000
    )


def test_a_rise_in_two_steps_is_priced_with_its_tie() -> None:
    """One of four paths ends higher, one lower, and half of them where they began."""
    asks = {name: made(name, "stpRNG", duration=2, duration_unit="t").ask for name in ENDS}
    assert asks == {"CALL": 262_000, "PUT": 262_000, "CALLE": 762_000, "PUTE": 762_000}


def test_each_type_is_one_that_requests_may_name() -> None:
    assert TYPES.keys() <= set(get_args(ContractType))
