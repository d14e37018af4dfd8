"""The audit trail: who signed in, who changed tokens, apps and users, and when.

Rules:
- Records are only added, within the transaction of what they record. Each has a number, one more
  than that of the record before, and a digest of itself and of the digest before: a record that is
  changed, left out or added later breaks the chain (`faults`).
- Every gateway and every command adds to the same chain, since only one of them writes at a time.
- The table `meta` has the number and the digest of the latest record (the head), and of the latest
  that retention has deleted (the anchor). Who can write to the database can also write a whole new
  chain: only a copy of the head elsewhere, such as in the log, shows that.
- A record has no secret: tokens are named by their numbers and their masked texts.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.session import Grant
from scopegate.store import meta
from scopegate.store.transactions import Row, Snapshot, Transaction

DAY: Final = 86_400
GATEWAY: Final = "gateway"
"""Who acts where no person does: the gateway itself, for example when tokens expire."""
COMMAND: Final = "command line"
FAULT: Final = "fault"
"""A fault that somebody has asked for, which ends a token."""
OPERATOR: Final = "operator"
"""The person who has the operator's token, at the page `/operator`."""
OWNER: Final = "owner"
"""The user, signed in at the gateway's pages."""

MAX_ADDRESSES: Final = 100
"""Addresses of a token whose authorizations on a day are counted apart: one client may have any
number of them."""
OTHER_ADDRESSES: Final = "other addresses"

_COLUMNS = "id, at, event, user_id, actor, about, digest"
"""The columns of a record. Its digest is that of all others, in this order."""
_HEAD = "audit_head"
_ANCHOR = "audit_anchor"


class Event(StrEnum):
    """What is recorded."""

    SIGNED_IN = "signed in"
    """At the gateway's pages."""
    SIGN_IN_FAILED = "sign-in failed"
    AUTHORIZED = "authorized"
    """A token signed in connections: how often in a day, from one address."""
    TOKEN_CREATED = "token created"  # noqa: S105 - no password
    TOKEN_RESTRICTED = "token restricted"  # noqa: S105 - no password
    """Its restrictions were replaced."""
    TOKENS_ENDED = "tokens ended"
    """Revoked, deleted, expired, or ended with what they belonged to."""
    TOKENS_SUSPENDED = "tokens suspended"
    """Until their user agrees to the changes of the app."""
    APP_REGISTERED = "app registered"
    APP_CHANGED = "app changed"
    APP_DELETED = "app deleted"
    APP_DISABLED = "app disabled"
    APP_ENABLED = "app enabled"
    APP_CONNECTED = "app connected"
    APP_RESTRICTED = "app restricted"
    """The restrictions of its authorization were replaced."""
    APP_DISCONNECTED = "app disconnected"
    USER_CREATED = "user created"
    USER_DISABLED = "user disabled"
    USER_ENABLED = "user enabled"
    PASSWORD_SET = "password set"  # noqa: S105 - no password
    CONNECTION_ENDED = "connection ended"
    """By the operator."""
    OPERATOR_SIGNED_IN = "operator signed in"
    OPERATOR_SIGN_IN_FAILED = "operator sign-in failed"
    CALLED = "called"
    """A call that needs the scope admin, and has changed something else."""


class Link(NamedTuple):
    """The end of a chain: the number and the digest of a record."""

    number: int
    digest: str


_BEGINNING: Final = Link(0, "")


@dataclass(frozen=True, slots=True)
class Record:
    """One record."""

    number: int
    at: float
    """Epoch seconds of real time."""
    event: str
    user_id: int | None
    """The user whom it concerns, if it concerns one."""
    actor: str
    """Who did it: `owner`, `token 5`, `app 1089`, `operator`, `command line` or `gateway`."""
    about: Mapping[str, Any]
    digest: str


def actor_of(grant: Grant) -> str:
    """Return who acts under a grant."""
    if grant.is_owner:
        return OWNER
    return f"token {grant.token_id}" if grant.app_id is None else f"app {grant.app_id}"


def record(transaction: Transaction, event: Event, user_id: int | None, **about: Any) -> None:
    """Add a record of what `transaction.actor` does.

    `about` says more, in JSON values: which token, app or address. A token in it is masked.
    """
    head = _link(transaction, _HEAD)
    text = token_form.without_tokens(orjson.dumps(about, option=orjson.OPT_SORT_KEYS).decode())
    number, actor = head.number + 1, transaction.actor or GATEWAY
    values = (number, time.time(), event, user_id, actor, text)
    digest = _digest(head.digest, values)
    transaction.execute(
        f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        *values,
        digest,
    )
    meta.put(transaction, _HEAD, f"{number} {digest}")


def _digest(before: str, values: Sequence[Any]) -> str:
    return hashlib.sha256(before.encode() + orjson.dumps(values)).hexdigest()


def head(reader: Snapshot) -> Link:
    """Return the number and the digest of the latest record; (0, "") if there is none."""
    return _link(reader, _HEAD)


def _link(reader: Snapshot, name: str) -> Link:
    stored = meta.get(reader, name)
    if stored is None:
        return _BEGINNING
    number, _, digest = stored.partition(" ")
    return Link(int(number), digest)


def records(reader: Snapshot, *, user_id: int | None = None, limit: int) -> list[Record]:
    """Return the latest records, newest first: those of one user, or all."""
    if user_id is None:
        rows = reader.all("SELECT * FROM audit ORDER BY id DESC LIMIT ?", limit)
    else:
        rows = reader.all(
            "SELECT * FROM audit WHERE user_id = ? ORDER BY id DESC LIMIT ?", user_id, limit
        )
    return [
        Record(
            row["id"],
            row["at"],
            row["event"],
            row["user_id"],
            row["actor"],
            orjson.loads(row["about"]),
            row["digest"],
        )
        for row in rows
    ]


def described(record: Record) -> str:
    """Return what a record is about, in one line: `token: 5, scopes: read trade`."""
    return ", ".join(f"{name}: {_words(value)}" for name, value in record.about.items())


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_words(each).replace(' ', ',')}" for name, each in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def faults(reader: Snapshot) -> Iterator[str]:
    """Check the chain from the anchor to the head; return a sentence about each fault."""
    expected = _link(reader, _ANCHOR)
    for row in reader.all("SELECT id FROM audit WHERE id <= ? ORDER BY id", expected.number):
        yield f"record {row['id']} of the audit trail was inserted before its first record"
    while True:
        rows = reader.all(
            f"SELECT {_COLUMNS} FROM audit WHERE id > ? ORDER BY id LIMIT 1000",  # noqa: S608
            expected.number,
        )
        for *values, digest in rows:
            number = values[0]
            if number != expected.number + 1:
                yield f"record {expected.number + 1} of the audit trail is missing"
            elif digest != _digest(expected.digest, values):
                yield f"record {number} of the audit trail was changed"
            expected = Link(number, digest)
        if not rows:
            break
    end = head(reader)
    if end != expected:
        yield f"the audit trail ends with record {expected.number}, not with {end.number} as stored"


# Authorizations are counted on their day, and recorded once it is over.


def count_authorizations(transaction: Transaction, token_id: int, address: str, times: int) -> None:
    """Count how often a token has signed in connections from an address just now.

    Beyond `MAX_ADDRESSES` of the token on this day, further ones are counted together. Nothing is
    counted if the token's row was deleted meanwhile.
    """
    day = int(time.time()) // DAY
    rows = transaction.all(
        "SELECT address FROM daily_authorizations WHERE day = ? AND token_id = ?", day, token_id
    )
    if len(rows) >= MAX_ADDRESSES and address not in {row["address"] for row in rows}:
        address = OTHER_ADDRESSES
    transaction.execute(
        "INSERT INTO daily_authorizations (day, token_id, address, times)"
        " SELECT CAST(? AS BIGINT), id, ?, ? FROM tokens WHERE id = ?"
        " ON CONFLICT (day, token_id, address)"
        " DO UPDATE SET times = daily_authorizations.times + excluded.times",
        day,
        address,
        times,
        token_id,
    )


def ended_days(reader: Snapshot, now: float, limit: int) -> list[Row]:
    """Return the keys of counts of days that are over."""
    return reader.all(
        "SELECT day, token_id, address FROM daily_authorizations WHERE day < ?"
        " ORDER BY day, token_id, address LIMIT ?",
        int(now) // DAY,
        limit,
    )


def record_authorizations(transaction: Transaction, key: Iterable[Any]) -> None:
    """Record the count of a day that is over, and forget it."""
    day, token_id, address = key
    row = transaction.one(
        "SELECT times, masked, accounts.user_id FROM daily_authorizations"
        " JOIN tokens ON tokens.id = daily_authorizations.token_id"
        " JOIN accounts ON accounts.loginid = tokens.loginid"
        " WHERE day = ? AND token_id = ? AND address = ?",
        day,
        token_id,
        address,
    )
    if row is None:
        return
    date = time.strftime("%Y-%m-%d", time.gmtime(day * DAY))
    record(
        transaction,
        Event.AUTHORIZED,
        row["user_id"],
        token=token_id,
        masked=row["masked"],
        address=address,
        day=date,
        times=row["times"],
    )
    transaction.execute(
        "DELETE FROM daily_authorizations WHERE day = ? AND token_id = ? AND address = ?",
        day,
        token_id,
        address,
    )


# Retention deletes the oldest records, in order.


def oldest(reader: Snapshot, before: float, most: int, limit: int) -> list[tuple[int]]:
    """Return the numbers of the oldest records that retention deletes, at most `limit`.

    Of the `limit` oldest, these are all up to the last that is older than `before` (epoch seconds)
    or has at least `most` later ones. Others are not read: there may be a million, every minute.
    """
    rows = reader.all("SELECT id, at FROM audit ORDER BY id LIMIT ?", limit)
    surplus = head(reader).number - most
    old = [row["id"] for row in rows if row["at"] < before or row["id"] <= surplus]
    return [(row["id"],) for row in rows if old and row["id"] <= old[-1]]


def forget(transaction: Transaction, number: int) -> None:
    """Delete a record, which must be the oldest; the anchor then takes its place.

    One that was left out before it is not noticed any more: it would have been deleted earlier.
    """
    row = transaction.one("SELECT id, digest FROM audit ORDER BY id LIMIT 1")
    if row is None or row["id"] != number:
        return
    transaction.execute("DELETE FROM audit WHERE id = ?", number)
    meta.put(transaction, _ANCHOR, f"{number} {row['digest']}")
