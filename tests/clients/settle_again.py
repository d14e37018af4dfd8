"""Settles finished contracts again, from what the wire tells and nothing else.

    settle_again.py URL < TOKENS

Each line of standard input is a token that may read one account. Of every closed contract in its
`profit_table` that lasted for ticks, of every accumulator, and of every vanilla and turbo of an
hour at most, the shortcode says what was agreed and `ticks_history` what the market did; what
follows from these must be what `profit_table` says. Those that differ are printed, and a last line
counts: `200 contracts, 0 differ`. Ends with 1 if any differs.

What a vanilla or a turbo is sold for before its end follows from no tick: that is taken as it is.

It imports nothing but the standard library and websockets: whoever has those can check a gateway.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect

PAGE = 500
"""Rows that are asked of `profit_table` at once."""
LONGEST_STEP = 2
"""Seconds from one tick to the next, at the most."""
MILLION = 1_000_000
LONGEST = 3_600
"""Seconds that a vanilla or a turbo may have lasted to be settled again."""
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
    """Whether a contract was won, and the tick that decided it."""

    won: bool
    decided_at: int


@dataclass(frozen=True)
class Agreed:
    """What the shortcode of a tick contract tells."""

    contract_type: str
    symbol: str
    payout: Decimal
    start: int
    ticks: int
    barrier: str

    @staticmethod
    def is_of(shortcode: str) -> bool:
        """Whether it is the shortcode of a tick contract."""
        return shortcode.rsplit("_", 3)[1].endswith("T")

    @classmethod
    def read(cls, shortcode: str) -> "Agreed":
        """`TYPE_SYMBOL_PAYOUT_START_kT_BARRIER_0`; the symbol may have underscores of its own."""
        head, payout, start, end, barrier, second = shortcode.rsplit("_", 5)
        contract_type, symbol = head.split("_", 1)
        if not cls.is_of(shortcode) or second != "0":
            raise ValueError(f"{shortcode} is not that of a tick contract with one barrier")
        return cls(contract_type, symbol, Decimal(payout), int(start), int(end[:-1]), barrier)

    @property
    def last_moment(self) -> int:
        """When its last tick has come at the latest."""
        return self.start + (self.ticks + 1) * LONGEST_STEP


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


def settle(agreed: Agreed, ticks: Sequence[Tick], pip_size: int) -> Result:
    """The result of a contract, from the ticks from before its start to after its end."""
    after = [tick for tick in ticks if tick.epoch > agreed.start]
    entry = after[0]
    if agreed.contract_type in _DIGITS:  # the entry tick is the first that counts
        last = after[agreed.ticks - 1]
        won = _DIGITS[agreed.contract_type](last.pips % 10, int(agreed.barrier))
        return Result(won, last.epoch)
    counted = after[1 : agreed.ticks + 1]
    last = counted[agreed.ticks - 1]
    relative = agreed.barrier.startswith("S")
    if relative:
        level = entry.pips + int(agreed.barrier.removeprefix("S").removesuffix("P"))
    else:
        level = int(agreed.barrier) * 10**pip_size // MILLION
    if agreed.contract_type in _ENDS:
        return Result(_ENDS[agreed.contract_type](last.pips - level), last.epoch)
    if relative:
        is_above = level > entry.pips
    else:  # it was there before the entry, which may touch it
        before = [tick for tick in ticks if tick.epoch <= agreed.start]
        is_above = level > before[-1].pips
        counted = [entry, *counted]
    touching = (
        tick for tick in counted if (tick.pips >= level if is_above else tick.pips <= level)
    )
    touched = next(touching, None)
    won = (touched is not None) == (agreed.contract_type == "ONETOUCH")
    return Result(won, (touched or last).epoch)


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
    socket: ClientConnection, agreed: Agreed | Accumulator | PerPoint
) -> tuple[list[Tick], int]:
    """The ticks around a contract, and the decimals of their prices."""
    reply = await ask(
        socket,
        ticks_history=agreed.symbol,
        start=agreed.start - LONGEST_STEP,
        end=agreed.last_moment,
        style="ticks",
        count=5_000,
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
            "payout": agreed.payout,
            "sell_price": agreed.payout if result.won else 0,
            "sell_time": result.decided_at,
        }
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


async def check_account(url: str, token: str) -> tuple[int, list[str]]:
    """How many contracts of an account were settled again, and what differs."""
    count, seen, wrong = 0, 0, []
    async with connect(url) as socket:
        await ask(socket, authorize=token)
        while True:
            table = await ask(socket, profit_table=1, description=1, limit=PAGE, offset=seen)
            rows = table["profit_table"]["transactions"]
            for row in rows:
                if any(form.is_of(row["shortcode"]) for form in (Agreed, Accumulator, PerPoint)):
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
