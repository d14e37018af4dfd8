"""What calls cost as the database grows; needs Linux, and 3 GB of disk for the default size.

    python bench/growth.py [--tokens 1000000] [--entries 10000000] [--json FILE]

The same calls are made on a new database and on one with a million tokens of others and ten million
of their ledger entries, for an account with 1,000 entries of its own. The bar is the largest growth
of the CPU time of a call.
"""

import argparse
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from bars import Bar, report
from load import LoadError, Message
from reads import Reader
from servers import Server, scopegate, what_is_measured

from scopegate.exchange import ledger
from scopegate.exchange.ledger import Posting
from scopegate.gateway.access import tokens, users
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store.files import run_once
from scopegate.store.migrating import migrate
from scopegate.store.sqlite_connection import connect
from scopegate.store.transactions import Transaction

OWN_ENTRIES = 1_000
ACCOUNTS = 10_000
ROUNDS = 3
ENOUGH = 0.4
"""Seconds of CPU time that are measured."""

CALLS: dict[str, Message] = {
    "authorize": {},
    "balance": {"balance": 1},
    "balance of all": {"balance": 1, "account": "all"},
    "statement": {"statement": 1, "limit": 100},
    "profit_table": {"profit_table": 1, "limit": 100},
    "portfolio": {"portfolio": 1},
    "api_token": {"api_token": 1},
}


def own_account(db: Path) -> str:
    """Create a user with an account that has many entries; return a token for it."""

    def job(transaction: Transaction) -> str:
        user_id = users.create(transaction, "ada@bench.invalid")
        ledger.open_with_balance(transaction, user_id, virtual=(True,), at=1_700_000_000)
        [account] = ledger.accounts(transaction, user_id)
        for number in range(OWN_ENTRIES):
            deposit = Posting(
                loginid=account.loginid, action="deposit", amount=1, at=1_700_000_000 + number
            )
            ledger.post(transaction, deposit)
        return tokens.create(transaction, tokens.NewToken(account.loginid, "Bench", SCOPES))

    with closing(connect(db)) as connection:
        migrate(connection)
    return run_once(db, job)


def grow(db: Path, tokens_of_others: int, entries: int) -> None:
    """Add users with one account each, and their tokens and ledger entries."""
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    with closing(connect(db)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        (first,) = connection.execute("SELECT max(id) FROM users").fetchone()
        for statement, count in (
            (
                f"{numbers} INSERT INTO users (email, created_at)"
                " SELECT 'other' || i || '@bench.invalid', 1700000000 FROM n",
                ACCOUNTS,
            ),
            (
                f"{numbers} INSERT INTO accounts (loginid, user_id, currency, is_virtual, balance,"
                f" created_at) SELECT 'VRTC' || (5000000 + i), {first} + i, 'USD', 1, 1000000,"
                " 1700000000 FROM n",
                ACCOUNTS,
            ),
            (
                f"{numbers} INSERT INTO tokens (digest, masked, loginid, name, scopes, kind,"
                " created_at) SELECT randomblob(32), '****', 'VRTC' || (5000001 + i % "
                f"{ACCOUNTS}), 'Token ' || i, 'read', 'owner', 1700000000 FROM n",
                tokens_of_others,
            ),
            (
                f"{numbers} INSERT INTO ledger (loginid, action, amount, balance_after, at,"
                f" counter) SELECT 'VRTC' || (5000001 + i % {ACCOUNTS}), 'deposit', 1, 1000000,"
                " 1700001000 + i / 1000, 'outside' FROM n",
                entries,
            ),
        ):
            connection.execute(statement, (count,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def costs(server: Server, token: str) -> dict[str, float]:
    """Return the CPU time of each call in microseconds, the least of some rounds."""
    reader = Reader(server)
    found: dict[str, float] = {}
    for name, request in CALLS.items():
        asked = {"authorize": token} if name == "authorize" else request

        def one(message: Message = asked) -> None:
            reply = reader.ask(message)
            if b'"error":' in reply[:4_096]:
                raise LoadError(f"refused: {reply!r}")

        found[name] = min(_cpu(server, one) for _ in range(ROUNDS))
    reader.close()
    return found


def _cpu(server: Server, one: Callable[[], None]) -> float:
    """Return the CPU time of one call, in microseconds; the kernel counts it in steps of 10 ms."""
    for _ in range(10):
        one()
    before, calls, used = server.cpu_seconds(), 0, 0.0
    while used < ENOUGH:
        for _ in range(100):
            one()
        calls += 100
        used = server.cpu_seconds() - before
    return used / calls * 1e6


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--tokens", type=int, default=1_000_000)
    options.add_argument("--entries", type=int, default=10_000_000)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every result there too")
    given = options.parse_args()
    with TemporaryDirectory(prefix="scopegate-bench-") as folder:
        small, large = Path(folder, "small.db"), Path(folder, "large.db")
        of_small, of_large = own_account(small), own_account(large)
        grow(large, given.tokens, given.entries)
        with scopegate(db=small) as server, scopegate(db=large) as grown:
            before = costs(server, of_small)
            after = costs(grown, of_large)
    print(what_is_measured())
    print(f"{given.tokens:,} tokens and {given.entries:,} ledger entries of others; CPU for a call")
    for name, cost in before.items():
        print(f"{name:<16} {cost:>7.0f} µs  {after[name]:>7.0f} µs  {after[name] / cost:>5.2f}")
    growth = max(after[name] / cost for name, cost in before.items())
    bars = [Bar("cost of a call in a large database, of that in a small one", growth, 1.25)]
    results = {"small_us": before, "large_us": after}
    report(bars, results, given.json)


if __name__ == "__main__":
    main()
