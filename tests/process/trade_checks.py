"""What is wrong with a book and a ledger, judged from outside.

The checker reads the database, knows what the clients were told, and settles again from the feed.
Whether the rows agree with each other, it leaves to the checks of `scopegate check`.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scopegate import PAPER_EXCHANGE, integrity
from scopegate.exchange import book
from scopegate.exchange.book import Contract
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import replay, resume
from scopegate.exchange.contracts.common.state import Status, begin
from scopegate.exchange.copying import MAX_REPORTS
from scopegate.exchange.feed import Feed
from scopegate.store.transactions import Connection, Snapshot
from tests import stores
from tests.clients.settle_again import LONGEST_STEP, Agreed, PerPoint, settle
from tests.clients.settle_again import Tick as ToldTick
from tests.process.traders import Order, Told, units

SEED = "kill trading"
"""Of the market of every gateway that is judged."""


class Decided(NamedTuple):
    """What the market makes of a contract."""

    status: str
    pays: int
    epoch: int


def decided(contract: Contract, feed: Feed, last: int) -> Decided | None:
    """What the ticks up to `last` make of a contract; `None` while it is open."""
    terms = contract.terms
    if PerPoint.is_of(contract.shortcode):  # settled by rules that know nothing of ours
        product = PerPoint.read(contract.shortcode)
        told = feed.ticks(terms.symbol, product.start, product.last_moment)
        ticks = list(map(ToldTick, told.epochs.tolist(), told.pips.tolist()))
        paid = product.settle(ticks, None, terms.symbol.digits)
        assert paid is not None
        pays, decided_at = units(float(paid[0])), paid[1]
        return Decided("won" if pays else "lost", pays, decided_at) if decided_at <= last else None
    if Agreed.is_of(contract.shortcode):  # and so are these
        agreed = Agreed.read(contract.shortcode)
        told = feed.ticks(terms.symbol, agreed.start - LONGEST_STEP, agreed.last_moment)
        ticks = list(map(ToldTick, told.epochs.tolist(), told.pips.tolist()))
        result = settle(agreed, ticks, terms.symbol.digits)
        if result.decided_at > last:
            return None
        pays = units(float(result.pays))
        return Decided("won" if pays else "lost", pays, result.decided_at)
    state = begin(terms, feed)
    if contract.followed_to > state.seen:  # its orders are from then
        state = resume(TYPES[terms.contract_type], terms, feed, contract.followed_to)
    end = replay(TYPES[terms.contract_type], terms, state, feed, last).outcome
    return None if end is None else Decided(end.status.value, end.pays, end.tick.epoch)


def violations(path: Path, told: Told, *, due: float) -> list[str]:
    """What is wrong with the database; what was decided by `due` must be settled."""
    with stores.snapshot(path) as db:
        return [
            *(f"database: {fault}" for fault in stores.faults(path)),
            *(
                f"{result.name}: {fault}"
                for result in integrity.results(
                    Snapshot(db), integrity.checks_of((PAPER_EXCHANGE,))
                )
                for fault in result.faults
            ),
            *_forgotten(db, told),
            *_wrong_copies(db, told),
            *_wrong_results(db, due),
        ]


def _forgotten(db: Connection, told: Told) -> Iterator[str]:
    """What was acknowledged, and is not there as it was told."""
    contracts = {row["id"]: row for row in db.execute("SELECT * FROM contracts")}
    entries = {
        row["id"]: (row["contract_id"], row["amount"], row["balance_after"])
        for row in db.execute("SELECT * FROM ledger WHERE contract_id IS NOT NULL")
    }
    orders = {
        Order(row["contract_id"], row["kind"], row["amount"])
        for row in db.execute("SELECT * FROM contract_orders")
    }
    for what, trades, column in (
        ("buy", told.bought, "bought_by"),
        ("sell", told.sold, "sold_by"),
        ("cancel", told.cancelled, "sold_by"),
    ):
        for number, booked in trades.items():
            row = contracts.get(number)
            if row is None or row[column] != booked.entry:
                yield f"acknowledged: the {what} of contract {number} is not there"
            elif entries.get(booked.entry) != (number, booked.units, booked.balance_after):
                yield f"acknowledged: the {what} of contract {number} is booked otherwise"
            elif what != "buy" and row["status"] != {"sell": "sold"}.get(what, "cancelled"):
                yield f"acknowledged: the {what} of contract {number} left it {row['status']}"
    yield from (f"acknowledged: {order} is not there" for order in told.orders - orders)


def _wrong_copies(db: Connection, told: Told) -> Iterator[str]:
    """Of all that the richer account bought and closed each copier has the same, or a refusal."""
    rich = next(iter(told.tokens))
    originals = {
        row["id"]: row
        for row in db.execute("SELECT * FROM contracts WHERE loginid = ? ORDER BY id", [rich])
    }
    for copier in told.copiers:
        reports = db.execute(
            "SELECT * FROM copy_reports WHERE copier = ? ORDER BY id", [copier]
        ).fetchall()
        # Reports have the order of the commits, as contracts have: of what was bought before the
        # first purchase that is still reported, no refusal need be known any more.
        purchases = [row["original"] for row in reports if row["action"] == "buy"]
        known_from = purchases[0] if len(reports) == MAX_REPORTS else 0
        refused = {
            (row["original"], row["action"] == "buy") for row in reports if row["code"] is not None
        }
        copies: dict[int, sqlite3.Row] = {}
        for row in db.execute("SELECT * FROM contracts WHERE loginid = ?", [copier]):
            if row["copied_from"] in copies or row["copied_from"] not in originals:
                yield f"copy: contract {row['id']} is one too many"
            copies[row["copied_from"]] = row
        for number, original in originals.items():
            copy = copies.get(number)
            if number < known_from:
                continue
            if (copy is None) != ((number, True) in refused):
                yield f"copy: contract {number} is copied and refused, or neither, for {copier}"
            elif copy is not None and (number, False) not in refused:
                by_trader = "sold" in (original["status"], copy["status"]) or _by_owner(original)
                ends = {(row["status"], row["sold_at"]) for row in (original, copy)}
                if by_trader and len(ends) > 1:
                    yield f"copy: contract {number} and its copy {copy['id']} ended as {ends}"


def _by_owner(row: sqlite3.Row) -> bool:
    """Whether a contract was cancelled by its owner, not by the market."""
    contract = book.contract(row)
    if contract.status is not Status.CANCELLED:
        return False
    assert contract.sold_at is not None
    return decided(contract, Feed(SEED), contract.sold_at) is None


def _wrong_results(db: Connection, due: float) -> Iterator[str]:
    """What is due and open, or was settled otherwise than the market says."""
    feed = Feed(SEED)
    for row in db.execute("SELECT * FROM contracts"):
        contract = book.contract(row)
        if contract.status is Status.OPEN:
            if decided(contract, feed, int(due)) is not None:
                yield f"due: contract {contract.id} is still open"
            continue
        assert contract.sold_at is not None
        found = (contract.status.value, contract.sold_for, contract.exit_epoch)
        expected = decided(contract, feed, contract.sold_at)
        if contract.status is Status.SOLD:
            right = expected is None
        elif contract.status is Status.CANCELLED and expected is None:  # by its owner
            right = contract.sold_for == contract.terms.stake
        else:
            right = found == expected and contract.sold_at == contract.exit_epoch
        if not right:
            yield f"result: contract {contract.id} ended {found}, the market says {expected}"


def stored_time(path: Path) -> float:
    """The stored market time, some seconds ahead of now: from there a killed gateway goes on."""
    with stores.snapshot(path) as db:
        return float(db.execute("SELECT value FROM meta WHERE name = 'mark'").fetchone()[0])
