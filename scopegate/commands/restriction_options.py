"""The options of commands that restrict a token."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click

from scopegate import offered
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.errors import ApiError
from scopegate.handlers.exchange.trading_restrictions import TradingRestrictionKinds
from scopegate.runtime.clock import WallClock
from scopegate.store.errors import StoreError
from scopegate.store.transactions import Snapshot

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])", re.ASCII)

_OPTIONS = {
    "networks": ("--network", "IP address or network that it works from."),
    "accounts": ("--account", "Account that it reaches."),
    "symbols": ("--symbol", "Symbol that it may trade."),
    "markets": ("--market", "Market whose symbols it may trade."),
    "contract_types": ("--contract-type", "Contract type that it may buy."),
    "no_trading": ("--no-trading", "Hours (UTC) without purchases, such as 22:00-06:00."),
    "max_stake": ("--max-stake", "Highest price of a contract."),
    "max_stake_per_day": ("--max-stake-day", "Total price of what is bought in a day."),
    "max_loss_per_day": ("--max-loss-day", "Most that a day may lose, with what is open."),
    "max_open_contracts": ("--max-open", "Contracts that may be open at once."),
    "max_transfer_per_day": ("--max-transfer-day", "What may be transferred and paid in a day."),
    "calls_per_minute": ("--calls-per-minute", "Calls that it may make in a minute."),
    "close_on_disconnect": (
        "--close-on-disconnect",
        "Seconds after its last connection is gone, after which its contracts are sold.",
    ),
}
"""The option of each restriction by the name of its field, with its help."""
_SEVERAL = ("networks", "accounts", "symbols", "markets", "contract_types", "no_trading")


def duration(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """Parse a duration such as `30d` or `90m`; return its seconds."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise click.BadParameter("give a number with s, m, h, d or w, such as 30d or 12h")
    return int(found.group(1)) * _UNITS[found.group(2)]


def with_restrictions(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each restriction, and `--expires`.

    The command gets `restrictions`, a dict of those that are given, by the names of their fields,
    and `expires_at`, in epoch seconds or `None`.
    """

    @wraps(command)
    def with_values(expires: int | None, **values: Any) -> None:
        restrictions = {
            name: list(given) if name in _SEVERAL else given
            for name in _OPTIONS
            if (given := values.pop(name)) not in (None, ())
        }
        expires_at = None if expires is None else int(time.time()) + expires
        command(restrictions=restrictions, expires_at=expires_at, **values)

    for name, (option, words) in reversed(_OPTIONS.items()):
        several = name in _SEVERAL
        words = f"{words} May be given several times." if several else words
        with_values = click.option(option, name, multiple=several, help=words)(with_values)
    return click.option(
        "--expires",
        metavar="DURATION",
        callback=duration,
        help="How long it lasts, such as 30d, 12h or 90m.",
    )(with_values)


@contextmanager
def problems_by_option() -> Iterator[None]:
    """Name invalid restrictions by their options. Raises `StoreError`."""
    try:
        yield
    except ApiError as problem:
        prefix = "restrictions."
        named = [
            f"{_OPTIONS[field][0]}: {text}"
            for place, text in (problem.details or {}).items()
            if (field := place.removeprefix(prefix).partition(".")[0]) in _OPTIONS
        ]
        if not named:
            raise
        raise StoreError(" ".join(named)) from None


def kinds_of(reader: Snapshot) -> RestrictionKinds:
    """Return the restrictions that tokens of a database can have."""
    if offered.has_exchange(reader):
        return TradingRestrictionKinds(WallClock(), offered.own_markets(reader))
    return RestrictionKinds()
