"""The market of a database: its seed, its start and its current moment.

Rules:
- Seed and start are stored with a new database; a later start with different ones is refused.
- The version of the feed is stored too. A database of another version is not opened
  (`check_feed`): its prices would differ from those that were published.
- A market without a start runs in real time; one with a start runs only while the gateway runs.
- Market time never goes back, not even after a crash or if the wall clock was set back: while the
  market runs, a mark ahead of it is stored, and the market never resumes before the mark.
- After a crash, a market in real time waits for a mark that is at most `WAITED_FOR` seconds ahead;
  if the wall clock was set back further, it resumes from the mark at once.
"""

import secrets
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from scopegate.exchange.symbols import EARLIEST, FEED_VERSION
from scopegate.settings import SettingsError
from scopegate.store import meta
from scopegate.store.errors import StoreError
from scopegate.store.transactions import Snapshot, Transaction

MARK_EVERY = 1.0
"""Real seconds between two marks."""
WAITED_FOR = 3 * MARK_EVERY
"""Real seconds by which the mark is ahead. If no mark can be stored for longer, moments may be
published twice after a crash, if the wall clock was set back as well."""

LATEST = 4_102_444_800
"""2100-01-01 00:00 UTC, the latest start of a market."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The market of one database when the gateway starts."""

    seed: str
    start: float | None
    """Market time at which it began; `None` for real time."""
    resume: float
    """Market time from which it continues now."""
    clock: float
    """Market time at which the clock starts; before `resume` if the market waits for that."""


def parse_start(text: str) -> float:
    """Parse epoch seconds or ISO 8601 (UTC unless it has an offset). Raises `SettingsError`."""
    try:
        moment = float(text)
    except ValueError:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            raise SettingsError(
                f"start: {text!r} is not a time: use epoch seconds or ISO 8601, such as"
                " 2026-01-31T12:00"
            ) from None
        moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if not EARLIEST <= moment <= LATEST:
        raise SettingsError("start: the market exists from 2020-01-01 to 2100-01-01 UTC")
    return moment


def check_feed(connection: sqlite3.Connection) -> None:
    """Raise `StoreError` if the database belongs to another version of the feed.

    Its contracts would settle at other prices than their owners saw. This is checked before any
    migration, so that the program that created the database can still use it.
    """
    rows = connection.execute("SELECT name, value FROM meta WHERE name IN ('seed', 'feed')")
    stored = dict(rows.fetchall())
    found = stored.get("feed", "1")  # version 1 was not stored
    if "seed" in stored and found != str(FEED_VERSION):
        raise StoreError(
            f"the prices of this database are those of feed {found}, this program has feed"
            f" {FEED_VERSION}: serve the database with the release that created it, or start a"
            " new one with --db FILE; nothing was changed"
        )


def foresee(reader: Snapshot, *, seed: str | None, start: str | None, speed: float) -> Origin:
    """Return the market of this database, or the one that `settle` will store in a new database.

    Raises `SettingsError` if `seed` or `start` differs from what the database has.
    """
    wanted = None if start is None else parse_start(start)
    stored_seed = meta.get(reader, "seed")
    if stored_seed is None:
        stored_seed = seed or secrets.token_hex(32)
        # At a speed other than 1, the market cannot run in real time.
        begun = time.time() if wanted is None and speed != 1 else wanted
    else:
        if seed is not None and seed != stored_seed:
            raise SettingsError(
                "seed: this database has another seed; leave it out, or use another db"
            )
        stored_start = meta.get(reader, "start")
        begun = float(stored_start) if stored_start else None
        if wanted is not None and wanted != begun:
            raise SettingsError(
                "start: the market of this database began at another time; leave it out, or use"
                " another db"
            )
    mark = float(meta.get(reader, "mark") or 0.0)
    if begun is not None:
        resume = max(begun, mark)
        return Origin(stored_seed, begun, resume, resume)
    now = time.time()
    resume = max(now, mark)
    return Origin(stored_seed, None, resume, now if resume - now <= WAITED_FOR else resume)


def settle(transaction: Transaction, origin: Origin) -> None:
    """Store the market of a new database; an existing one is not changed."""
    if meta.get(transaction, "seed") is None:
        meta.put(transaction, "seed", origin.seed)
        meta.put(transaction, "feed", str(FEED_VERSION))
        meta.put(transaction, "start", "" if origin.start is None else repr(origin.start))


def run(transaction: Transaction, moment: float, speed: float) -> None:
    """Store the current market time and a mark ahead of it, before which it never resumes."""
    stored = float(meta.get(transaction, "mark") or 0.0)
    meta.put(transaction, "mark", repr(max(stored, moment + WAITED_FOR * speed)))
    meta.put(transaction, "pace", f"{moment!r} {time.time()!r} {speed!r}")


def stand(transaction: Transaction, moment: float) -> None:
    """Store where the market stopped. It resumes there: nothing later was published."""
    meta.put(transaction, "mark", repr(moment))
    meta.put(transaction, "pace", "")


def present(reader: Snapshot) -> float:
    """Return the current market time, for a process that does not run the market."""
    mark = float(meta.get(reader, "mark") or 0.0)
    if pace := meta.get(reader, "pace"):
        moment, noted, speed = map(float, pace.split())
        mark = min(moment + max(0.0, time.time() - noted) * speed, mark)
    # A market without a start runs in real time, even while no gateway serves it.
    return mark if meta.get(reader, "start") else max(mark, time.time())
