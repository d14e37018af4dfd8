"""Caps: what may be traded and moved under one token or one authorization of an app.

Rules:
- Caps have parents: those of the token's parent, or of its authorization. A trade must be within
  all caps on the way up, and counts for all of them.
- What is used is counted in the transaction that moves the money, in the rows that hold the caps.
  So trades at the same time never exceed a cap together.
- A day is a day (UTC) of the market's clock. An open contract counts in the loss of each day with
  its price, the most that it can lose.
- A gain makes up for losses of the same day, but never for what is at risk: so no day's loss
  exceeds the cap, even if every contract that is open at midnight is lost.
- Selling, cancelling and settling are never refused.
- The amounts of caps are in one currency. If there are any, accounts in others cannot trade or pay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.money import to_number, to_text
from scopegate.exchange.symbols import DAY
from scopegate.store.transactions import Query, Row, Snapshot, Transaction

CAP_REACHED = "TokenCapReached"
RESTRICTED = "TokenRestricted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What may be traded and moved. Empty tuples and `None` allow everything."""

    currency: str
    """The currency of the amounts, which are in its smallest units."""
    symbols: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    contract_types: tuple[str, ...] = ()
    max_stake: int | None = None
    """The highest price of a contract."""
    max_stake_per_day: int | None = None
    max_loss_per_day: int | None = None
    max_open_contracts: int | None = None
    max_transfer_per_day: int | None = None
    """What may be transferred, paid and withdrawn."""
    no_trading: tuple[str, ...] = ()
    """The times of each day (UTC) at which nothing is bought, such as `22:00-06:00`."""
    close_on_disconnect: int | None = None
    """Real seconds after which contracts are sold that nobody is connected for."""

    @property
    def has_amounts(self) -> bool:
        """Whether any of them is an amount of money."""
        return any(getattr(self, name) is not None for name in AMOUNTS)


_OPEN_BELOW = (
    "WITH RECURSIVE below (id, user_id) AS (SELECT id, user_id FROM caps WHERE id = ? UNION ALL"
    " SELECT caps.id, caps.user_id FROM caps JOIN below ON caps.parent_id = below.id)"
    " SELECT contracts.* FROM contracts WHERE status = 'open' AND caps_id IN (SELECT id FROM below)"
    " AND loginid IN (SELECT loginid FROM accounts WHERE user_id IN (SELECT user_id FROM below))"
)
"""The open contracts under some caps and those below them, among all of their user."""
_AT_RISK = (
    f"SELECT CAST(coalesce(sum(price), 0) AS BIGINT) FROM ({_OPEN_BELOW}) AS held"  # noqa: S608
    " WHERE currency = ?"
)
"""The price of those in one currency."""
AMOUNTS = ("max_stake", "max_stake_per_day", "max_loss_per_day", "max_transfer_per_day")
LISTS = ("symbols", "markets", "contract_types", "no_trading")
_FIELDS = tuple(each.name for each in fields(Caps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What of some caps is used; amounts in smallest units of their currency."""

    staked: int
    """The price of what was bought on the present day."""
    lost: int
    """What contracts that ended on the present day have lost; negative if they have gained."""
    transferred: int
    """What was transferred, paid and withdrawn on the present day."""
    at_risk: int
    """The price of the open contracts."""
    open_contracts: int

    @property
    def loss(self) -> int:
        """The most that the present day can lose by now."""
        return max(0, self.lost) + self.at_risk


def _caps(row: Row) -> Caps:
    return Caps(
        currency=row["currency"],
        symbols=tuple(row["symbols"].split()),
        markets=tuple(row["markets"].split()),
        contract_types=tuple(row["contract_types"].split()),
        max_stake=row["max_stake"],
        max_stake_per_day=row["max_stake_per_day"],
        max_loss_per_day=row["max_loss_per_day"],
        max_open_contracts=row["max_open_contracts"],
        max_transfer_per_day=row["max_transfer_per_day"],
        no_trading=tuple(row["no_trading"].split()),
        close_on_disconnect=row["close_on_disconnect"],
    )


def _use(row: Row, day: int) -> Use:
    is_today = row["day"] >= day
    return Use(
        staked=row["staked"] if is_today else 0,
        lost=row["lost"] if is_today else 0,
        transferred=row["transferred"] if is_today else 0,
        at_risk=row["at_risk"],
        open_contracts=row["open_contracts"],
    )


def get(reader: Snapshot, caps_id: int, at: int) -> tuple[Caps, Use]:
    """Return the caps with this id, without their parents', and what of them is used."""
    row = reader.single("SELECT * FROM caps WHERE id = ?", caps_id)
    return _caps(row), _use(row, at // DAY)


def currency_of(reader: Snapshot, caps_id: int) -> str | None:
    """Return the currency of the caps with this id; `None` if there are none."""
    row = reader.one("SELECT currency FROM caps WHERE id = ?", caps_id)
    return None if row is None else row["currency"]


def put(
    transaction: Transaction, caps_id: int, parent_id: int | None, caps: Caps, *, user_id: int
) -> None:
    """Store caps, or replace those with this id; what is used stays.

    `user_id` is the user whose accounts are traded under them. With another currency than before,
    only what is open in it counts as used.
    """
    before = currency_of(transaction, caps_id)
    values = [" ".join(getattr(caps, n)) if n in LISTS else getattr(caps, n) for n in _FIELDS]
    columns = ("parent_id", "user_id", *_FIELDS)
    transaction.execute(
        f"INSERT INTO caps (id, {', '.join(columns)})"  # noqa: S608 - the names above
        f" VALUES (?, ?, ?, {', '.join('?' * len(values))}) ON CONFLICT (id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in columns),
        caps_id,
        parent_id,
        user_id,
        *values,
    )
    if before not in (None, caps.currency):
        transaction.execute(
            f"UPDATE caps SET staked = 0, lost = 0, transferred = 0, at_risk = ({_AT_RISK})"  # noqa: S608
            " WHERE id = ?",
            caps_id,
            caps.currency,
            caps_id,
        )


def move_below(transaction: Transaction, ids: Sequence[int], parent_id: int) -> None:
    """Let caps have this parent from now on, whose use begins with theirs."""
    for caps_id in ids:
        row = transaction.single("SELECT * FROM caps WHERE id = ?", caps_id)
        transaction.execute("UPDATE caps SET parent_id = ? WHERE id = ?", parent_id, caps_id)
        parent = transaction.single("SELECT * FROM caps WHERE id = ?", parent_id)
        day = max(row["day"], parent["day"])
        mine, added = _use(parent, day), _use(row, day)
        # What was used in another currency is not counted for the parent, and contracts always are.
        counts = row["currency"] == parent["currency"]
        at_risk = added.at_risk
        if not counts:
            at_risk = transaction.single(_AT_RISK, caps_id, parent["currency"])[0]
        transaction.execute(
            "UPDATE caps SET day = ?, staked = ?, lost = ?, transferred = ?, at_risk = ?,"
            " open_contracts = ? WHERE id = ?",
            day,
            mine.staked + counts * added.staked,
            mine.lost + counts * added.lost,
            mine.transferred + counts * added.transferred,
            mine.at_risk + at_risk,
            mine.open_contracts + added.open_contracts,
            parent_id,
        )


# Counting.

_OF_DAY = "CASE WHEN day >= ? THEN {} ELSE 0 END"
_STAKED, _LOST, _TRANSFERRED = map(_OF_DAY.format, ("staked", "lost", "transferred"))
_LATER_DAY = "day = CASE WHEN day >= ? THEN day ELSE ? END"
_IN_CURRENCY = "CASE WHEN currency = ? THEN CAST(? AS BIGINT) ELSE 0 END"
_READ = (
    "caps.parent_id, caps.currency AS caps_currency, symbols, markets, contract_types, no_trading,"
    " max_stake, max_stake_per_day, max_loss_per_day, max_transfer_per_day, max_open_contracts,"
    " day, staked, lost, at_risk, open_contracts"
)
"""What a purchase needs of caps."""
_READ_COUNT = _READ.count(",") + 1
_SELECT = f"SELECT {_READ} FROM caps WHERE id = ?"  # noqa: S608 - above
_SELECT_WITH_ACCOUNT = (
    f"SELECT accounts.*, {_READ} FROM accounts LEFT JOIN caps ON caps.id = ?"  # noqa: S608 - above
    " WHERE accounts.loginid = ?"
)
# Without RETURNING, for which SQLite opens a table of its own: that takes longer than the rest.
_COUNT_PURCHASE = (
    f"UPDATE caps SET staked = {_STAKED} + {_IN_CURRENCY},"  # noqa: S608 - above
    f" lost = {_LOST}, transferred = {_TRANSFERRED},"
    f" at_risk = at_risk + {_IN_CURRENCY}, open_contracts = open_contracts + 1,"
    f" {_LATER_DAY} WHERE id IN "
)
# What belongs to a day that is over counts no more.
_COUNT_CLOSE = (
    f"UPDATE caps SET staked = {_STAKED},"  # noqa: S608 - see above
    f" lost = {_LOST} + CASE WHEN day <= ? THEN {_IN_CURRENCY} ELSE 0 END,"
    f" transferred = {_TRANSFERRED},"
    f" at_risk = at_risk - {_IN_CURRENCY}, open_contracts = open_contracts - 1,"
    f" {_LATER_DAY}"
    " WHERE id IN (WITH RECURSIVE line (id, parent_id) AS (SELECT id, parent_id FROM caps"
    " WHERE id = ? UNION ALL SELECT caps.id, caps.parent_id FROM caps"
    " JOIN line ON caps.id = line.parent_id) SELECT id FROM line)"
)
_COUNT_PAYMENT = (
    f"UPDATE caps SET staked = {_STAKED},"  # noqa: S608 - see above
    f" lost = {_LOST},"
    f" transferred = {_TRANSFERRED} + {_IN_CURRENCY},"
    f" {_LATER_DAY} WHERE id = ? RETURNING *"
)


def account_query(loginid: str, caps_id: int) -> Query:
    """Return the query of an account together with the caps that a purchase counts for."""
    return _SELECT_WITH_ACCOUNT, caps_id, loginid


def count_purchase(
    transaction: Transaction, caps_id: int, row: Row, *, terms: Terms, price: int, at: int
) -> None:
    """Count a purchase for some caps and their parents.

    `row` is what this transaction has read by `account_query`. One statement counts, and each
    parent is read by one more.

    Raises `Refusal` if one forbids it.
    """
    day, money = at // DAY, (terms.currency, price)
    line, read = [caps_id], tuple(row)[-_READ_COUNT:]
    while (parent := _checked_purchase(transaction, line[-1], read, terms, price, at)) is not None:
        line.append(parent)
        read = tuple(transaction.single(_SELECT, parent))
    transaction.execute_later(
        f"{_COUNT_PURCHASE}(?{', ?' * (len(line) - 1)})",
        *(day, *money, day, day, *money, day, day, *line),
    )


def _checked_purchase(
    reader: Snapshot, caps_id: int, read: tuple[Any, ...], terms: Terms, price: int, at: int
) -> int | None:
    """Return the parent of caps that allow a purchase which is not counted yet.

    `read` are the columns `_READ`. Raises `Refusal` if they forbid it.
    """
    parent: int | None
    parent, currency, symbols, markets, types, hours, *amounts = read
    most, most_staked, most_lost, most_paid, most_open, day, staked, lost, at_risk, held = amounts
    if currency is None:
        raise LookupError(f"there are no caps {caps_id}")
    if day < at // DAY:
        staked = lost = 0
    # Caps as an object are built only for a refusal: that takes longer than the statement.
    if (
        (symbols and terms.symbol.name not in symbols.split())
        or (markets and terms.symbol.market not in markets.split())
        or (types and terms.contract_type not in types.split())
        or (hours and _excluded(hours.split(), at))
        or (most is not None and price > most)
        or (most_staked is not None and staked + price > most_staked)
        or (most_lost is not None and max(0, lost) + at_risk + price > most_lost)
        or (most_open is not None and held >= most_open)
        or (
            currency != terms.currency and not most is most_staked is most_lost is most_paid is None
        )
    ):
        raise _refused_purchase(reader, caps_id, terms, price, at)
    return parent


def _refused_purchase(reader: Snapshot, caps_id: int, terms: Terms, price: int, at: int) -> Refusal:
    """Return why some caps forbid a purchase that is not counted."""
    caps, use = get(reader, caps_id, at)
    day = at // DAY
    try:
        _check_offered(caps, terms, at)
        _check_currency(caps, terms.currency)
        if caps.max_stake is not None and price > caps.max_stake:
            raise _reached(
                "max_stake",
                f"A contract may cost at most {_words(caps.max_stake, caps)} under this token,"
                f" and this one costs {_words(price, caps)}.",
                caps.max_stake,
                caps.max_stake,
                caps,
            )
        for cap, done, most, used in (
            ("max_stake_per_day", "staked", caps.max_stake_per_day, use.staked),
            ("max_loss_per_day", "lost", caps.max_loss_per_day, use.loss),
        ):
            _check_amount(cap, done, most, used + price, price, caps, day)
    except Refusal as refusal:
        return refusal
    most_open = caps.max_open_contracts
    return Refusal(
        CAP_REACHED,
        f"At most {most_open} contracts may be open under this token. Wait until one ends, or sell"
        " one.",
        {"cap": "max_open_contracts", "value": most_open, "remaining": 0},
        names_field=False,
    )


def count_close(
    transaction: Transaction, caps_id: int, *, currency: str, price: int, paid: int, at: int
) -> None:
    """Count the end of a contract for its caps and their parents. `paid` is what it has paid."""
    day = at // DAY
    transaction.execute_later(
        _COUNT_CLOSE,
        *(day, day, day, currency, price - paid, day),
        *(currency, price, day, day, caps_id),
    )


def count_payment(
    transaction: Transaction, caps_id: int, *, currency: str, units: int, at: int
) -> None:
    """Count a payment out of an account for some caps and their parents.

    Raises `Refusal` if one forbids it.
    """
    day = at // DAY
    number: int | None = caps_id
    while number is not None:
        row = transaction.single(_COUNT_PAYMENT, day, day, day, currency, units, day, day, number)
        caps, use = _caps(row), _use(row, day)
        _check_currency(caps, currency)
        _check_amount(
            "max_transfer_per_day",
            "transferred",
            caps.max_transfer_per_day,
            use.transferred,
            units,
            caps,
            day,
        )
        number = row["parent_id"]


# Refusing.


def _words(units: int, caps: Caps) -> str:
    return f"{caps.currency} {to_text(units, caps.currency)}"


def _reached(
    cap: str, message: str, most: int, remaining: int, caps: Caps, resets_at: int | None = None
) -> Refusal:
    details: dict[str, Any] = {
        "cap": cap,
        "value": to_number(most, caps.currency),
        "remaining": to_number(remaining, caps.currency),
        "currency": caps.currency,
    }
    if resets_at is not None:
        details["resets_at"] = resets_at
    return Refusal(CAP_REACHED, message, details, names_field=False)


def _check_amount(
    cap: str, done: str, most: int | None, used: int, units: int, caps: Caps, day: int
) -> None:
    """Raise `Refusal` if `used`, which includes the `units` in question, exceeds the cap."""
    if most is None or used <= most:
        return
    remaining = max(0, most - (used - units))
    resets_at = (day + 1) * DAY
    moment = datetime.fromtimestamp(resets_at, UTC).strftime("%Y-%m-%d %H:%M")
    raise _reached(
        cap,
        f"At most {_words(most, caps)} may be {done} a day under this token, and"
        f" {_words(remaining, caps)} of it remains until {moment} UTC. This would take"
        f" {_words(units, caps)}.",
        most,
        remaining,
        caps,
        resets_at,
    )


def _check_currency(caps: Caps, currency: str) -> None:
    if caps.has_amounts and currency != caps.currency:
        raise _restricted(
            "currency",
            f"The caps of this token are in {caps.currency}: it cannot use money in {currency}."
            f" Use an account in {caps.currency}, or a token that is for this account.",
            [caps.currency],
        )


def _restricted(restriction: str, message: str, allowed: Sequence[str]) -> Refusal:
    return Refusal(
        RESTRICTED,
        message,
        {"restriction": restriction, "allowed": list(allowed)},
        names_field=False,
    )


def _excluded(no_trading: Sequence[str], at: int) -> str | None:
    """Return the hours in which a moment is, of those without purchases; `None` if in none."""
    second = at % DAY
    for hours in no_trading:
        begin, end = _times_of_day(hours)
        if begin <= second < end or (end <= begin and not end <= second < begin):
            return hours
    return None


def _times_of_day(hours: str) -> tuple[int, int]:
    """Return the seconds of the day at which hours such as `22:00-06:00` begin and end."""
    begin, end = (
        int(hour) * 3_600 + int(minute) * 60
        for hour, minute in (each.split(":") for each in hours.split("-"))
    )
    return begin, end


def _check_offered(caps: Caps, terms: Terms, at: int) -> None:
    for name, allowed, value, words in (
        ("symbols", caps.symbols, terms.symbol.name, "symbols"),
        ("markets", caps.markets, terms.symbol.market, "markets"),
        ("contract_types", caps.contract_types, terms.contract_type, "contract types"),
    ):
        if allowed and value not in allowed:
            raise _restricted(
                name,
                f"This token may not trade {value}: its {words} are {', '.join(allowed)}.",
                allowed,
            )
    hours = _excluded(caps.no_trading, at)
    if hours is not None:
        second, (_, end) = at % DAY, _times_of_day(hours)
        raise Refusal(
            RESTRICTED,
            f"This token buys nothing from {hours.replace('-', ' to ')} UTC.",
            {
                "restriction": "no_trading",
                "hours": hours,
                "resumes_at": at - second + end + (DAY if end <= second else 0),
            },
            names_field=False,
        )


# Connections.


@dataclass(frozen=True, slots=True)
class Watched:
    """Caps whose contracts are sold once nobody is connected, while some are open."""

    id: int
    close_on_disconnect: int
    present_until: float | None
    """Until when somebody was connected, in epoch seconds of real time; `None` if unknown."""


def watched(reader: Snapshot) -> list[Watched]:
    """Return the caps under which contracts are open that are sold once nobody is connected."""
    rows = reader.all(
        "SELECT id, close_on_disconnect, present_until FROM caps"
        " WHERE close_on_disconnect > 0 AND open_contracts > 0"
    )
    return [Watched(*row) for row in rows]


def note_present(transaction: Transaction, caps_id: int, until: float) -> None:
    """Store until when somebody is connected, in epoch seconds of real time."""
    transaction.execute("UPDATE caps SET present_until = ? WHERE id = ?", until, caps_id)


def open_contracts(reader: Snapshot, caps_id: int) -> list[tuple[int, str]]:
    """Return the ids of the open contracts under these caps, each with its account."""
    rows = reader.all(
        f"SELECT id, loginid FROM ({_OPEN_BELOW}) AS held ORDER BY id",  # noqa: S608 - see above
        caps_id,
    )
    return [(row[0], row[1]) for row in rows]
