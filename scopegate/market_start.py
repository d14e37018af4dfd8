"""The market of a database: its seed, its start and its current moment.

Rules:
- Seed and start are stored with a new database; a later start with different ones is refused.
- The version of the feed is stored too. A database of another version is not opened
  (`check_feed`): its prices would differ from those that were published.
- A market without a start runs in real time; one with a start runs only while the gateway runs.
- Market time never goes back, not even after a crash or if the wall clock was set back: while the
  market runs, a mark ahead of it is stored, and the market never resumes before the mark.
- After a crash, a market in real time waits for a mark that is at most `WAITED_FOR` seconds ahead;
  if the wall clock was set back further, it resumes from the mark at once. While it waits, it is
  stored as running all the same: a crash meanwhile moves the next mark no further ahead.
"""

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

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

READINGS = 5
"""How often two clocks are compared at the most."""
QUICK_SECONDS = 0.01
"""They are not compared again if the database has answered within so many seconds."""
MAX_CLOCK_DIFFERENCE = 0.2
"""Seconds by which the clock of a gateway's machine may differ from that of the database's."""

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
    since: float = field(default_factory=time.monotonic)
    """Monotonic time at which the clock shows `clock`, for all processes of the machine."""


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


def check_feed(reader: Snapshot) -> None:
    """Raise `StoreError` if the database belongs to another version of the feed.

    Its contracts would settle at other prices than their owners saw. This is checked before any
    migration, so that the program that created the database can still use it.
    """
    found = meta.get(reader, "feed") or "1"  # version 1 was not stored
    if meta.get(reader, "seed") is not None and found != str(FEED_VERSION):
        raise StoreError(
            f"the prices of this database are those of feed {found}, this program has feed"
            f" {FEED_VERSION}: serve the database with the release that created it, or start a"
            " new one with --db FILE; nothing was changed"
        )


def foresee(
    reader: Snapshot,
    *,
    seed: str | None,
    start: str | None,
    speed: float,
    joins: bool = False,
    begins: float | None = None,
) -> Origin:
    """Return the market of this database, or the one that `settle` will store in a new database.

    With `joins`, other gateways run this market already. A new one without a `start` begins at
    `begins`, the first tick of an own market, if there is one. Raises `SettingsError` if `seed` or
    `start` differs from what the database has, or `speed` from that of the others, or if the clock
    of this machine differs from the database's.
    """
    present, own, uncertainty = _compared(reader, time.time)
    if abs(own - present) - uncertainty > MAX_CLOCK_DIFFERENCE:
        raise SettingsError(
            f"the clock of this machine is {own - present:+.1f} s off the database server's:"
            " synchronize both, for example with NTP"
        )
    wanted = None if start is None else parse_start(start)
    stored_seed = meta.get(reader, "seed")
    if stored_seed is None:
        stored_seed = seed or secrets.token_hex(32)
        # At a speed other than 1, the market cannot run in real time.
        if wanted is not None or begins is not None:
            begun = begins if wanted is None else wanted
        else:
            begun = present if speed != 1 else None
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
    if joins and (pace := _pace(reader)) is not None:
        if pace.speed != speed:
            raise SettingsError(
                f"speed: the other gateways of this database run at speed {pace.speed:g}: use that"
            )
        present, since, _ = _compared(reader, time.monotonic)
        moment = pace.moment_at(present)
        return Origin(stored_seed, begun, max(moment, _resumed(reader)), moment, since)
    mark = float(meta.get(reader, "mark") or 0.0)
    if begun is not None:
        resume = max(begun, mark)
        return Origin(stored_seed, begun, resume, resume)
    resume = max(present, mark)
    clock = present if resume - present <= WAITED_FOR else resume
    return Origin(stored_seed, None, resume, clock)


def _compared(reader: Snapshot, now: Callable[[], float]) -> tuple[float, float, float]:
    """Return a moment by the database's clock and by this one, and how far the latter may be off.

    A busy machine or network delays the answer: the quickest of some is taken.
    """
    reading, quickest = (0.0, 0.0, 0.0), math.inf
    for _ in range(READINGS):
        begun = time.monotonic()
        before, present, after = now(), reader.now(), now()
        taken = time.monotonic() - begun
        if taken < quickest:
            quickest, reading = taken, (present, (before + after) / 2, (after - before) / 2)
        if quickest < QUICK_SECONDS:
            break
    return reading


class _Pace(NamedTuple):
    """How the market runs: where it was at a moment of real time."""

    moment: float
    noted: float
    speed: float

    def moment_at(self, real: float) -> float:
        """Return the market time at this real time."""
        return self.moment + max(0.0, real - self.noted) * self.speed


def _pace(reader: Snapshot) -> _Pace | None:
    """Return the pace that was stored last; `None` if the market stands."""
    text = meta.get(reader, "pace")
    return _Pace(*map(float, text.split())) if text else None


def _resumed(reader: Snapshot) -> float:
    """Return the moment at which the market resumed last: if that is ahead, it waits for it."""
    return float(meta.get(reader, "resume") or 0.0)


def settle(transaction: Transaction, origin: Origin) -> None:
    """Store the market of a new database; an existing one is not changed."""
    if meta.get(transaction, "seed") is None:
        meta.put(transaction, "seed", origin.seed)
        meta.put(transaction, "feed", str(FEED_VERSION))
        meta.put(transaction, "start", "" if origin.start is None else repr(origin.start))


def is_running(reader: Snapshot) -> bool:
    """Return whether a gateway has stored how the market runs, and has not stopped it."""
    return _pace(reader) is not None


def note_pace(
    transaction: Transaction, running: Callable[[], float], speed: float, resume: float
) -> float:
    """Store how the market runs, for gateways that join it; return where it is.

    `running` returns the market time, even while the market waits for the moment `resume`.
    """
    noted, moment, _ = _compared(transaction, running)
    meta.put(transaction, "pace", f"{moment!r} {noted!r} {speed!r}")
    meta.put(transaction, "resume", repr(resume))
    return moment


def run(
    transaction: Transaction, running: Callable[[], float], speed: float, resume: float
) -> None:
    """Store as `note_pace` does, and a mark ahead, before which the market never resumes."""
    moment = note_pace(transaction, running, speed, resume)
    stored = float(meta.get(transaction, "mark") or 0.0)
    meta.put(transaction, "mark", repr(max(stored, moment + WAITED_FOR * speed)))


def difference(reader: Snapshot, running: Callable[[], float]) -> float:
    """Return how many real seconds this gateway's market time is ahead of that of the others.

    It is the smallest that is possible: the database may have answered late. `running` is as for
    `note_pace`.
    """
    pace = _pace(reader)
    if pace is None:
        return 0.0
    present, moment, uncertainty = _compared(reader, running)
    ahead = moment - pace.moment_at(present)
    return math.copysign(max(0.0, abs(ahead) - uncertainty), ahead) / pace.speed


def pace_note(reader: Snapshot) -> str:
    """Return the stored note of how the market runs, which changes whenever it is noted again."""
    return meta.get(reader, "pace") or ""


def is_mark_due(reader: Snapshot, moment: float, speed: float) -> bool:
    """Return whether the mark is less than half of `WAITED_FOR` real seconds ahead of `moment`."""
    mark = float(meta.get(reader, "mark") or 0.0)
    return mark < moment + WAITED_FOR / 2 * speed


def stand(transaction: Transaction, moment: float) -> None:
    """Store where the market stopped. It resumes there: nothing later was published."""
    meta.put(transaction, "mark", repr(moment))
    meta.put(transaction, "pace", "")


def present(reader: Snapshot) -> float:
    """Return the current market time, for a process that does not run the market."""
    mark = float(meta.get(reader, "mark") or 0.0)
    now = reader.now()
    if (pace := _pace(reader)) is not None:
        mark = min(max(pace.moment_at(now), _resumed(reader)), mark)
    # A market without a start runs in real time, even while no gateway serves it.
    return mark if meta.get(reader, "start") else max(mark, now)
