"""Self-exclusion: limits and pauses that an account's owner sets for purchases and deposits.

Rules:
- The owner can make a limit stricter and a pause longer at any time, but can never ease either. A
  pause ends automatically.
- All times are market time. A window is today (UTC), or the last 7 or 30 days including today.
- A contract counts in the windows of the day it was bought: its price as turnover, and as a loss
  until it pays; then its payment is subtracted from the loss.
"""

import calendar
from collections.abc import Mapping
from datetime import UTC, date, datetime

from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.ledger import OUTSIDE
from scopegate.exchange.money import to_text
from scopegate.exchange.symbols import DAY
from scopegate.store.transactions import Query, Snapshot, Transaction

AMOUNTS = (
    "max_balance",
    "max_deposit",
    "max_7day_deposit",
    "max_30day_deposit",
    "max_losses",
    "max_7day_losses",
    "max_30day_losses",
    "max_turnover",
    "max_7day_turnover",
    "max_30day_turnover",
)
"""The limits that are amounts, in smallest units of the account's currency."""
COUNTS = ("max_open_bets", "session_duration_limit")
"""The maximum number of open contracts; the minutes after which a session cannot buy."""
PAUSES = ("exclude_until", "timeout_until")
"""The epochs before which nothing is bought or paid in."""
FIELDS = (*AMOUNTS, *COUNTS, *PAUSES)

LONGEST_TIMEOUT = 42 * DAY
SHORTEST_EXCLUSION = 6
LONGEST_EXCLUSION = 60
"""In calendar months, as `SHORTEST_EXCLUSION`."""

_WINDOWS = (("max_{}", 1, "Daily"), ("max_7day_{}", 7, "7Day"), ("max_30day_{}", 30, "30Day"))
_PAID_IN = ("deposit", "transfer")


def query(loginid: str) -> Query:
    """Return the query of `in_force`."""
    return "SELECT * FROM self_exclusions WHERE loginid = ?", loginid


def in_force(reader: Snapshot, loginid: str, at: int) -> dict[str, int]:
    """The limits and pauses in force at an epoch, by their names in `FIELDS`."""
    row = reader.one(*query(loginid))
    if row is None:
        return {}
    return {
        name: row[name]
        for name in FIELDS
        if row[name] is not None and (name not in PAUSES or row[name] > at)
    }


def tighten(
    transaction: Transaction, loginid: str, wanted: Mapping[str, int | None], *, at: int
) -> None:
    """Set these limits and pauses; 0 and `None` mean none.

    Raises `Refusal` if one would be eased, or a pause is too short or too long.
    """
    present = in_force(transaction, loginid, at)
    changed: dict[str, int] = {}
    for name, value in wanted.items():
        before = present.get(name)
        if not value:
            if before is not None:
                raise _refused(name, "This limit cannot be removed.")
        elif value != before:
            if name in PAUSES:
                _check_pause(name, value, before, at)
            elif before is not None and value > before:
                raise _refused(name, "This limit can only be made stricter.")
            changed[name] = value
    if not changed:
        return
    columns = ", ".join(changed)
    marks = ", ".join("?" * len(changed))
    sets = ", ".join(f"{name} = excluded.{name}" for name in changed)
    transaction.execute(
        f"INSERT INTO self_exclusions (loginid, {columns}) VALUES (?, {marks})"  # noqa: S608 - names
        f" ON CONFLICT (loginid) DO UPDATE SET {sets}",
        loginid,
        *changed.values(),
    )


def lift(transaction: Transaction, loginid: str) -> bool:
    """Remove all limits and pauses, for the operator; return whether there were any."""
    lifted = transaction.execute("DELETE FROM self_exclusions WHERE loginid = ?", loginid)
    return lifted.rowcount > 0


def _check_pause(name: str, until: int, before: int | None, at: int) -> None:
    if before is not None and until < before:
        raise _refused(name, "This period can only be made longer.")
    if name == "timeout_until":
        if not at < until <= at + LONGEST_TIMEOUT:
            raise _refused(name, "A timeout must end within six weeks from now.")
    elif not _months_later(at, SHORTEST_EXCLUSION) <= until <= _months_later(at, LONGEST_EXCLUSION):
        raise _refused(name, "An exclusion must end in six months to five years from now.")


def _months_later(at: int, months: int) -> int:
    """The epoch at which the day (UTC) begins that is this many calendar months later.

    It is the last day of the month if that month is too short.
    """
    today = datetime.fromtimestamp(at, UTC)
    years, month = divmod(today.month - 1 + months, 12)
    year = today.year + years
    day = min(today.day, calendar.monthrange(year, month + 1)[1])
    return calendar.timegm(date(year, month + 1, day).timetuple())


def _refused(name: str, problem: str) -> Refusal:
    return Refusal(
        "SetSelfExclusionError",
        f"{name}: {problem} The operator of the gateway can lift your limits.",
        {name: problem},
        names_field=False,
    )


# Checks.


def refuse_purchase(
    reader: Snapshot,
    loginid: str,
    *,
    currency: str,
    price: int,
    held: int,
    signed_in_for: float = 0.0,
    at: int,
) -> None:
    """Raise `Refusal` if the account's owner has excluded this purchase.

    `price` is in smallest units, `held` is the number of the account's open contracts, and
    `signed_in_for` how long the session that buys has lasted, in seconds of market time.
    """
    limits = in_force(reader, loginid, at)
    if not limits:
        return
    _refuse_pause(limits)
    minutes = limits.get("session_duration_limit")
    if minutes is not None and signed_in_for >= minutes * 60:
        raise Refusal(
            "SessionDurationLimitExceeded",
            f"Your session has reached your own limit of {minutes} minutes. Sign in again to"
            " continue.",
        )
    most = limits.get("max_open_bets")
    if most is not None and held >= most:
        raise Refusal(
            "OpenPositionLimitExceeded",
            f"You have {held} open contracts, and your own limit is {most}. Wait until one ends,"
            " or sell one.",
        )
    most = limits.get("max_balance")
    if most is not None:
        row = reader.one("SELECT balance FROM accounts WHERE loginid = ?", loginid)
        if row is not None and row[0] > most:
            raise Refusal(
                "AccountBalanceExceedsLimit",
                f"Your balance of {currency} {to_text(row[0], currency)} is above your own limit"
                f" of {currency} {to_text(most, currency)}. You cannot buy contracts until it is"
                " lower.",
            )
    for pattern, days, word in _WINDOWS:
        turnover_limit = limits.get(pattern.format("turnover"))
        loss_limit = limits.get(pattern.format("losses"))
        if turnover_limit is None and loss_limit is None:
            continue
        row = reader.single(
            "SELECT coalesce(sum(price), 0), coalesce(sum(price - coalesce(sold_for, 0)), 0)"
            " FROM contracts WHERE loginid = ? AND bought_at >= ?",
            loginid,
            _window(at, days),
        )
        for most, so_far, what in (
            (turnover_limit, row[0], "Turnover"),
            (loss_limit, row[1], "Loss"),
        ):
            if most is not None and so_far + price > most:
                raise Refusal(
                    f"{word}{what}LimitExceeded",
                    f"{_exceeded(what, days, most, so_far, currency)}, and this contract costs"
                    f" {currency} {to_text(price, currency)}.",
                )


def refuse_deposit(reader: Snapshot, loginid: str, *, currency: str, amount: int, at: int) -> None:
    """Raise `Refusal` if the account's owner has excluded a deposit of this amount."""
    limits = in_force(reader, loginid, at)
    if not limits:
        return
    _refuse_pause(limits)
    most = limits.get("max_balance")
    if most is not None:
        row = reader.one("SELECT balance FROM accounts WHERE loginid = ?", loginid)
        if row is not None and row[0] + amount > most:
            raise Refusal(
                "AccountBalanceExceedsLimit",
                f"This payment would exceed the balance limit of {currency}"
                f" {to_text(most, currency)} that the owner of {loginid} has set.",
            )
    for pattern, days, word in _WINDOWS:
        most = limits.get(pattern.format("deposit"))
        if most is None:
            continue
        [paid_in] = reader.single(
            "SELECT coalesce(sum(amount), 0) FROM ledger WHERE loginid = ? AND at >= ?"
            " AND contract_id IS NULL AND amount > 0 AND action IN (?, ?)"
            # The first entry, if it came from outside, is the opening balance, not a deposit.
            " AND NOT (counter = ? AND id = (SELECT min(id) FROM ledger WHERE loginid = ?))",
            loginid,
            _window(at, days),
            *_PAID_IN,
            OUTSIDE,
            loginid,
        )
        if paid_in + amount > most:
            raise Refusal(
                f"{word}DepositLimitExceeded",
                f"{_exceeded('Deposit', days, most, paid_in, currency)}, and this payment is"
                f" {currency} {to_text(amount, currency)}.",
            )


def _refuse_pause(limits: Mapping[str, int]) -> None:
    until = max((limits[name] for name in PAUSES if name in limits), default=None)
    if until is not None:
        moment = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M:%S")
        raise Refusal("SelfExclusion", f"The owner has excluded this account until {moment} UTC.")


def _window(at: int, days: int) -> int:
    """The epoch at which a window of this many days begins."""
    return at - at % DAY - (days - 1) * DAY


def _exceeded(what: str, days: int, most: int, so_far: int, currency: str) -> str:
    when = "today" if days == 1 else f"in {days} days"
    kind = {"Turnover": "turnover", "Loss": "losses", "Deposit": "deposits"}[what]
    return (
        f"The limit on {kind} {when} is {currency} {to_text(most, currency)}: {currency}"
        f" {to_text(so_far, currency)} of it is used"
    )
