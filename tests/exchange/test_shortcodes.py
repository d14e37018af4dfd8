"""Shortcodes: a contract in one word, and back."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange.contracts.accumulators import WIDTH_UNITS, Accumulator
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import NO_ORDERS
from scopegate.exchange.contracts.common.per_point import PerPoint
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.contracts.digits import Digits
from scopegate.exchange.contracts.few_ticks import SelectedTick
from scopegate.exchange.contracts.multipliers import Multiplier
from scopegate.exchange.contracts.shortcode import ShortcodeError, decode, encode
from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.rules import CANCELLATIONS, MAX_ACCUMULATOR_TICKS
from scopegate.exchange.symbols import SYMBOLS
from tests.exchange.shapes import terms_of

NOON = 1_767_268_800


@st.composite
def agreed(draw: st.DrawFn) -> Terms:
    """Terms of every type, with everything that a shortcode tells."""
    name = draw(st.sampled_from(sorted(TYPES)))
    kind, symbol = TYPES[name], SYMBOLS[draw(st.sampled_from(sorted(SYMBOLS)))]
    currency = draw(st.sampled_from(sorted(CURRENCIES)))
    start = draw(st.integers(1_577_836_800, 4_000_000_000))
    given: dict[str, Any] = {"contract_type": name, "symbol": symbol, "currency": currency}
    given |= {"start": start, "amount": draw(st.integers(1, 5_000_000_000_000))}
    if isinstance(kind, Multiplier):
        return terms_of(
            **given,
            expiry=start + draw(st.integers(1, 4_000_000_000)),
            multiplier=draw(st.integers(1, 4_000)),
            cancellation=draw(st.sampled_from([0, *CANCELLATIONS.values()])),
            take_profit=draw(st.none() | st.integers(1, 5_000_000_000_000)),
        )
    if isinstance(kind, Accumulator):
        growth = draw(st.sampled_from(sorted(MAX_ACCUMULATOR_TICKS)))
        width = draw(st.integers(1, WIDTH_UNITS - 1))
        return terms_of(**given, growth=growth, width=width, ticks=MAX_ACCUMULATOR_TICKS[growth])
    if isinstance(kind, SelectedTick):
        return terms_of(**given, ticks=5, selected_tick=draw(st.integers(1, 5)))
    if kind.listing.durations.ticks and draw(st.booleans()):
        given["ticks"] = draw(st.integers(1, 10))
    else:
        given["expiry"] = start + draw(st.integers(1, 400 * 86_400))
        given["is_fixed_expiry"] = draw(st.booleans())
    if isinstance(kind, PerPoint):
        given["contracts"] = Decimal(draw(st.integers(1, 10**10))).scaleb(-draw(st.integers(5, 12)))
    if isinstance(kind, Digits):
        if kind.choices:
            given["digit"] = draw(st.sampled_from(list(kind.choices)))
        return terms_of(**given)
    given["is_forward"] = kind.listing.takes_forward_start and draw(st.booleans())
    if "barrier2" in kind.takes:
        low = draw(st.integers(-(10**8), -1))
        high = draw(st.integers(1, 10**8))
        if is_relative := draw(st.booleans()):
            given["barrier"], given["barrier2"] = Barrier(high), Barrier(low)
        else:
            given["barrier"] = Barrier(10**9 + high, is_relative=is_relative)
            given["barrier2"] = Barrier(10**9 + low, is_relative=is_relative)
        return terms_of(**given)
    if "barrier" not in kind.takes:
        return terms_of(**given)
    if draw(st.booleans()):
        given["barrier"] = Barrier(draw(st.integers(1, 10**9)), is_relative=False)
    elif away := draw(st.integers(-(10**8), 10**8)):  # S0P is the barrier that is not there
        given["barrier"] = Barrier(away)
    return terms_of(**given)


@given(agreed())
def test_every_contract_is_read_back_from_its_shortcode(terms: Terms) -> None:
    text = encode(terms)
    assert decode(text, terms.currency) == terms
    assert encode(decode(text, terms.currency)) == text
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text


def test_what_a_shortcode_leaves_out_is_kept_beside_it() -> None:
    multiplies = terms_of(
        "MULTUP",
        1_000,
        symbol=SYMBOLS["R_100"],
        currency="USD",
        start=NOON,
        expiry=NOON + 86_400,
        multiplier=40,
        commission=3,
        stop_loss=200,
    )
    assert decode(encode(multiplies), "USD") == replace(multiplies, commission=0, orders=NO_ORDERS)
    grows = terms("ACCU", 1_000, growth=2, width=5, ticks=115, take_profit=200)
    assert decode(encode(grows), "USD") == replace(grows, orders=NO_ORDERS)


def terms(contract_type: str, amount: int, **more: Any) -> Terms:
    given: dict[str, Any] = {"symbol": SYMBOLS["R_10"], "currency": "USD", "start": 1_492_408_153}
    return terms_of(contract_type, amount, **(given | more))


HZ = SYMBOLS["1HZ100V"]


@pytest.mark.parametrize(("text", "expected"), [
    ("CALL_R_100_10_1513593966_1513593996_S0P_0", terms(
        "CALL", 1_000, symbol=SYMBOLS["R_100"], start=1_513_593_966, expiry=1_513_593_996
    )),
    ("CALL_1HZ100V_19.55_1700481935_1700482235_S0P_0", terms(
        "CALL", 1_955, symbol=HZ, start=1_700_481_935, expiry=1_700_482_235
    )),
    ("DIGITOVER_R_10_4.88_1492408153_5T_5_0", terms("DIGITOVER", 488, ticks=5, digit=5)),
    ("MULTUP_1HZ100V_9.00_10_1716220583_4869849599_60m_0.00_N1", terms(
        "MULTUP", 900, symbol=HZ, start=1_716_220_583, expiry=4_869_849_599, multiplier=10,
        cancellation=3_600,
    )),
    ("ACCU_1HZ100V_9.00_0_0.01_1_0.000433139675_1716220710", terms(
        "ACCU", 900, symbol=HZ, start=1_716_220_710, ticks=230, growth=1, width=433_139_675,
    )),
    ("VANILLALONGCALL_1HZ100V_2.00_1686895542_1687046399_1460000000_0.04958_1686895542", terms(
        "VANILLALONGCALL", 200, symbol=HZ, start=1_686_895_542, expiry=1_687_046_399,
        barrier=Barrier(146_000, is_relative=False), contracts=Decimal("0.04958"),
    )),
    ("VANILLALONGPUT_R_10_10.00_1492408153_1492409000F_S0P_12.34560_1492408152", terms(
        "VANILLALONGPUT", 1_000, expiry=1_492_409_000, is_fixed_expiry=True,
        contracts=Decimal("12.34560"),
    )),
    ("TURBOSLONG_1HZ100V_10.00_1716802860_1716804660_S-237P_3.971435_1716802860", terms(
        "TURBOSLONG", 1_000, symbol=HZ, start=1_716_802_860, expiry=1_716_804_660,
        barrier=Barrier(-237), contracts=Decimal("3.971435"),
    )),
    ("TURBOSSHORT_R_10_10.00_1492408153_5T_S40P_3.971435_1492408152", terms(
        "TURBOSSHORT", 1_000, ticks=5, barrier=Barrier(40), contracts=Decimal("3.971435"),
    )),
    ("PUTE_R_10_10_1492408153F_1492409000F_S-1775P_0", terms(
        "PUTE", 1_000, is_forward=True, expiry=1_492_409_000, is_fixed_expiry=True,
        barrier=Barrier(-1_775),
    )),
    ("EXPIRYRANGE_R_10_10_1492589411_1492590000F_S1776P_S-1775P", terms(
        "EXPIRYRANGE", 1_000, start=1_492_589_411, expiry=1_492_590_000, is_fixed_expiry=True,
        barrier=Barrier(1_776), barrier2=Barrier(-1_775),
    )),
    ("UPORDOWN_R_10_10_1492408153_1492409000_2400123000_2399123000", terms(
        "UPORDOWN", 1_000, expiry=1_492_409_000,
        barrier=Barrier(2_400_123, is_relative=False),
        barrier2=Barrier(2_399_123, is_relative=False),
    )),
    ("ASIANU_R_10_3.88_1492410252_5T", terms("ASIANU", 388, start=1_492_410_252, ticks=5)),
    ("TICKHIGH_R_10_4.88_1492408153_5t_3", terms("TICKHIGH", 488, ticks=5, selected_tick=3)),
    ("RESETCALL_R_10_10_1492408153_1492408273_S0P_0", terms(
        "RESETCALL", 1_000, expiry=1_492_408_273
    )),
    ("RUNLOW_R_10_10_1492408153_3T_S0P_0", terms("RUNLOW", 1_000, ticks=3)),
    ("CALLSPREAD_R_10_10_1492408153_1492408273_S30P_S-20P", terms(
        "CALLSPREAD", 1_000, expiry=1_492_408_273, barrier=Barrier(30), barrier2=Barrier(-20)
    )),
    ("LBFLOATPUT_R_10_2.50_1492408153_1492408273", terms(
        "LBFLOATPUT", 250, expiry=1_492_408_273
    )),
    ("ONETOUCH_R_10_10_1492408153_1492409000_2400123000_0", terms(
        "ONETOUCH", 1_000, expiry=1_492_409_000, barrier=Barrier(2_400_123, is_relative=False)
    )),
])  # fmt: skip
def test_shortcodes_in_the_published_manner_are_read(text: str, expected: Terms) -> None:
    assert decode(text, "USD") == expected
    assert encode(expected) == text


def test_the_tick_at_which_it_was_priced_is_not_kept() -> None:
    head = "VANILLALONGCALL_1HZ100V_2.00_1686895542_1687046399_1460000000_0.04958_"
    assert decode(f"{head}1686895541", "USD") == decode(f"{head}1686895542", "USD")


@pytest.mark.parametrize("text", [
    "",
    "CALL",
    "call_R_100_10_1513593966_1513593996_S0P_0",
    "FOO_R_100_10_1513593966_1513593996_S0P_0",
    "CALL_R_11_10_1513593966_1513593996_S0P_0",
    "CALL_R_100_10_1513593966_1513593996_S0P",
    "CALL_R_100_10_1513593966_1513593996_S0P_1",
    "CALL_R_100_10_1513593966_1513593996_S0P_0 ",
    "CALL_R_100_10_1513593966_1513593996_S0P_0\n",
    "CALL_R_100_10.001_1513593966_1513593996_S0P_0",
    "CALL_R_100_1.0.0_1513593966_1513593996_S0P_0",
    "CALL_R_100_._1513593966_1513593996_S0P_0",
    "CALL_R_100_10_1513593966_1513593996_1123451234_0",
    "CALL_R_100_10_15135939660000_1513593996_S0P_0",
    "CALL_R_100_10_١٥١٣٥٩٣٩٦٦_1513593996_S0P_0",
    "CALL_R_100_10_1513593966_0T_S0P_0",
    "DIGITOVER_R_10_4.88_1492408153_5T_S5P_0x",
    "DIGITMATCH_R_10_4.88_1492408153_5T_S0P_0",
    "DIGITMATCH_R_10_4.88_1492408153_5T_S5P_0",
    "DIGITMATCH_R_10_4.88_1492408153_5T_10_0",
    "DIGITOVER_R_10_4.88_1492408153_5T_9_0",
    "DIGITUNDER_R_10_4.88_1492408153_5T_0_0",
    "DIGITODD_R_10_4.88_1492408153_5T_S0P_0",
    "DIGITODD_R_10_4.88_1492408153_5T_5_0",
    "MULTUP_1HZ100V_9.00_0_1716220583_4869849599_60m_0.00_N1",
    "MULTUP_1HZ100V_9.00_10_1716220583_4869849599_61m_0.00_N1",
    "MULTUP_1HZ100V_9.00_10_1716220583_4869849599_60m_0.001_N1",
    "MULTUP_1HZ100V_9.00_10_1716220583_4869849599_60m_0.00_N2",
    "MULTUP_R_100_10_1513593966_1513593996_S0P_0",
    "RANGE_R_100_10_1513593966_1513593996_S5P_0",
    "RANGE_R_100_10_1513593966_1513593996_S0P_S-5P",
    "RANGE_R_100_10_1513593966_1513593996_S-5P_S5P",
    "RANGE_R_100_10_1513593966_1513593996_S5P_S5P",
    "RANGE_R_100_10_1513593966_1513593996_S5P_2400120000",
    "ASIANU_R_10_3.88_1492410252_5T_S0P_0",
    "TICKHIGH_R_10_4.88_1492408153_5T_3",
    "TICKHIGH_R_10_4.88_1492408153_5t_0",
    "TICKHIGH_R_10_4.88_1492408153_5t_6",
    "TICKHIGH_R_10_4.88_1492408153_4t_3",
    "RESETCALL_R_10_10_1492408153_1492408273_S1P_0",
    "RUNLOW_R_10_10_1492408153_3T_2400120000_0",
    "LBHIGHLOW_R_10_2_1492408153_5T",
    "TURBOSLONG_1HZ100V_10.00_1716802860_1716804660_S-237P_3.971435",
    "TURBOSLONG_1HZ100V_10.00_1716802860_1716804660_S-237P_0.000000_1716802860",
    "TURBOSLONG_1HZ100V_10.00_1716802860_1716804660_S-237P_3_1716802860",
    "TURBOSLONG_1HZ100V_10.00_1716802860F_1716804660_S-237P_3.971435_1716802860",
    "VANILLALONGPUT_R_10_10.001_1492408153_1492409000F_S0P_12.34560_1492408152",
    "ACCU_1HZ100V_9.00_0_0.06_1_0.000433139675_1716220710",
    "ACCU_1HZ100V_9.00_0_0.010_1_0.000433139675_1716220710",
    "ACCU_1HZ100V_9.00_1_0.01_1_0.000433139675_1716220710",
    "ACCU_1HZ100V_9.00_0_0.01_1_0.00043313967_1716220710",
    "ACCU_1HZ100V_9.00_0_0.01_1_0.000433139675_1716220710_1",
])  # fmt: skip
def test_a_text_that_is_no_shortcode_is_refused(text: str) -> None:
    with pytest.raises(ShortcodeError):
        decode(text, "USD")


def read_or_refused(text: str, currency: str) -> None:
    """What is read can be written and read again; anything else is a `ShortcodeError`."""
    try:
        found = decode(text, currency)
    except ShortcodeError:
        return
    assert found.contract_type in TYPES
    again = decode(encode(found), currency)
    assert again == found


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A shortcode with some of its characters taken away, replaced or repeated."""
    text = encode(draw(agreed()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        over = draw(st.integers(0, 3))
        put = draw(st.text("0123456789._-+SPTFNm\n\0é٣E", max_size=3))
        text = text[:at] + put + text[at + over :]
    return text


@given(broken(), st.sampled_from(sorted(CURRENCIES)))
def test_a_broken_shortcode_is_refused_or_means_something_else(text: str, currency: str) -> None:
    read_or_refused(text, currency)


@given(st.text(max_size=80), st.sampled_from(sorted(CURRENCIES)))
def test_any_text_is_refused_or_read(text: str, currency: str) -> None:
    read_or_refused(text, currency)


@given(
    st.sampled_from(sorted(TYPES)),
    st.sampled_from(sorted(SYMBOLS)),
    st.lists(
        st.one_of(
            st.integers(0, 10**12).map(str),
            st.from_regex(r"\A(S-?[0-9]{1,16}P|[0-9]{1,4}T|[0-9]{1,11}F|[0-9.]{1,21}|N1|[0-9]m)\Z"),
        ),
        max_size=8,
    ),
)
def test_parts_in_any_order_are_refused_or_read(name: str, symbol: str, parts: list[str]) -> None:
    read_or_refused("_".join([name, symbol, *parts]), "USD")
