"""The performance of an account: statistics of its closed contracts.

Rules: the database computes them from the latest `LATEST` closed contracts, so that a query costs
about the same however long an account has traded; only `trades` and `since` cover all contracts.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scopegate.exchange.hours import DAY
from scopegate.exchange.symbols import SYMBOLS, Symbol
from scopegate.store.transactions import Snapshot

LATEST = 5_000
"""The number of contracts evaluated: those closed last."""

YEAR = 365 * DAY

_CLOSED = (
    "(SELECT * FROM contracts WHERE loginid = ? AND status <> 'open'"  # noqa: S608 - a number
    f" ORDER BY sold_at DESC, id DESC LIMIT {LATEST}) AS closed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Statistics of closed contracts; shares are in percent, and 0 without contracts."""

    since: int
    """When the contract that closed first was bought; without one, when the account was opened."""
    trades: int
    """The number of all closed contracts."""
    duration: int
    """How long a contract was open on average, in seconds."""
    gain: float
    """The mean profit of contracts that gained, in percent of their price."""
    loss: float
    """The mean profit of contracts that lost, in percent of their price: not above 0."""
    gaining: float
    """The share of contracts that gained."""
    gaining_this_year: float
    """The share among contracts that were closed in the 365 days before the query."""
    gaining_by_month: Mapping[str, float]
    """The share by month (UTC) of closing, such as `2026-01`."""
    gaining_by_year: Mapping[str, float]
    luck: float
    """The probability, from 0 to 1, that contracts held to their end would have brought less than
    they did, given the probabilities of winning implied by their prices; 0.5 if there are none."""
    by_market: Mapping[str, float]
    """The share of contracts in each market."""


def of(reader: Snapshot, loginid: str, now: int) -> Performance:
    """The performance at epoch `now` of an account, which must exist."""
    summed = reader.single(
        "SELECT count(*) AS trades, count(CASE WHEN sold_for > price THEN 1 END) AS gained,"  # noqa: S608
        " avg(sold_at - bought_at) AS duration,"
        " avg(CASE WHEN sold_for > price THEN 100.0 * (sold_for - price) / price END) AS gain,"
        " avg(CASE WHEN sold_for < price THEN 100.0 * (sold_for - price) / price END) AS loss,"
        " count(CASE WHEN sold_at > ? THEN 1 END) AS recent,"
        " count(CASE WHEN sold_at > ? AND sold_for > price THEN 1 END) AS recently_gained"
        f" FROM {_CLOSED}",
        now - YEAR,
        now - YEAR,
        loginid,
    )
    return Performance(
        since=_since(reader, loginid),
        trades=reader.single(
            "SELECT count(*) FROM contracts WHERE loginid = ? AND status <> 'open'",
            loginid,
        )[0],
        duration=round(summed["duration"] or 0),
        gain=round(summed["gain"] or 0, 2),
        loss=round(summed["loss"] or 0, 2),
        gaining=_share(summed["gained"], summed["trades"]),
        gaining_this_year=_share(summed["recently_gained"], summed["recent"]),
        gaining_by_month=_gaining(reader, loginid, "%Y-%m"),
        gaining_by_year=_gaining(reader, loginid, "%Y"),
        luck=_luck(reader, loginid),
        by_market=_by_market(reader, loginid),
    )


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _since(reader: Snapshot, loginid: str) -> int:
    first = reader.one(
        "SELECT bought_at FROM contracts WHERE loginid = ? AND status <> 'open'"
        " ORDER BY sold_at, id LIMIT 1",
        loginid,
    )
    if first is None:
        first = reader.single("SELECT created_at FROM accounts WHERE loginid = ?", loginid)
    return int(first[0])


def _gaining(reader: Snapshot, loginid: str, span: str) -> dict[str, float]:
    rows = reader.all(
        f"SELECT sold_at / {DAY} AS day, count(*) AS trades,"  # noqa: S608 - numbers
        " count(CASE WHEN sold_for > price THEN 1 END) AS gained"
        f" FROM {_CLOSED} GROUP BY sold_at / {DAY} ORDER BY sold_at / {DAY}",
        loginid,
    )
    trades: Counter[str] = Counter()
    gained: Counter[str] = Counter()
    for row in rows:
        name = time.strftime(span, time.gmtime(row["day"] * DAY))
        trades[name] += row["trades"]
        gained[name] += row["gained"]
    return {name: _share(gained[name], count) for name, count in trades.items()}


def _luck(reader: Snapshot, loginid: str) -> float:
    """Return `Performance.luck`, by the central limit theorem.

    A contract that costs c and pays p or nothing is won, at a fair price, with probability c / p;
    its profit has mean 0 and variance c (p - c).
    """
    row = reader.single(
        # Factors of 1.0: sums of integers would overflow with units of cryptocurrencies.
        "SELECT coalesce(sum(1.0 * (sold_for - price)), 0) AS profit,"  # noqa: S608 - a number
        " coalesce(sum(1.0 * price * (payout - price)), 0) AS variance"
        f" FROM {_CLOSED} WHERE status IN ('won', 'lost') AND payout > price",
        loginid,
    )
    if not row["variance"]:
        return 0.5
    return round(0.5 * (1 + math.erf(row["profit"] / math.sqrt(2 * row["variance"]))), 4)


def _by_market(reader: Snapshot, loginid: str) -> dict[str, float]:
    rows = reader.all(
        f"SELECT contract_type, shortcode FROM {_CLOSED}",  # noqa: S608
        loginid,
    )
    markets = Counter(
        _symbol(row["shortcode"].removeprefix(f"{row['contract_type']}_")).market for row in rows
    )
    return {market: _share(count, len(rows)) for market, count in sorted(markets.items())}


def _symbol(text: str) -> Symbol:
    """The symbol at the beginning of the text."""
    words = text.split("_")
    name, *more = words
    while name not in SYMBOLS:
        name += f"_{more.pop(0)}"
    return SYMBOLS[name]
