"""Settles finished contracts again, from what the wire tells and nothing else.

    settle_again.py URL < TOKENS

Each line of standard input is a token that may read one account, in a currency of two decimals. Of
every closed contract in its `profit_table` that lasted at most an hour and was not sold back, and
of every accumulator, the shortcode has the terms and `ticks_history` the market; the result
computed from these must be that of `profit_table`. Contracts that differ are printed, and a last
line counts them: `200 contracts, 0 differ`. The exit code is 1 if any differs.

For a multiplier, `proposal_open_contract` has the orders and the total of commission and financing,
and `multiplier_financing` the growth of the forward price against which it is measured.

What a vanilla or a turbo is sold for before its end follows from no tick: that is taken as it is.

It imports nothing but the standard library and websockets: with those anyone can check a gateway.
"""

import asyncio
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect

PAGE = 500
"""Rows that are asked of `profit_table` at once."""
LONGEST_STEP = 2
"""Seconds from one tick to the next, at the most."""
LONGEST = 3_600
"""Seconds that a contract may last, since so many ticks are told at once."""
MILLION = 1_000_000
CENT = Decimal("0.01")
MOST_TICKS = {
    Decimal("0.01"): 230,
    Decimal("0.02"): 115,
    Decimal("0.03"): 75,
    Decimal("0.04"): 55,
    Decimal("0.05"): 45,
}
"""After how many ticks an accumulator ends, by its growth."""


class Tick(NamedTuple):
    """A price in pips, and its moment."""

    epoch: int
    pips: int


class Result(NamedTuple):
    """What a contract pays, and the tick that decides it."""

    pays: Decimal
    decided_at: int


@dataclass(frozen=True)
class Agreed:
    """What a shortcode tells."""

    contract_type: str
    symbol: str
    amount: Decimal
    """The payout, or the multiplier of a lookback."""
    start: int
    ticks: int | None = None
    expiry: int | None = None
    """It has the one or the other."""
    barriers: tuple[str, ...] = ()
    """As they are written: of a contract on digits the digit; of high and low ticks which one."""

    @staticmethod
    def is_of(shortcode: str) -> bool:
        """Whether it is the shortcode of a contract that can be settled here."""
        if shortcode.split("_", 1)[0] not in SETTLED:
            return False
        agreed = Agreed.read(shortcode)
        return agreed.expiry is None or agreed.expiry - agreed.start <= LONGEST

    @classmethod
    def read(cls, shortcode: str) -> "Agreed":
        """`TYPE_SYMBOL_AMOUNT_START_END` and up to two barriers; a symbol may have underscores."""
        contract_type = shortcode.split("_", 1)[0]
        told = 0 if contract_type in ("ASIANU", "ASIAND", *_LOOKBACKS) else 2
        if contract_type in ("TICKHIGH", "TICKLOW"):
            told = 1
        head, amount, start, end, *barriers = shortcode.rsplit("_", 3 + told)
        in_ticks = end.upper().endswith("T")
        return cls(
            contract_type,
            head.split("_", 1)[1],
            Decimal(amount),
            int(start),
            ticks=int(end[:-1]) if in_ticks else None,
            expiry=None if in_ticks else int(end.removesuffix("F")),
            barriers=tuple(barriers),
        )

    @property
    def last_moment(self) -> int:
        """When its last tick has come at the latest."""
        if self.ticks is not None:
            return self.start + (self.ticks + 1) * LONGEST_STEP
        assert self.expiry is not None
        return self.expiry


_DIGITS: dict[str, Callable[[int, int], bool]] = {
    "DIGITMATCH": lambda digit, chosen: digit == chosen,
    "DIGITDIFF": lambda digit, chosen: digit != chosen,
    "DIGITOVER": lambda digit, chosen: digit > chosen,
    "DIGITUNDER": lambda digit, chosen: digit < chosen,
    "DIGITODD": lambda digit, _: digit % 2 == 1,
    "DIGITEVEN": lambda digit, _: digit % 2 == 0,
}
_ENDS: dict[str, Callable[[int], bool]] = {
    "CALL": lambda beyond: beyond > 0,
    "PUT": lambda beyond: beyond < 0,
    "CALLE": lambda beyond: beyond >= 0,
    "PUTE": lambda beyond: beyond <= 0,
}
_TWO_ENDS: dict[str, Callable[[int, int, int], bool]] = {
    "EXPIRYRANGE": lambda low, exit_, high: low < exit_ < high,
    "EXPIRYMISS": lambda low, exit_, high: exit_ < low or exit_ > high,
    "EXPIRYRANGEE": lambda low, exit_, high: low <= exit_ <= high,
    "EXPIRYMISSE": lambda low, exit_, high: exit_ <= low or exit_ >= high,
}
_LOOKBACKS: dict[str, Callable[[list[int]], int]] = {
    "LBFLOATCALL": lambda path: path[-1] - min(path),
    "LBFLOATPUT": lambda path: max(path) - path[-1],
    "LBHIGHLOW": lambda path: max(path) - min(path),
}
_ENTRY_COUNTS = {*_DIGITS, "ASIANU", "ASIAND", "TICKHIGH", "TICKLOW"}
"""Those whose entry tick is the first of the ticks that they last for."""


def settle(agreed: Agreed, ticks: Sequence[Tick], pip_size: int) -> Result:
    """The result of a contract, from the ticks from before its start to after its end."""
    path = [tick for tick in ticks if tick.epoch > agreed.start]
    if agreed.ticks is not None:
        path = path[: agreed.ticks + (agreed.contract_type not in _ENTRY_COUNTS)]
    else:
        assert agreed.expiry is not None
        path = [tick for tick in path if tick.epoch <= agreed.expiry]
    spot = [tick for tick in ticks if tick.epoch <= agreed.start][-1]
    return SETTLED[agreed.contract_type](agreed, spot, path, pip_size)


def _all_or_nothing(agreed: Agreed, won: bool, tick: Tick) -> Result:
    return Result(agreed.amount if won else Decimal(0), tick.epoch)


def _level(text: str, entry: int, pip_size: int) -> int:
    if text.startswith("S"):
        return entry + int(text.removeprefix("S").removesuffix("P"))
    return int(text) * 10**pip_size // MILLION


def _levels(agreed: Agreed, entry: int, pip_size: int) -> tuple[int, int]:
    """The lower and the higher barrier."""
    high, low = (_level(text, entry, pip_size) for text in agreed.barriers)
    return low, high


def _digit(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    wins = _DIGITS[agreed.contract_type]
    return _all_or_nothing(agreed, wins(path[-1].pips % 10, int(agreed.barriers[0])), path[-1])


def _end(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    beyond = path[-1].pips - _level(agreed.barriers[0], path[0].pips, pip_size)
    return _all_or_nothing(agreed, _ENDS[agreed.contract_type](beyond), path[-1])


def _touch(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    entry, *counted = path
    level = _level(agreed.barriers[0], entry.pips, pip_size)
    is_above = level > entry.pips
    if not agreed.barriers[0].startswith("S"):  # it was there before the entry, which may touch it
        is_above, counted = level > spot.pips, path
    touching = (
        tick for tick in counted if (tick.pips >= level if is_above else tick.pips <= level)
    )
    touched = next(touching, None)
    won = (touched is not None) == (agreed.contract_type == "ONETOUCH")
    return _all_or_nothing(agreed, won, touched or path[-1])


def _two_ends(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    low, high = _levels(agreed, path[0].pips, pip_size)
    wins = _TWO_ENDS[agreed.contract_type]
    return _all_or_nothing(agreed, wins(low, path[-1].pips, high), path[-1])


def _stay(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    low, high = _levels(agreed, path[0].pips, pip_size)
    touched = next((tick for tick in path if not low < tick.pips < high), None)
    won = (touched is None) == (agreed.contract_type == "RANGE")
    return _all_or_nothing(agreed, won, touched or path[-1])


def _spread(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    low, high = _levels(agreed, path[0].pips, pip_size)
    rises = agreed.contract_type == "CALLSPREAD"
    covered = path[-1].pips - low if rises else high - path[-1].pips
    pays = agreed.amount * min(max(covered, 0), high - low) / (high - low)
    return Result(pays.quantize(CENT, ROUND_DOWN), path[-1].epoch)


def _asian(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    beyond = path[-1].pips * len(path) - sum(tick.pips for tick in path)
    return _all_or_nothing(
        agreed, beyond > 0 if agreed.contract_type == "ASIANU" else beyond < 0, path[-1]
    )


def _selected(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    chosen = path[int(agreed.barriers[0]) - 1]
    side = 1 if agreed.contract_type == "TICKHIGH" else -1
    for tick in path:
        if tick is not chosen and (tick.pips - chosen.pips) * side >= 0:
            return _all_or_nothing(agreed, False, max(tick, chosen))  # the later of both
    return _all_or_nothing(agreed, True, path[-1])


def _run(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    side = 1 if agreed.contract_type == "RUNHIGH" else -1
    for before, tick in pairwise(path):
        if (tick.pips - before.pips) * side <= 0:
            return _all_or_nothing(agreed, False, tick)
    return _all_or_nothing(agreed, True, path[-1])


def _reset(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    entry, last = path[0], path[-1]
    if agreed.ticks is not None:
        reset = path[agreed.ticks // 2]
    else:
        assert agreed.expiry is not None
        half = agreed.start + (agreed.expiry - agreed.start) // 2
        reset = [tick for tick in path if tick.epoch <= half][-1]
    if agreed.contract_type == "RESETCALL":
        return _all_or_nothing(agreed, last.pips > min(entry.pips, reset.pips), last)
    return _all_or_nothing(agreed, last.pips < max(entry.pips, reset.pips), last)


def _lookback(agreed: Agreed, spot: Tick, path: list[Tick], pip_size: int) -> Result:
    pips = _LOOKBACKS[agreed.contract_type]([tick.pips for tick in path])
    pays = agreed.amount * pips / 10**pip_size
    return Result(pays.quantize(CENT, ROUND_DOWN), path[-1].epoch)


SETTLED: dict[str, Callable[[Agreed, Tick, list[Tick], int], Result]] = {
    **dict.fromkeys(_DIGITS, _digit),
    **dict.fromkeys(_ENDS, _end),
    **dict.fromkeys(("ONETOUCH", "NOTOUCH"), _touch),
    **dict.fromkeys(_TWO_ENDS, _two_ends),
    **dict.fromkeys(("RANGE", "UPORDOWN"), _stay),
    **dict.fromkeys(("CALLSPREAD", "PUTSPREAD"), _spread),
    **dict.fromkeys(("ASIANU", "ASIAND"), _asian),
    **dict.fromkeys(("TICKHIGH", "TICKLOW"), _selected),
    **dict.fromkeys(("RUNHIGH", "RUNLOW"), _run),
    **dict.fromkeys(("RESETCALL", "RESETPUT"), _reset),
    **dict.fromkeys(_LOOKBACKS, _lookback),
}
"""How each type is settled: from what was agreed, the spot at the start, the ticks from the entry
to the last, and the decimals of a price."""


@dataclass(frozen=True)
class Accumulator:
    """What the shortcode of an accumulator tells."""

    symbol: str
    stake: Decimal
    growth: Decimal
    width: Decimal
    start: int

    @staticmethod
    def is_of(shortcode: str) -> bool:
        """Whether it is the shortcode of an accumulator."""
        return shortcode.startswith("ACCU_")

    @classmethod
    def read(cls, shortcode: str) -> "Accumulator":
        """`ACCU_SYMBOL_STAKE_0_GROWTH_1_WIDTH_START`."""
        head, stake, _, growth, _, width, start = shortcode.rsplit("_", 6)
        symbol = head.removeprefix("ACCU_")
        return cls(symbol, Decimal(stake), Decimal(growth), Decimal(width), int(start))

    @property
    def last_moment(self) -> int:
        """When it has ended at the latest."""
        return self.start + (max(MOST_TICKS.values()) + 1) * LONGEST_STEP

    def settle(self, ticks: Sequence[Tick], closed_at: int, _: int) -> tuple[Decimal, int]:
        """What it pays and when, knowing when it was closed: by whom makes no difference.

        Every tick is held against the one before; as many as stayed have made it grow.
        """
        after = [tick for tick in ticks if self.start < tick.epoch <= closed_at]
        before = after[0]
        for tick in after[1:]:
            if abs(tick.pips - before.pips) >= self.width * before.pips:
                return Decimal(0), tick.epoch
            before = tick
        grown = min(len(after) - 1, MOST_TICKS[self.growth])
        exact = Fraction(self.stake) * Fraction(1 + self.growth) ** grown
        return rounded_down(exact, self.stake), closed_at


@dataclass(frozen=True)
class PerPoint:
    """What the shortcode of a vanilla or a turbo tells."""

    contract_type: str
    symbol: str
    stake: Decimal
    start: int
    end: str
    barrier: str
    contracts: Decimal

    @classmethod
    def is_of(cls, shortcode: str) -> bool:
        """Whether it is the shortcode of a vanilla or a turbo that lasts for an hour at most."""
        if not shortcode.startswith(("VANILLA", "TURBOS")):
            return False
        agreed = cls.read(shortcode)
        return agreed.last_moment - agreed.start <= LONGEST

    @classmethod
    def read(cls, shortcode: str) -> "PerPoint":
        """`TYPE_SYMBOL_STAKE_START_END_BARRIER_CONTRACTS_EPOCH`."""
        head, stake, start, end, barrier, contracts, _ = shortcode.rsplit("_", 6)
        contract_type, symbol = head.split("_", 1)
        return cls(
            contract_type, symbol, Decimal(stake), int(start), end, barrier, Decimal(contracts)
        )

    @property
    def last_moment(self) -> int:
        """When its last tick has come at the latest."""
        if self.end.endswith("T"):
            return self.start + (int(self.end[:-1]) + 1) * LONGEST_STEP
        return int(self.end.removesuffix("F"))

    def settle(
        self, ticks: Sequence[Tick], closed_at: int | None, pip_size: int
    ) -> tuple[Decimal, int] | None:
        """What it pays and when; `None` where it was closed before, which is a sale."""
        after = [tick for tick in ticks if tick.epoch > self.start]
        if self.end.endswith("T"):
            counted = after[: int(self.end[:-1]) + 1]
        else:
            counted = [tick for tick in after if tick.epoch <= self.last_moment]
        entry, last = counted[0], counted[-1]
        if self.barrier.startswith("S"):
            strike = entry.pips + int(self.barrier.removeprefix("S").removesuffix("P"))
            watched = counted[1:]
        else:
            strike = int(self.barrier) * 10**pip_size // MILLION
            watched = counted
        side = 1 if self.contract_type in ("VANILLALONGCALL", "TURBOSLONG") else -1
        met = [tick for tick in watched if (tick.pips - strike) * side <= 0]
        if self.contract_type.startswith("TURBOS") and met:
            pays, decided_at = Decimal(0), met[0].epoch
        else:
            points = Fraction(max(0, (last.pips - strike) * side), 10**pip_size)
            pays, decided_at = (
                rounded_down(Fraction(self.contracts) * points, self.stake),
                last.epoch,
            )
        if closed_at is not None and closed_at < decided_at:
            return None
        return pays, decided_at


@dataclass(frozen=True)
class Multiplier:
    """The terms in the shortcode of a multiplier, and its end from other replies."""

    contract_type: str
    symbol: str
    stake: Decimal
    multiplier: int
    start: int
    cancelled_for: int
    last_moment: int
    """When it was closed."""
    take_profit: Decimal | None
    stop_loss: Decimal | None
    charged: Decimal
    """Commission and financing."""
    status: str
    growth: tuple[tuple[int, float], ...]
    """The first tick of each day, the latest first, and the growth per tick of the day."""

    @staticmethod
    def is_of(shortcode: str) -> bool:
        """Whether it is the shortcode of a multiplier."""
        return shortcode.startswith(("MULTUP_", "MULTDOWN_"))

    @staticmethod
    def started(shortcode: str) -> int:
        """The moment of its start."""
        return int(shortcode.rsplit("_", 5)[1])

    @classmethod
    async def read(cls, socket: ClientConnection, row: dict[str, Any]) -> "Multiplier":
        """`TYPE_SYMBOL_STAKE_MULTIPLIER_START_END_CANCELLATION_TAKEPROFIT_N1`, and two calls."""
        head, stake, factor, start, _, cancellation, _, _ = row["shortcode"].rsplit("_", 7)
        contract_type, symbol = head.split("_", 1)
        told = await ask(socket, proposal_open_contract=1, contract_id=row["contract_id"])
        body = told["proposal_open_contract"]
        orders = {
            name: Decimal(str(abs(order["order_amount"])))
            for name, order in body["limit_order"].items()
        }
        days = await ask(
            socket, multiplier_financing=symbol, start=int(start), end=row["sell_time"]
        )
        growth = [
            (day["first_tick"], float(day["growth_per_tick"]))
            for day in days["multiplier_financing"]["days"]
        ]
        return cls(
            contract_type,
            symbol,
            Decimal(stake),
            int(factor),
            int(start),
            int(start) + 60 * int(cancellation.removesuffix("m")),
            row["sell_time"],
            orders.get("take_profit"),
            orders.get("stop_loss"),
            Decimal(str(body["commission"])),
            body["status"],
            tuple(sorted(growth, reverse=True)),
        )

    def settle(self, ticks: Sequence[Tick], closed_at: int, _: int) -> tuple[Decimal, int]:
        """Its payment and the moment, given the moment of its closing and its charges."""
        path = [tick for tick in ticks if self.start < tick.epoch <= closed_at]
        side = 1 if self.contract_type == "MULTUP" else -1
        entry, last = path[0], path[-1]
        value = int(self.stake / CENT) * self.multiplier * side
        forwards, grown = [], 0.0
        for tick in path:
            forwards.append(round(entry.pips * MILLION * math.exp(grown)))
            grown += next(growth for first, growth in self.growth if first <= tick.epoch)
        plain = value * (last.pips - entry.pips) // entry.pips
        charged = int(self.charged / CENT)
        financed = value * (last.pips * MILLION - forwards[-1]) // forwards[-1]
        commission = charged - (plain - financed)
        for tick, forward in zip(path, forwards, strict=True):
            profit = value * (Fraction(tick.pips * MILLION, forward) - 1) - commission
            can_be_cancelled = self.cancelled_for > self.start and tick.epoch <= self.cancelled_for
            if profit <= -self.stake / CENT:
                return (self.stake if can_be_cancelled else Decimal(0)), tick.epoch
            loses = self.stop_loss is not None and profit <= -self.stop_loss / CENT
            gains = self.take_profit is not None and profit >= self.take_profit / CENT
            if gains or (loses and not can_be_cancelled):
                return self.stake + math.floor(profit) * CENT, tick.epoch
        if self.status == "cancelled":
            return self.stake, closed_at
        if self.status != "sold":
            return Decimal(-1), last.epoch  # nothing has closed it
        return self.stake + (financed - commission) * CENT, closed_at


def rounded_down(exact: Fraction, like: Decimal) -> Decimal:
    """An amount of money with as many decimals as another has."""
    unit = Decimal(1).scaleb(like.as_tuple().exponent)  # type: ignore[arg-type] # it is finite
    return int(exact / Fraction(unit)) * unit


async def ask(socket: ClientConnection, **request: Any) -> dict[str, Any]:
    """The reply to a request, its numbers as exact decimals."""
    await socket.send(json.dumps(request))
    reply: dict[str, Any] = json.loads(await socket.recv(), parse_float=Decimal)
    if "error" in reply:
        raise SystemExit(f"{next(iter(request))} was refused: {reply['error']}")
    return reply


async def history(
    socket: ClientConnection, agreed: Agreed | Accumulator | Multiplier | PerPoint
) -> tuple[list[Tick], int]:
    """The ticks around a contract, and the decimals of their prices."""
    reply = await ask(
        socket,
        ticks_history=agreed.symbol,
        start=agreed.start - LONGEST_STEP,
        end=agreed.last_moment,
        style="ticks",
        count=LONGEST + 2 * LONGEST_STEP,
    )
    scale = 10 ** reply["pip_size"]
    told = reply["history"]
    pips = [Decimal(price) * scale for price in told["prices"]]
    if any(price != int(price) for price in pips):
        raise SystemExit(f"{agreed.symbol} has prices between two pips: {told['prices']}")
    ticks = [Tick(epoch, int(price)) for epoch, price in zip(told["times"], pips, strict=True)]
    return ticks, reply["pip_size"]


async def differences(socket: ClientConnection, row: dict[str, Any]) -> list[str]:
    """In what a row of `profit_table` differs from what the market makes of its contract."""
    code = row["shortcode"]
    if Agreed.is_of(code):
        agreed = Agreed.read(code)
        result = settle(agreed, *await history(socket, agreed))
        expected = {
            "payout": 0 if agreed.contract_type in _LOOKBACKS else agreed.amount,
            "sell_price": result.pays,
            "sell_time": result.decided_at,
        }
    else:
        product: Accumulator | Multiplier | PerPoint
        if Multiplier.is_of(code):
            product = await Multiplier.read(socket, row)
        else:
            product = Accumulator.read(code) if Accumulator.is_of(code) else PerPoint.read(code)
        ticks, pip_size = await history(socket, product)
        paid = product.settle(ticks, row["sell_time"], pip_size)
        expected = {} if paid is None else {"sell_price": paid[0], "sell_time": paid[1]}
    return [
        f"{row['shortcode']}: {name} is {row[name]}, from the ticks follows {value}"
        for name, value in expected.items()
        if row[name] != value
    ]


async def was_sold(socket: ClientConnection, row: dict[str, Any]) -> bool:
    """Whether a contract that lasts for a time was sold back before the market decided it."""
    reply = await ask(socket, proposal_open_contract=1, contract_id=row["contract_id"])
    return bool(reply["proposal_open_contract"]["status"] == "sold")


async def check_account(url: str, token: str) -> tuple[int, list[str]]:
    """How many contracts of an account were settled again, and what differs."""
    count, seen, wrong = 0, 0, []
    async with connect(url) as socket:
        await ask(socket, authorize=token)
        while True:
            table = await ask(socket, profit_table=1, description=1, limit=PAGE, offset=seen)
            rows = table["profit_table"]["transactions"]
            for row in rows:
                code = row["shortcode"]
                follows = Accumulator.is_of(code) or PerPoint.is_of(code)
                if Multiplier.is_of(code):
                    follows = row["sell_time"] - Multiplier.started(code) <= LONGEST
                if follows or (Agreed.is_of(code) and not await was_sold(socket, row)):
                    count += 1
                    wrong += await differences(socket, row)
            seen += len(rows)
            if len(rows) < PAGE:
                return count, wrong


async def main(url: str, tokens: Sequence[str]) -> int:
    """Check every account, and say what was found."""
    results = [await check_account(url, token) for token in tokens]
    wrong = [line for _, lines in results for line in lines]
    for line in wrong:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{sum(count for count, _ in results)} contracts, {len(wrong)} differ\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.stdin.read().split())))
