import dataclasses
import itertools
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopegate.exchange.contracts.common.contract_type import check_hours
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, Symbol

ROOT = Path(__file__).parents[2]

VOLATILITY = [symbol for symbol in SYMBOLS.values() if symbol.display_name.startswith("Volatility")]
volatility_index = pytest.mark.parametrize(
    "symbol", VOLATILITY, ids=[symbol.name for symbol in VOLATILITY]
)
every_symbol = pytest.mark.parametrize("symbol", SYMBOLS.values(), ids=list(SYMBOLS))


def test_the_volatility_indices_in_order() -> None:
    assert [
        (symbol.name, symbol.step, symbol.digits, symbol.volatility, symbol.display_name)
        for symbol in VOLATILITY
    ] == [
        ("R_10", 2, 3, 0.10, "Volatility 10 Index"),
        ("R_25", 2, 3, 0.25, "Volatility 25 Index"),
        ("R_50", 2, 4, 0.50, "Volatility 50 Index"),
        ("R_75", 2, 4, 0.75, "Volatility 75 Index"),
        ("R_100", 2, 2, 1.00, "Volatility 100 Index"),
        ("1HZ10V", 1, 2, 0.10, "Volatility 10 (1s) Index"),
        ("1HZ15V", 1, 2, 0.15, "Volatility 15 (1s) Index"),
        ("1HZ25V", 1, 2, 0.25, "Volatility 25 (1s) Index"),
        ("1HZ30V", 1, 2, 0.30, "Volatility 30 (1s) Index"),
        ("1HZ50V", 1, 2, 0.50, "Volatility 50 (1s) Index"),
        ("1HZ75V", 1, 2, 0.75, "Volatility 75 (1s) Index"),
        ("1HZ90V", 1, 2, 0.90, "Volatility 90 (1s) Index"),
        ("1HZ100V", 1, 2, 1.00, "Volatility 100 (1s) Index"),
        ("1HZ150V", 1, 2, 1.50, "Volatility 150 (1s) Index"),
        ("1HZ250V", 1, 2, 2.50, "Volatility 250 (1s) Index"),
    ]


def test_the_table_names_each_row_by_its_own_name_and_in_display_order() -> None:
    assert list(SYMBOLS) == [symbol.name for symbol in SYMBOLS.values()]
    assert [symbol.display_order for symbol in SYMBOLS.values()] == list(range(1, len(SYMBOLS) + 1))


@volatility_index
def test_what_a_listing_says_of_a_volatility_index(symbol: Symbol) -> None:
    assert (symbol.market, symbol.market_display_name) == ("synthetic_index", "Derived")
    assert (symbol.submarket, symbol.submarket_display_name) == (
        "random_index",
        "Continuous Indices",
    )
    assert (symbol.subgroup, symbol.subgroup_display_name) == ("synthetics", "Synthetics")
    assert (symbol.symbol_type, symbol.exchange_name) == ("stockindex", "RANDOM")


@volatility_index
def test_a_tick_moves_at_least_60_pips_at_the_level_and_8_at_the_bottom(symbol: Symbol) -> None:
    pips_per_tick = symbol.level * symbol.tick_sd
    assert pips_per_tick >= 60
    assert pips_per_tick / 7.5 >= 8


@volatility_index
def test_a_level_is_a_round_figure(symbol: Symbol) -> None:
    assert symbol.level % 10**symbol.digits == 0
    assert len(str(symbol.level).rstrip("0")) <= 2


def test_the_sd_of_a_tick() -> None:
    assert SYMBOLS["1HZ100V"].tick_sd == pytest.approx(1.7807243465e-4, rel=1e-9)
    assert SYMBOLS["R_100"].tick_sd == pytest.approx(2.5183245217e-4, rel=1e-9)
    assert SYMBOLS["1HZ10V"].tick_sd == pytest.approx(1.7807243465e-5, rel=1e-9)


@every_symbol
def test_the_daily_pull_balances_a_days_variance_at_the_long_run_sd(symbol: Symbol) -> None:
    variance = symbol.level_sd**2
    kept = (1 - symbol.daily_pull) ** 2 * variance
    assert kept + symbol.total_volatility**2 / 365 == pytest.approx(variance, rel=4e-4)


@pytest.mark.parametrize(
    ("name", "pips", "text", "quote"),
    [
        ("R_100", 240_010, "2400.10", 2400.1),
        ("R_100", 5, "0.05", 0.05),
        ("R_100", -237, "-2.37", -2.37),
        ("R_100", -5, "-0.05", -0.05),
        ("R_10", 2_400_000, "2400.000", 2400.0),
        ("R_50", 1_000_001, "100.0001", 100.0001),
        ("R_50", 0, "0.0000", 0.0),
    ],
)
def test_prices_in_writing(name: str, pips: int, text: str, quote: float) -> None:
    assert SYMBOLS[name].text(pips) == text
    assert SYMBOLS[name].quote(pips) == quote


@settings(derandomize=True, database=None, deadline=None)
@given(st.sampled_from(list(SYMBOLS.values())), st.integers(-(10**13), 10**13))
def test_text_and_quote_name_the_same_number_of_pips(symbol: Symbol, pips: int) -> None:
    text = symbol.text(pips)
    assert Decimal(text) == Decimal(pips).scaleb(-symbol.digits)
    assert len(text.partition(".")[2]) == symbol.digits
    assert Decimal(repr(symbol.quote(pips))) == Decimal(text)


@every_symbol
def test_the_pip_has_no_stray_digits(symbol: Symbol) -> None:
    assert Decimal(repr(symbol.pip)) == Decimal(1).scaleb(-symbol.digits)


def test_an_altered_copy_is_another_symbol() -> None:
    symbol = SYMBOLS["R_100"]
    altered = dataclasses.replace(symbol)
    assert altered not in {symbol: "cached"}
    with pytest.raises(TypeError, match="R_100 is not the symbol of this name"):
        pickle.dumps(altered)


def test_a_pickled_symbol_is_the_symbol() -> None:
    for symbol in SYMBOLS.values():
        assert pickle.loads(pickle.dumps(symbol)) is symbol


def test_a_market_is_open_in_its_hours_and_one_without_always() -> None:
    monday = 1_767_571_200  # 2026-01-05 00:00 UTC
    euro, stocks = SYMBOLS["frxEURUSD"], SYMBOLS["OTC_SPC"]
    for symbol, epoch, opened in (
        (euro, monday, True),
        (euro, monday - 1, False),
        (euro, monday + DAY - 1, True),
        (euro, monday + 4 * DAY + 75_299, True),  # Friday 20:54:59
        (euro, monday + 4 * DAY + 75_300, False),
        (euro, monday + 5 * DAY + DAY // 2, False),
        (stocks, monday + 48_599, False),
        (stocks, monday + 48_600, True),  # 13:30
        (stocks, monday + 71_999, True),
        (stocks, monday + 72_000, False),  # 20:00
        (stocks, monday + 5 * DAY + 50_000, False),
        (SYMBOLS["cryBTCUSD"], monday + 5 * DAY + 50_000, True),
    ):
        assert symbol.is_open(epoch) is opened
        assert SYMBOLS["R_50"].is_open(epoch)
        if opened:
            check_hours(symbol, epoch)
        else:
            with pytest.raises(Refusal, match="presently closed"):
                check_hours(symbol, epoch)


@pytest.mark.slow
@settings(derandomize=True, database=None, deadline=None)
@given(
    st.sampled_from([SYMBOLS[name] for name in ("R_50", "frxEURUSD", "OTC_SPC", "1HZ100V")]),
    st.integers(EARLIEST + 15 * DAY, EARLIEST + 40 * DAY),
    st.integers(1, 100_000),
)
def test_ticks_are_counted_over_the_open_time_alone(symbol: Symbol, epoch: int, count: int) -> None:
    def brute(start: int, way: int) -> int:
        return next(e for e in itertools.count(start, way) if symbol.has_tick(e))

    last, following = symbol.last_tick(epoch), symbol.next_tick(epoch)
    assert last == brute(epoch, -1)
    assert following == brute(epoch + 1, 1)
    assert symbol.ticks_between(last, following) == 1
    later = symbol.next_tick(epoch, count)
    assert symbol.has_tick(later)
    assert symbol.ticks_between(epoch, later) == count
    assert symbol.next_tick(later, -count) == last


def test_symbols_and_their_table_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SYMBOLS["R_100"].level = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        SYMBOLS["R_101"] = SYMBOLS["R_100"]  # type: ignore[index]


def test_naming_the_symbols_does_not_import_numpy() -> None:
    code = "import sys, exchange.symbols; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
