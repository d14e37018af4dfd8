"""Where a database's market comes from and where it stands: its seed, its start, its last moment.

Rules:
- Seed and start are kept with a new database; a different one later refuses to start.
- The version of the feed is kept too. A database of another one is not opened
  (`check_feed`): its prices would differ from those that were published.
- A market without a start keeps real time. One with a start runs only while the gateway does.
- Market time never goes back, not even after a crash or if the wall clock was set back: while the
  market runs, a mark ahead of it is stored, and it never resumes before the mark.
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
from scopegate.store.sqlite import Snapshot, StoreError, Transaction

MARK_EVERY = 1.0
"""Real seconds between two marks."""
WAITED_FOR = 3 * MARK_EVERY
"""Real seconds by which the mark lies ahead. If no mark can be stored for longer, moments may be
published twice after a crash, if the wall clock was set back as well."""

LATEST = 4_102_444_800
"""2100-01-01 00:00 UTC: no market begins later."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The market of one database, as it is when the gateway starts."""

    seed: str
    start: float | None
    """Where market time began; `None` where it is real time."""
    resume: float
    """Where market time goes on now."""
    clock: float
    """The moment at which the market's clock starts; before `resume` if it waits for that."""


def parse_start(text: str) -> float:
    """Epoch seconds, or ISO 8601 (UTC unless it says otherwise). Raises `SettingsError`."""
    try:
        moment = float(text)
    except ValueError:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            raise SettingsError(
                f"start: {text!r} is neither epoch seconds nor ISO 8601, such as 2026-01-31T12:00"
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
    kept = dict(rows.fetchall())
    found = kept.get("feed", "1")  # the first feed was not written down
    if "seed" in kept and found != str(FEED_VERSION):
        raise StoreError(
            f"the prices of this database are those of feed {found}, this program has feed"
            f" {FEED_VERSION}: serve the database with the release that created it, or start a new"
            " one with --db FILE; nothing in it was changed"
        )


def foresee(reader: Snapshot, *, seed: str | None, start: str | None, speed: float) -> Origin:
    """What the market of this database is, or will be once `settle` has written that down.

    Raises `SettingsError` when another seed or start is asked for than the database has.
    """
    wanted = None if start is None else parse_start(start)
    stored_seed = meta.get(reader, "seed")
    if stored_seed is None:
        stored_seed = seed or secrets.token_hex(32)
        # A market that runs at a speed of its own can not keep real time.
        begun = time.time() if wanted is None and speed != 1 else wanted
    else:
        if seed is not None and seed != stored_seed:
            raise SettingsError(
                "seed: this database has another one; leave it out, or take another db"
            )
        stored_start = meta.get(reader, "start")
        begun = float(stored_start) if stored_start else None
        if wanted is not None and wanted != begun:
            raise SettingsError(
                "start: the market of this database began elsewhere; leave it out, or take"
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
    """Write down what a new database's market is; of another nothing is changed."""
    if meta.get(transaction, "seed") is None:
        meta.put(transaction, "seed", origin.seed)
        meta.put(transaction, "feed", str(FEED_VERSION))
        meta.put(transaction, "start", "" if origin.start is None else repr(origin.start))


def run(transaction: Transaction, moment: float, speed: float) -> None:
    """Store the market's present moment; it never resumes before a mark ahead of that."""
    kept = float(meta.get(transaction, "mark") or 0.0)
    meta.put(transaction, "mark", repr(max(kept, moment + WAITED_FOR * speed)))
    meta.put(transaction, "pace", f"{moment!r} {time.time()!r} {speed!r}")


def stand(transaction: Transaction, moment: float) -> None:
    """Note where the market has stopped: it goes on from there, and nobody has seen more of it."""
    meta.put(transaction, "mark", repr(moment))
    meta.put(transaction, "pace", "")


def present(reader: Snapshot) -> float:
    """Where the market stands, for a process that does not run it."""
    mark = float(meta.get(reader, "mark") or 0.0)
    if pace := meta.get(reader, "pace"):
        moment, noted, speed = map(float, pace.split())
        mark = min(moment + max(0.0, time.time() - noted) * speed, mark)
    # A market without a start keeps real time, also while nobody serves it.
    return mark if meta.get(reader, "start") else max(mark, time.time())
