"""The retention rules of the paper exchange. Contracts and the ledger are never deleted."""

from collections.abc import Sequence
from typing import Final

from scopegate.exchange.book import MAX_ORDERS
from scopegate.exchange.copying import MAX_REPORTS
from scopegate.retention import BATCH, DAY, ENDED_DAYS, Key, Moments, Rule
from scopegate.store.transactions import Snapshot, Transaction


def _old_copyings(reader: Snapshot, now: Moments) -> Sequence[Key]:
    return reader.all(
        "SELECT copier, trader, ended_at FROM copyings WHERE ended_at < ? LIMIT ?",
        now.market - ENDED_DAYS * DAY,
        BATCH,
    )


def _delete_copying(transaction: Transaction, key: Key) -> None:
    transaction.execute(
        "DELETE FROM copyings WHERE copier = ? AND trader = ? AND ended_at = ?", *key
    )


def _old_orders(reader: Snapshot, now: Moments) -> Sequence[Key]:
    before = now.market - ENDED_DAYS * DAY
    return reader.all(
        "SELECT contract_orders.id FROM contract_orders"
        " JOIN contracts ON contracts.id = contract_orders.contract_id"
        " WHERE contract_orders.at < ? AND contracts.sold_at < ? LIMIT ?",
        before,
        before,
        BATCH,
    )


def _delete_order(transaction: Transaction, key: Key) -> None:
    transaction.execute("DELETE FROM contract_orders WHERE id = ?", *key)


# These run before the rule for tokens, because copying relations refer to tokens.
RULES: Final = (
    Rule(
        "Ended copying relations",
        f"{ENDED_DAYS} days of the market, or until the trader is copied again",
        _old_copyings,
        _delete_copying,
    ),
    Rule(
        "Orders of a contract (`contract_update_history`)",
        f"the latest {MAX_ORDERS} of a contract; {ENDED_DAYS} days of the market after its end",
        _old_orders,
        _delete_order,
    ),
    Rule("Reports of copied trades (`copy_report`)", f"the latest {MAX_REPORTS:,} of a copier"),
)
