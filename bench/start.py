"""How long the gateway takes to listen again after `kill -9`, with a large database.

    python bench/start.py [--entries 600000] [--open 1000] [--starts 10]

The database has `--entries` ledger entries, half as many closed contracts, and `--open` contracts
that stay open for another day. Each start follows a `kill -9`. The time runs from the start of the
program until it prints its address: it loads modules, recovers SQLite's WAL, checks the file, and
replays the open contracts up to the present.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from scopegate.exchange import ledger
from scopegate.gateway.access import users
from scopegate.store.files import run_once
from scopegate.store.transactions import Transaction

ACCOUNTS = 50


def fill(transaction: Transaction, entries: int, open_contracts: int) -> None:
    """Write the rows of a gateway that has traded for as many seconds as there are entries."""
    now = int(time.time())
    loginids = []
    for number in range(ACCOUNTS):
        user_id = users.create(transaction, f"user{number}@example.com")
        opened = ledger.open_account(transaction, user_id, currency="USD", is_virtual=True, at=now)
        loginids.append(opened.loginid)

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(entries):
            amount = 1000 if number % 2 else -1000
            account = loginids[number // 2 % ACCOUNTS]
            yield account, "sell" if number % 2 else "buy", amount, max(amount, 0), now - entries

    def contracts() -> Iterator[tuple[Any, ...]]:
        for number in range(entries // 2):
            start = now - entries + number
            text = f"CALL_R_100_19.50_{start}_{start + 60}_S0P_0"
            yield (
                loginids[number % ACCOUNTS],
                text,
                start,
                2 * number + 1,
                "won",
                1950,
                start + 60,
                2 * number + 2,
                start + 60,
            )
        for number in range(open_contracts):
            text = f"CALL_R_100_19.50_{now}_{now + 86_400}_S0P_0"
            yield (
                loginids[number % ACCOUNTS],
                text,
                now,
                2 * number + 1,
                "open",
                None,
                None,
                None,
                None,
            )

    connection = transaction._connection  # noqa: SLF001 - row by row would take a minute
    connection.executemany(
        "INSERT INTO ledger (loginid, action, amount, balance_after, at) VALUES (?, ?, ?, ?, ?)",
        rows(),
    )
    connection.executemany(
        "INSERT INTO contracts (loginid, app_id, contract_type, shortcode, currency, price, payout,"
        " cancellation_price, commission, bought_at, bought_by, status, sold_for, sold_at,"
        " sold_by, exit_epoch)"
        " VALUES (?, 1089, 'CALL', ?, 'USD', 1000, 1950, 0, 0, ?, ?, ?, ?, ?, ?, ?)",
        contracts(),
    )
    connection.execute("UPDATE ledger SET contract_id = (id + 1) / 2")


def started(db: Path) -> tuple[subprocess.Popen[str], float]:
    """Start a gateway; return its process, and the seconds until it listened."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "scopegate", "serve", "--port", "0", "--db", str(db)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("listening")
    return process, time.perf_counter() - began


def main() -> None:
    """Measure, and print each start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=600_000)
    parser.add_argument("--open", type=int, default=1_000)
    parser.add_argument("--starts", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        db = Path(folder) / "scopegate.db"
        run_once(db, lambda transaction: fill(transaction, options.entries, options.open))
        print(f"{db.stat().st_size / 1e6:.0f} MB")
        process, _ = started(db)
        taken = []
        for _ in range(options.starts):
            process.kill()
            process.wait()
            process, seconds = started(db)
            taken.append(seconds)
        process.terminate()
        process.wait()
    print("  ".join(f"{seconds:.2f}" for seconds in taken))
    print(f"p50 {median(taken):.2f} s, largest {max(taken):.2f} s")


if __name__ == "__main__":
    main()
