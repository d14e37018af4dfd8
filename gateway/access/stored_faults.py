"""The faults that owners have asked for: their rows.

Rules:
- A fault is for a token, or for a user's authorization of an app. It ends with it; a token that
  takes the place of another has none.
- A fault is stored and survives a restart. A change is announced, so every process acts on it.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import orjson

from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.faults import Fault
from scopegate.store.transactions import Announcement, Row, Snapshot, Transaction

MAX_FAULTS = 20
"""Faults of one token, or of one authorization, at once."""


@dataclass(frozen=True, slots=True)
class FaultStarted(Announcement):
    """Announces a fault for a token or for an authorization: one of them is not `None`."""

    kind: ClassVar[str] = "fault_started"
    number: int
    token_id: int | None
    link_id: int | None
    fault: str
    """Its kind."""
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FaultsEnded(Announcement):
    """Announces that faults have ended."""

    kind: ClassVar[str] = "faults_ended"
    numbers: Sequence[int]


@dataclass(frozen=True, slots=True)
class StoredFault:
    """A fault as it is stored."""

    number: int
    token_id: int | None
    link_id: int | None
    kind: str
    options: dict[str, Any]
    name: str
    """The name of the token or of the app."""
    masked: str
    """The masked token; empty for an app."""
    app_id: int | None
    created_at: float


def start(
    transaction: Transaction,
    fault: Fault,
    *,
    token_id: int | None = None,
    link_id: int | None = None,
) -> int:
    """Store a fault for a token or an authorization; return its number.

    Raises `TooManyFaults` if that has `MAX_FAULTS` already.
    """
    column, of = ("token_id", token_id) if link_id is None else ("link_id", link_id)
    query = f"SELECT count(*) FROM faults WHERE {column} = ?"  # noqa: S608 - one of two
    [count] = transaction.single(query, of)
    if count >= MAX_FAULTS:
        raise ApiError("TooManyFaults", f"There are {MAX_FAULTS} faults already: end one first.")
    number = transaction.insert(
        "INSERT INTO faults (token_id, link_id, kind, options, created_at) VALUES (?, ?, ?, ?, ?)",
        token_id,
        link_id,
        fault.kind,
        orjson.dumps(fault.options()).decode(),
        time.time(),
    )
    transaction.announce(FaultStarted(number, token_id, link_id, fault.kind, fault.options()))
    return number


def end(transaction: Transaction, numbers: Iterable[int]) -> None:
    """End these faults."""
    ended = list(numbers)
    for number in ended:
        transaction.execute("DELETE FROM faults WHERE id = ?", number)
    if ended:
        transaction.announce(FaultsEnded(ended))


def end_of_link(transaction: Transaction, link_id: int) -> None:
    """End the faults of an authorization."""
    rows = transaction.all("SELECT id FROM faults WHERE link_id = ?", link_id)
    end(transaction, [row["id"] for row in rows])


_OF_TOKENS = (
    "SELECT faults.*, tokens.name, tokens.masked, NULL AS app_id FROM tokens"
    " JOIN faults ON faults.token_id = tokens.id WHERE tokens.ended_at IS NULL"
)
_OF_LINKS = (
    "SELECT faults.*, apps.name, '' AS masked, apps.id AS app_id FROM links"
    " JOIN faults ON faults.link_id = links.id JOIN apps ON apps.id = links.app_id"
    " WHERE links.ended_at IS NULL"
)


def stored(reader: Snapshot) -> list[StoredFault]:
    """Return every fault whose token or authorization has not ended, the oldest first."""
    return _in_order(reader.all(_OF_TOKENS), reader.all(_OF_LINKS))


def stored_for(reader: Snapshot, loginid: str, user_id: int) -> list[StoredFault]:
    """Return the faults of an account's tokens and of its user's apps, the oldest first."""
    return _in_order(
        reader.all(_OF_TOKENS + " AND tokens.loginid = ?", loginid),
        reader.all(_OF_LINKS + " AND links.user_id = ?", user_id),
    )


def _in_order(*rows: Iterable[Row]) -> list[StoredFault]:
    return sorted(map(_fault, chain(*rows)), key=lambda each: each.number)


def found(reader: Snapshot, number: int, loginid: str, user_id: int) -> StoredFault:
    """Return the one of `stored_for` with this number. Raises `FaultNotFound`."""
    for each in stored_for(reader, loginid, user_id):
        if each.number == number:
            return each
    raise ApiError("FaultNotFound", "You have no fault of this number: `fault_list` lists all.")


def _fault(row: Row) -> StoredFault:
    return StoredFault(
        number=row["id"],
        token_id=row["token_id"],
        link_id=row["link_id"],
        kind=row["kind"],
        options=orjson.loads(row["options"]),
        name=row["name"],
        masked=row["masked"],
        app_id=row["app_id"],
        created_at=row["created_at"],
    )
