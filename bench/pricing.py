"""Microseconds that one price of a contract takes, by family.

    python bench/pricing.py [--rounds 5] [--prices 2000] [--json FILE]

A price is what `proposal` computes: the terms, probability, margin and amounts for a client's
request at the spot of a moment, through `exchange.contracts.quoting.make_quote`. Each price is for
a different second, and none is cached. The market's ticks of the day are in memory, as in a running
gateway. Rows take turns, in a different order each round. The table has medians over the rounds, in
CPU time of this process.
"""

import argparse
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from servers import rotated, what_is_measured

from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.quoting import make_quote
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import Margins

NOON = 1_767_268_800
"""2026-01-01 12:00 UTC."""


def _option(
    contract_type: str, duration: int, unit: str, barrier: str | None = None
) -> QuoteRequest:
    return QuoteRequest(
        contract_type=contract_type,
        symbol="1HZ100V",
        currency="USD",
        amount=Decimal(10),
        basis="payout",
        duration=duration,
        duration_unit=unit,
        barrier=barrier,
    )


def _multiplier(cancellation: str | None = None) -> QuoteRequest:
    return QuoteRequest(
        contract_type="MULTUP",
        symbol="1HZ100V",
        currency="USD",
        amount=Decimal(10),
        basis="stake",
        multiplier=Decimal(100),
        cancellation=cancellation,
        take_profit=None if cancellation else Decimal(5),
    )


def _staked(contract_type: str, **more: Any) -> QuoteRequest:
    return QuoteRequest(
        contract_type=contract_type,
        symbol="1HZ100V",
        currency="USD",
        amount=Decimal(10),
        basis="stake",
        **more,
    )


REQUESTS: Mapping[str, QuoteRequest] = {
    "rise, 5 ticks": _option("CALL", 5, "t"),
    "rise, 5 minutes": _option("CALL", 5, "m"),
    "higher, 1 hour": _option("CALL", 1, "h", "+5.00"),
    "fall or equal, 7 days": _option("PUTE", 7, "d"),
    "digit even": _option("DIGITEVEN", 5, "t"),
    "digit over": _option("DIGITOVER", 5, "t", "4"),
    "digit matches": _option("DIGITMATCH", 5, "t", "7"),
    "touch, 5 ticks": _option("ONETOUCH", 5, "t", "+0.40"),
    "touch, 10 ticks": _option("ONETOUCH", 10, "t", "+0.40"),
    "no touch, 1 hour": _option("NOTOUCH", 1, "h", "+15.00"),
    "multiplier": _multiplier(),
    "multiplier, cancellable": _multiplier("60m"),
    "accumulator": _staked("ACCU", growth_rate=Decimal("0.03")),
    "vanilla, 5 minutes": _staked("VANILLALONGCALL", barrier="+1.10", duration=300),
    "turbo, 5 minutes": _staked("TURBOSLONG", barrier="-8.00", duration=300),
    "turbo, by payout": _staked("TURBOSLONG", payout_per_point=Decimal("1.2"), duration=300),
    "turbo, 5 ticks": _staked("TURBOSLONG", barrier="-1.00", duration=5, duration_unit="t"),
}


def sample(request: QuoteRequest, feed: Feed, prices: int) -> float:
    """Return the mean microseconds for one price, over `prices` of them."""
    margins = Margins()
    make_quote(request, feed, NOON, margins)
    began = process_time()
    for second in range(NOON, NOON + prices):
        make_quote(request, feed, second, margins)
    return (process_time() - began) / prices * 1e6


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--prices", type=int, default=2_000, help="of each row in each round")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    feed = Feed("bench")
    samples: dict[str, list[float]] = {name: [] for name in REQUESTS}
    for number in range(given.rounds):
        for name in rotated(list(REQUESTS), number):
            samples[name].append(sample(REQUESTS[name], feed, given.prices))
    print(what_is_measured())
    print(f"medians of {given.rounds} rounds of {given.prices} prices each")
    print(f"{'contract':<25} {'µs':>7} {'prices/s':>9}")
    for name, taken in samples.items():
        took = median(taken)
        print(f"{name:<25} {took:>7.1f} {1e6 / took:>9,.0f}")
    if given.json is not None:
        given.json.write_text(json.dumps({"of": what_is_measured(), "results": samples}, indent=1))


if __name__ == "__main__":
    main()
