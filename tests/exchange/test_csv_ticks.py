"""CSV files of ticks and candles become recordings, or an error that names the line."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange import csv_ticks
from scopegate.exchange.csv_ticks import RecordingError, parse
from scopegate.exchange.recorded import Recording
from scopegate.exchange.series import Ticks, candles_of

FIRST = 1_767_268_800
"""2026-01-01 12:00 UTC."""


def read(text: str, *, digits: int | None = None, digest: str = "d") -> Recording:
    """The recording of a file with this text."""
    return parse(text.splitlines(keepends=True), lambda: digest, digits=digits)


def listed(recording: Recording) -> list[tuple[int, int]]:
    """The ticks as pairs of seconds since `FIRST` and pips."""
    return list(zip((recording.epochs - FIRST).tolist(), recording.pips.tolist(), strict=True))


def ticks(*rows: tuple[object, object], header: str = "epoch,quote") -> str:
    """The text of a file."""
    return "\n".join([header, *(f"{when},{price}" for when, price in rows)])


def wrong(text: str, *, digits: int | None = None) -> str:
    """The error of a file with this text."""
    with pytest.raises(RecordingError) as refused:
        read(text, digits=digits)
    return str(refused.value)


THREE = ((FIRST, "1.10"), (FIRST + 1, "1.12"), (FIRST + 3, "1.1"))


@pytest.mark.parametrize("name", ["epoch", "time", "timestamp", "date", " Time ", '"epoch"'])
@pytest.mark.parametrize("price", ["quote", "price", "close", "bid", "ask", "PRICE"])
def test_columns_are_found_by_their_names(name: str, price: str) -> None:
    recording = read(ticks(*THREE, header=f"{name},{price}"))
    assert listed(recording) == [(0, 110), (1, 112), (3, 110)]
    assert recording.digits == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_other_columns_and_delimiters_do_not_matter(delimiter: str) -> None:
    text = "volume,quote,time\n" + "".join(f"9,{price},{when}\n" for when, price in THREE)
    assert listed(read(text.replace(",", delimiter))) == [(0, 110), (1, 112), (3, 110)]


@pytest.mark.parametrize(
    "times",
    [
        (FIRST, FIRST + 1, FIRST + 3),
        (f"{FIRST}.25", f"{FIRST + 1}.999", f"{FIRST + 3}.0"),
        (FIRST * 1_000, FIRST * 1_000 + 1_999, FIRST * 1_000 + 3_000),
        ("2026-01-01T12:00:00Z", "2026-01-01T13:00:01+01:00", "2026-01-01T06:30:03-05:30"),
        ("2026-01-01 12:00:00", "2026-01-01 12:00:01.5", "20260101T120003"),
    ],
)
def test_times_are_seconds_milliseconds_or_iso(times: tuple[object, ...]) -> None:
    prices = [price for _, price in THREE]
    found = read(ticks(*zip(times, prices, strict=True)))
    assert listed(found) == [(0, 110), (1, 112), (3, 110)]


def test_the_last_tick_of_a_second_counts() -> None:
    late, early = f"{FIRST + 1}.9", f"{FIRST + 1}.1"
    rows = (FIRST, "1.10"), (late, "5.0"), (early, "6.0"), (FIRST + 3, "1.1")
    assert listed(read(ticks(*rows))) == [(0, 110), (1, 500), (3, 110)]
    same = (FIRST, "1.10"), (FIRST + 1, "5.0"), (FIRST + 1, "6.0"), (FIRST + 3, "1.1")
    assert listed(read(ticks(*same))) == [(0, 110), (1, 600), (3, 110)]


@given(st.permutations(range(40)))
def test_the_order_of_lines_does_not_matter(order: list[int]) -> None:
    rows = [(FIRST + 3 * number, f"{100 + number % 7}.5") for number in order]
    expected = [(3 * number, 1005 + 10 * (number % 7)) for number in range(40)]
    assert listed(read(ticks(*rows))) == expected


def test_blank_lines_are_skipped() -> None:
    text = "\n\n" + ticks(*THREE).replace("\n", "\n\n") + "\n\n"
    assert listed(read(text)) == [(0, 110), (1, 112), (3, 110)]


def test_the_price_between_bid_and_ask_is_rounded_half_to_even() -> None:
    rows = [f"{FIRST},1.0,1.1", f"{FIRST + 1},1.1,1.2", f"{FIRST + 2},1.2,1.4"]
    assert [pips for _, pips in listed(read("\n".join(["time,bid,ask", *rows])))] == [10, 12, 13]


def test_given_decimals_round_half_to_even() -> None:
    rows = [(FIRST, "1.125"), (FIRST + 1, "1.135"), (FIRST + 2, "1.1349"), (FIRST + 3, "2")]
    recording = read(ticks(*rows), digits=2)
    assert [pips for _, pips in listed(recording)] == [112, 114, 113, 200]
    assert recording.digits == 2


def test_whole_prices_have_one_decimal() -> None:
    assert read(ticks((FIRST, 5), (FIRST + 1, 6), (FIRST + 2, 5))).digits == 1


def test_numbers_may_have_exponents() -> None:
    rows = (FIRST, "1.5E-3"), (FIRST + 1, "2e-3"), (FIRST + 2, "1.5e-3")
    assert listed(read(ticks(*rows))) == [(0, 15), (1, 20), (2, 15)]


CANDLES = f"""time,open,high,low,close,volume
{FIRST},10.0,10.5,9.5,10.2,1
{FIRST + 60},10.2,10.4,10.0,10.1,1
{FIRST + 180},10.1,10.9,10.1,10.8,1
"""


def test_a_candle_becomes_its_open_both_extremes_and_its_close() -> None:
    recording = read(CANDLES)
    found = listed(recording)
    assert len(found) == 12
    for opened, prices in ((0, (100, 105, 95, 102)), (60, (102, 104, 100, 101))):
        four = [(epoch, pips) for epoch, pips in found if opened <= epoch < opened + 60]
        assert four[0] == (opened, prices[0])
        assert four[3] == (opened + 59, prices[3])
        assert {pips for _, pips in four[1:3]} == {prices[1], prices[2]}
        assert opened < four[1][0] < four[2][0] < opened + 59
    # The candles of the ticks are those of the file.
    made = minutes(recording)
    assert made == [(0, 100, 105, 95, 102), (60, 102, 104, 100, 101), (180, 101, 109, 101, 108)]


def minutes(recording: Recording) -> list[tuple[int, ...]]:
    """The candles of a minute of these ticks."""
    made = candles_of(Ticks(recording.epochs, recording.pips), 60)
    return [
        (epoch - FIRST, *prices)
        for epoch, *prices in zip(*(column.tolist() for column in made), strict=True)
    ]


def test_both_orders_of_the_extremes_occur_and_depend_on_the_file_alone() -> None:
    rows = [f"{FIRST + 60 * number},10.0,11.0,9.0,10.1" for number in range(400)]
    text = "\n".join(["time,open,high,low,close", *rows])
    one, again, other = read(text), read(text), read(text, digest="other")
    assert np.array_equal(one.epochs, again.epochs)
    assert np.array_equal(one.pips, again.pips)
    assert not np.array_equal(one.epochs, other.epochs)
    low_first = int((one.pips.reshape(-1, 4)[:, 1] == 90).sum())
    assert 150 < low_first < 250


def test_a_short_candle_becomes_its_close() -> None:
    rows = [f"{FIRST + 3 * n},1.0,1.{n + 2},0.9,1.{n + 1}" for n in range(3)]
    text = "\n".join(["time,open,high,low,close", *rows])
    assert listed(read(text)) == [(2, 11), (5, 12), (8, 13)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1: the file is empty"),
        ("\n \n", "line 1: the file is empty"),
        ("epoch,quote\n", "line 1: there are no prices below the names of the columns"),
        (f"{FIRST},1.5\n", "line 1: one column must be the time"),
        ("epoch,time,quote", "but there are epoch and time"),
        ("epoch,volume", "line 1: no column is a price"),
        ("epoch,quote,quote", "line 1: two columns have the same name"),
        ("epoch,open,high,close", "candles need the columns open, high, low, close; add low"),
        (ticks(*THREE, (FIRST, "0")), "line 5: quote must be above 0, not 0"),
        (ticks(*THREE, (FIRST, "-1.5")), "line 5: quote must be above 0, not -1.5"),
        (ticks(*THREE, (FIRST, "NaN")), "line 5: quote: 'NaN' is not a price"),
        (ticks(*THREE, (FIRST, "inf")), "line 5: quote: 'inf' is not a price"),
        (ticks(*THREE, (FIRST, "")), "line 5: quote: the price is missing"),
        (ticks(*THREE, (FIRST, "1e40")), "line 5: quote is too large or too small"),
        (ticks(*THREE, (FIRST, "abc")), "line 5: quote: 'abc' is not a price"),
        (ticks(*THREE, (FIRST, "1.5,7")), "line 5: there are 3 columns instead of 2"),
        (ticks(*THREE, ("", "1.5")), "line 5: '' is not a time"),
        (ticks(*THREE, ("noon", "1.5")), "line 5: 'noon' is not a time"),
        (ticks(*THREE, ("nan", "1.5")), "line 5: 'nan' is not a time"),
        (ticks(*THREE, (5, "1.5")), "line 5: the time 5 must be from 2020-01-01"),
        (ticks(*THREE, (-5, "1.5")), "line 5: the time -5 must be from 2020-01-01"),
        (ticks(*THREE, (FIRST * 10**6, "1.5")), "must be an epoch in seconds or milliseconds"),
        (
            ticks(*THREE, ("2026-01-01", "1.5")),
            "line 5: the time is ISO 8601 without an offset, in",
        ),
        (
            ticks(*THREE, (FIRST * 1_000, "1.5")),
            "the time is epoch milliseconds, in line 2",
        ),
        (
            ticks(("2026-01-01T12:00Z", 1), ("2026-01-01T12:01", 1)),
            "line 3: the time is ISO 8601 without an offset, in line 2 it is ISO 8601 with one",
        ),
        (ticks(*THREE, (FIRST, "1.123456789")), "line 5: the price has 9 decimals, more than 8"),
        (ticks(*THREE[:2]), "a market needs ticks in at least three seconds"),
        (ticks(*((FIRST + n, "1.5") for n in range(5))), "the price never changes"),
        (f"time,bid,ask\n{FIRST},1.5,1.4", "line 2: ask must not be below bid"),
        (CANDLES.replace("10.5", "10.1"), "line 2: high must be the highest of the four prices"),
        ("\n".join(CANDLES.splitlines()[:2]), "one candle has no known width"),
        (ticks(*THREE, (FIRST, '"1' + "9" * 140_000)), "line 5: field larger than field limit"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, expected: str) -> None:
    assert expected in wrong(text)


def test_prices_must_fit_the_given_decimals() -> None:
    assert wrong(ticks(*THREE, (FIRST, "0.001")), digits=2) == (
        "line 5: quote does not fit 2 decimals"
    )
    large = ticks(*THREE, (FIRST, "999999999999999"))
    assert wrong(large, digits=8) == "line 5: quote does not fit 8 decimals"


def test_a_huge_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_ticks, "MAX_LINES", 2)
    assert "line 4: a market has at most 2 lines" in wrong(ticks(*THREE))


@given(st.lists(st.text(alphabet='0129.,;-"eTZ:\t epochqutime', max_size=30), max_size=12))
def test_any_text_is_read_or_refused(lines: Iterable[str]) -> None:
    try:
        recording = read("\n".join(["epoch,quote", *lines]))
    except RecordingError:
        return
    assert (np.diff(recording.epochs) > 0).all()
    assert (recording.pips > 0).all()
