"""Retention: bounds for the tables that clients can make grow, and the purge of older rows.

Rules:
- `RULES` is the only list for the gateway's own tables, and each plugin has a list for its tables:
  `docs/retention.md` is generated from them. Users and accounts are never deleted.
- A reader finds candidates; a row is deleted only if it still meets the condition then.
- A job deletes at most `BATCH` rows, so that other writes wait only milliseconds.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from scopegate.gateway.access import audit, codes, devices, issuing, tokens, verification
from scopegate.gateway.access.token_uses import MAX_USES
from scopegate.gateway.access.users import MAX_SIGN_INS
from scopegate.gateway.calls import idempotency
from scopegate.runtime.clock import Clock
from scopegate.store.errors import ConstraintError, StoreUnavailableError
from scopegate.store.sqlite_connection import MAX_STORED_CHANGES
from scopegate.store.store import Store
from scopegate.store.transactions import Row, Snapshot, Transaction

log = structlog.get_logger("scopegate.retention")

DAY: Final = 86_400.0
EVERY: Final = 60.0
"""Seconds between two purges."""
BATCH: Final = 200
ROUNDS: Final = 50
"""Batches of one rule in one purge; the rest waits for the next purge."""

ENDED_DAYS: Final = 90
"""Days for which ended rows are kept, unless there are too many."""
ENDED_TOKENS: Final = 1_000
ENDED_LINKS: Final = 1_000
DELETED_APPS: Final = 100
SIGN_IN_DAYS: Final = 365
AUDIT_DAYS: Final = 400
MAX_RECORDS: Final = 1_000_000

Key = Sequence[Any] | Row


@dataclass(frozen=True, slots=True)
class Moments:
    """The current moment: in real time for the audit, in market time for contracts and copying."""

    real: float
    market: float


@dataclass(frozen=True, slots=True)
class Rule:
    """The retention rule for one kind of row."""

    rows: str
    kept: str
    """How long they are kept. `rows` and `kept` are texts for the documentation."""
    find: Callable[[Snapshot, Moments], Sequence[Key]] | None = None
    """Returns at most `BATCH` keys of rows to delete; `None` if adding rows bounds their number."""
    delete: Callable[[Transaction, Key], None] = lambda transaction, key: None
    """Deletes one of them, unless something has changed."""


class Retention:
    """Deletes rows by the rules of plugins, then by `RULES`."""

    def __init__(self, store: Store, clock: Clock, further: Sequence[Rule] = ()) -> None:
        self._rules = (*further, *RULES)
        self._store = store
        self._clock = clock

    async def purge(self) -> int:
        """Delete old rows and return the number of rows found.

        Raises `StoreError` if the store fails; rows deleted before that stay deleted.
        """
        # Possibly no connection was signed in with them when they expired.
        await self._store.write(tokens.end_expired)
        found = 0
        now = Moments(time.time(), self._clock.now())
        for rule in self._rules:
            if rule.find is not None:
                try:
                    found += await self._apply(rule.find, rule.delete, now)
                except StoreUnavailableError:
                    raise
                except Exception as problem:
                    # A rule that fails, perhaps of a plugin, does not stop the others.
                    log.error("old rows cannot be deleted", rows=rule.rows, exc_info=problem)
        return found

    async def _apply(
        self,
        find: Callable[[Snapshot, Moments], Sequence[Key]],
        delete: Callable[[Transaction, Key], None],
        now: Moments,
    ) -> int:
        found = 0
        before: list[tuple[Any, ...]] = []
        for _ in range(ROUNDS):
            keys = (await self._store.read(lambda reader: find(reader, now)))[:BATCH]
            here = [tuple(key) for key in keys]
            if not keys:
                break
            if here == before:
                log.warning("a table of a plugin refers to old rows, which stay", example=here[0])
                break
            before = here

            def job(transaction: Transaction, keys: Sequence[Key] = keys) -> None:
                for key in keys:
                    # A row to which another refers, for example in a table of a plugin, stays.
                    with contextlib.suppress(ConstraintError), transaction.savepoint():
                        delete(transaction, key)

            await self._store.write(job)
            found += len(keys)
            if len(keys) < BATCH:
                break
        return found


def _old_uses(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return reader.all(
        "SELECT token_id, address, call, last_at FROM token_uses WHERE last_at < ? LIMIT ?",
        now.real - ENDED_DAYS * DAY,
        BATCH,
    )


def _delete_use(transaction: Transaction, key: Key) -> None:
    transaction.execute(
        "DELETE FROM token_uses WHERE token_id = ? AND address = ? AND call = ? AND last_at = ?",
        *key,
    )


@dataclass(frozen=True, slots=True)
class _Ended:
    """Rows that have ended: the latest `max_per_owner` of each owner are kept, for `ENDED_DAYS`.

    The other fields are SQL: the table, its columns for the owner and for the moment of the end
    (real time), and the condition that no other row refers to a row.
    """

    table: str
    owner: str
    ended: str
    unused: str
    max_per_owner: int

    def find(self, reader: Snapshot, now: Moments) -> Sequence[Key]:
        """Return the rows that are too old, and the oldest of owners who have too many."""
        found: list[Key] = []
        found += reader.all(
            f"SELECT id FROM {self.table} WHERE {self.ended} < ? AND {self.unused} LIMIT ?",  # noqa: S608
            now.real - ENDED_DAYS * DAY,
            BATCH,
        )
        for owner, count in reader.all(
            f"SELECT {self.owner}, count(*) FROM {self.table} WHERE {self.ended} IS NOT NULL"  # noqa: S608
            f" GROUP BY {self.owner} HAVING count(*) > ?",
            self.max_per_owner,
        ):
            found += reader.all(
                f"SELECT id FROM {self.table}"  # noqa: S608
                f" WHERE {self.owner} = ? AND {self.ended} IS NOT NULL AND {self.unused}"
                f" ORDER BY {self.ended}, id LIMIT ?",
                owner,
                min(BATCH, count - self.max_per_owner),
            )
        return found[:BATCH]

    def delete(self, transaction: Transaction, key: Key) -> None:
        """Delete one row, unless another refers to it by now."""
        transaction.execute(
            f"DELETE FROM {self.table} WHERE id = ? AND {self.ended} IS NOT NULL AND {self.unused}",  # noqa: S608
            *key,
        )


_TOKENS = _Ended(
    table="tokens",
    owner="loginid",
    ended="ended_at",
    unused="NOT EXISTS (SELECT 1 FROM copyings WHERE copier_token = tokens.id)"
    " AND NOT EXISTS (SELECT 1 FROM copyings WHERE trader_token = tokens.id)"
    " AND NOT EXISTS (SELECT 1 FROM tokens AS made WHERE made.parent_id = tokens.id)",
    max_per_owner=ENDED_TOKENS,
)
_LINKS = _Ended(
    table="links",
    owner="user_id",
    ended="ended_at",
    unused="NOT EXISTS (SELECT 1 FROM tokens WHERE link_id = links.id)"
    " AND NOT EXISTS (SELECT 1 FROM codes WHERE link_id = links.id)"
    " AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE link_id = links.id)"
    " AND NOT EXISTS (SELECT 1 FROM device_requests WHERE link_id = links.id)",
    max_per_owner=ENDED_LINKS,
)
_APPS = _Ended(
    table="apps",
    owner="user_id",
    ended="deleted_at",
    unused="NOT EXISTS (SELECT 1 FROM links WHERE app_id = apps.id)"
    " AND NOT EXISTS (SELECT 1 FROM markups WHERE app_id = apps.id)"
    " AND NOT EXISTS (SELECT 1 FROM device_requests WHERE app_id = apps.id)",
    max_per_owner=DELETED_APPS,
)


def _delete_token(transaction: Transaction, key: Key) -> None:
    # A token that has ended never comes back, and no new row refers to it.
    transaction.execute("DELETE FROM token_uses WHERE token_id = ?", *key)
    _TOKENS.delete(transaction, key)


_UNUSED_RESTRICTIONS = (
    "token_id IS NULL AND link_id IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM tokens WHERE restrictions_id = restrictions.id)"
    " AND NOT EXISTS (SELECT 1 FROM links WHERE restrictions_id = restrictions.id)"
    " AND NOT EXISTS (SELECT 1 FROM restrictions AS below WHERE below.parent_id = restrictions.id)"
    " AND NOT EXISTS (SELECT 1 FROM caps WHERE id = restrictions.id AND open_contracts > 0)"
)


def _unused_restrictions(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return reader.all(
        f"SELECT id FROM restrictions WHERE {_UNUSED_RESTRICTIONS} LIMIT ?",  # noqa: S608
        BATCH,
    )


def _delete_restrictions(transaction: Transaction, key: Key) -> None:
    transaction.execute(
        f"DELETE FROM restrictions WHERE id = ? AND {_UNUSED_RESTRICTIONS}",  # noqa: S608
        *key,
    )


_UNUSED_SIGN_IN = "NOT EXISTS (SELECT 1 FROM tokens WHERE sign_in_id = sign_ins.id)"


def _old_sign_ins(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return reader.all(
        f"SELECT id FROM sign_ins WHERE at < ? AND {_UNUSED_SIGN_IN} LIMIT ?",  # noqa: S608
        now.real - SIGN_IN_DAYS * DAY,
        BATCH,
    )


def _delete_sign_in(transaction: Transaction, key: Key) -> None:
    transaction.execute(
        f"DELETE FROM sign_ins WHERE id = ? AND {_UNUSED_SIGN_IN}",  # noqa: S608
        *key,
    )


def _old_changes(reader: Snapshot, now: Moments) -> Sequence[Key]:
    if reader.stored_changes is None:
        return []
    return reader.all(
        "SELECT id FROM changes WHERE id <= (SELECT max(id) FROM changes) - ? LIMIT ?",
        reader.stored_changes,
        BATCH,
    )


def _delete_change(transaction: Transaction, key: Key) -> None:
    # A process that has not read so many yet finds that some are gone, and ends (`store.shared`).
    transaction.execute("DELETE FROM changes WHERE id = ?", *key)


def _old_records(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return audit.oldest(reader, now.real - AUDIT_DAYS * DAY, MAX_RECORDS, BATCH)


def _forget_record(transaction: Transaction, key: Key) -> None:
    audit.forget(transaction, *key)


def _ended_days(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return audit.ended_days(reader, now.real, BATCH)


def _old_codes(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return reader.all(
        "SELECT digest FROM codes WHERE expires_at < ? LIMIT ?", now.real - codes.KEPT, BATCH
    )


def _delete_code(transaction: Transaction, key: Key) -> None:
    transaction.execute("DELETE FROM codes WHERE digest = ?", *key)


def _old_refresh_tokens(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return reader.all("SELECT id FROM refresh_tokens WHERE expires_at < ? LIMIT ?", now.real, BATCH)


def _delete_refresh_token(transaction: Transaction, key: Key) -> None:
    transaction.execute("DELETE FROM refresh_tokens WHERE id = ?", *key)


def _old_device_requests(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return reader.all(
        "SELECT digest FROM device_requests WHERE expires_at < ? LIMIT ?",
        now.real - devices.KEPT,
        BATCH,
    )


def _delete_device_request(transaction: Transaction, key: Key) -> None:
    transaction.execute("DELETE FROM device_requests WHERE digest = ?", *key)


def _old_email_codes(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return reader.all(
        "SELECT digest FROM email_codes WHERE sent_at <= ? LIMIT ?",
        now.real - verification.LIFETIME,
        BATCH,
    )


def _delete_email_code(transaction: Transaction, key: Key) -> None:
    transaction.execute("DELETE FROM email_codes WHERE digest = ?", *key)


def _old_replies(reader: Snapshot, now: Moments) -> Sequence[Key]:
    found: list[Key] = []
    found += reader.all(
        "SELECT digest FROM recorded_replies WHERE at < ? LIMIT ?",
        now.real - idempotency.REPLY_DAYS * DAY,
        BATCH,
    )
    for owner, count in reader.all(
        "SELECT owner, count(*) FROM recorded_replies GROUP BY owner HAVING count(*) > ?",
        idempotency.MAX_OF_OWNER,
    ):
        found += reader.all(
            "SELECT digest FROM recorded_replies WHERE owner = ? ORDER BY at LIMIT ?",
            owner,
            min(BATCH, count - idempotency.MAX_OF_OWNER),
        )
    return found[:BATCH]


def _delete_reply(transaction: Transaction, key: Key) -> None:
    transaction.execute("DELETE FROM recorded_replies WHERE digest = ?", *key)


# Codes and tokens of both kinds refer to authorizations, and these to apps: rows are deleted in
# this order.
RULES: Final = (
    Rule(
        "Authorizations of a token, counted by address",
        "until their day is over (UTC): then the audit trail has the count;"
        f" {audit.MAX_ADDRESSES} addresses of a token apart, further ones together",
        _ended_days,
        audit.record_authorizations,
    ),
    Rule(
        "Records of the audit trail",
        f"{AUDIT_DAYS} days; the latest {MAX_RECORDS:,}",
        _old_records,
        _forget_record,
    ),
    Rule(
        "Uses of a token, one row per call and address",
        f"the latest {MAX_USES} of a token; {ENDED_DAYS} days after the last such use",
        _old_uses,
        _delete_use,
    ),
    Rule(
        "Ended tokens, including those of page sign-ins, with their uses",
        f"{ENDED_DAYS} days; the latest {ENDED_TOKENS:,} of an account; while a token that was"
        " created with them, or a copying relation that was started with them, is kept",
        _TOKENS.find,
        _delete_token,
    ),
    Rule(
        "Authorization codes of apps",
        "an hour after they have expired",
        _old_codes,
        _delete_code,
    ),
    Rule(
        "Refresh tokens of apps",
        f"{issuing.REFRESH_LASTS // DAY:.0f} days, used or not; until the authorization ends;"
        f" {issuing.MAX_LINES} of an authorization that can be used, and the latest"
        f" {issuing.MAX_USED} that each of them replaced",
        _old_refresh_tokens,
        _delete_refresh_token,
    ),
    Rule(
        "Requests of devices for consent",
        f"an hour after they have expired; {devices.MAX_OF_REQUESTER} of an address block and"
        f" {devices.MAX_OF_ALL:,} in all that wait for their users",
        _old_device_requests,
        _delete_device_request,
    ),
    Rule(
        "Ended authorizations of apps",
        f"{ENDED_DAYS} days; the latest {ENDED_LINKS:,} of a user; while a token of theirs is kept",
        _LINKS.find,
        _LINKS.delete,
    ),
    Rule(
        "Restrictions of tokens and authorizations, with the caps of the exchange",
        "while their token or authorization is kept, or a contract is open that was bought under"
        " them",
        _unused_restrictions,
        _delete_restrictions,
    ),
    Rule(
        "Deleted apps",
        f"{ENDED_DAYS} days; the latest {DELETED_APPS} of a user; while an authorization is kept;"
        " forever once they have earned markup",
        _APPS.find,
        _APPS.delete,
    ),
    Rule(
        "Sign-ins and sign-outs (`login_history`)",
        f"{SIGN_IN_DAYS} days; the latest {MAX_SIGN_INS:,} of a user;"
        " while a token of theirs is kept",
        _old_sign_ins,
        _delete_sign_in,
    ),
    Rule(
        "Changes that other processes (the command line, worker processes) announce",
        f"the latest {MAX_STORED_CHANGES:,}; on PostgreSQL, 100,000",
        _old_changes,
        _delete_change,
    ),
    Rule(
        "Replies to requests with an idempotency key",
        f"{idempotency.REPLY_DAYS} days; the latest {idempotency.MAX_OF_OWNER:,} of an account, or"
        " of an app for an account",
        _old_replies,
        _delete_reply,
    ),
    Rule(
        "Codes by e-mail",
        f"an hour; {verification.MAX_OF_ALL:,} e-mails an hour in all",
        _old_email_codes,
        _delete_email_code,
    ),
)
