"""What a client is told is enough to check every result: contracts are settled again from outside.

The gateway runs in a process of its own, and so does the script that settles its contracts again;
that script (`tests/clients/settle_again.py`) has the standard library and websockets.
"""

import ast
import asyncio
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scopegate.exchange import ledger
from scopegate.exchange.contracts.catalogue import TYPES as CATALOGUE
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.contracts.multipliers import multipliers
from scopegate.exchange.symbols import SYMBOLS
from scopegate.gateway.access import tokens, users
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store.transactions import Transaction
from tests.served import PATIENCE, Served, SocketClient, serving
from tests.stores import run_once

SCRIPT = Path(__file__).parent.parent / "clients" / "settle_again.py"
CONTRACTS = 248
ACCOUNTS = 4
PRODUCTS = (
    *("ACCU", "MULTDOWN", "MULTUP"),
    *("VANILLALONGCALL", "VANILLALONGPUT", "TURBOSLONG", "TURBOSSHORT"),
)
"""They last for ticks of their own, until an order is reached, or for a minute."""
TYPES = [*PRODUCTS, *(name for name in CATALOGUE if name not in PRODUCTS)]
EUROPEAN = ("CALL", "PUT", "CALLE", "PUTE")
REFUSALS = {
    *("BarrierValidationError", "ContractBuyValidationError", "ContractCreationFailure"),
    "InvalidOfferings",
}
"""A barrier that the fast market has left behind, or digits of a symbol that moves too little."""
CHOICES = {
    "DIGITMATCH": range(10),
    "DIGITDIFF": range(10),
    "DIGITOVER": range(9),
    "DIGITUNDER": range(1, 10),
}


@dataclass
class Account:
    """One account that trades, and what became of its contracts."""

    token: str
    bought: dict[int, str] = field(default_factory=dict)
    """Shortcodes by contract."""
    settled: dict[int, float] = field(default_factory=dict)
    """What each contract paid."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway in whose market 200 seconds pass in one."""
    options = ("--seed", "wire", "--start", "2026-01-01T12:00", "--speed", "200")
    with serving(tmp_path_factory.mktemp("wire"), *options) as running:
        yield running


def accounts(gateway: Served) -> list[Account]:
    def job(transaction: Transaction) -> list[Account]:
        user_id = users.create(transaction, "wire@example.com")
        ledger.open_with_balance(transaction, user_id, virtual=[True] * ACCOUNTS, at=0)
        return [
            Account(tokens.create(transaction, tokens.NewToken(account.loginid, "Wire", SCOPES)))
            for account in ledger.accounts(transaction, user_id)
        ]

    return run_once(gateway.db, job)


def wish(contract_type: str, symbol: str, spot: float, chance: random.Random) -> dict[str, Any]:
    """A contract with a random duration, in ticks where there are such, and random barriers."""
    if contract_type in PRODUCTS:
        return product(contract_type, symbol, spot, chance)
    kind, known = CATALOGUE[contract_type], SYMBOLS[symbol]
    durations = kind.listing.durations
    if durations.ticks is not None:
        term = {"duration": chance.randint(*durations.ticks), "duration_unit": "t"}
        ticks = term["duration"]
    else:
        assert durations.seconds is not None
        least = durations.seconds[0]
        term = {"duration": least + chance.randint(0, 60), "duration_unit": "s"}
        ticks = term["duration"] // known.step
    wanted: dict[str, Any] = {
        "contract_type": contract_type,
        "symbol": symbol,
        "currency": "USD",
        "amount": chance.choice((1, 2.5, 10)),
        "basis": chance.choice(("payout", "stake")),
        **term,
    }
    deviation = spot * known.tick_sd * ticks**0.5
    relative = chance.random() < 0.6

    def barrier(away: float) -> str:
        offset = max(abs(away), known.pip) * (1 if away > 0 else -1)
        shown = offset if relative else spot + offset
        return f"{shown:{'+' if relative else ''}.{known.digits}f}"

    if isinstance(kind, Lookback):
        wanted["basis"] = "multiplier"
    if contract_type in CHOICES:
        wanted["barrier"] = str(chance.choice(CHOICES[contract_type]))
    elif "selected_tick" in kind.takes:
        wanted["selected_tick"] = chance.randint(1, 5)
    elif "barrier2" in kind.takes:
        wanted["barrier"] = barrier(deviation * chance.uniform(0.5, 1.8))
        wanted["barrier2"] = barrier(-deviation * chance.uniform(0.5, 1.8))
    elif "TOUCH" in contract_type or (contract_type in EUROPEAN and chance.random() < 0.7):
        wanted["barrier"] = barrier(chance.choice((-1, 1)) * deviation * chance.uniform(0.2, 1.2))
    return wanted


def product(contract_type: str, symbol: str, spot: float, chance: random.Random) -> dict[str, Any]:
    """A contract without a fixed payout."""
    wanted: dict[str, Any] = {
        "contract_type": contract_type,
        "symbol": symbol,
        "currency": "USD",
        "amount": chance.choice((1, 2.5, 10)),
        "basis": "stake",
    }
    if contract_type == "ACCU":
        wanted["growth_rate"] = chance.randint(1, 5) / 100
        wanted["limit_order"] = {"take_profit": chance.choice((0.1, 0.5))}
        return wanted
    if contract_type in ("MULTDOWN", "MULTUP"):
        wanted["multiplier"] = multipliers(SYMBOLS[symbol])[chance.randint(1, 2)]
        wanted["limit_order"] = {"take_profit": 0.2, "stop_loss": wanted["amount"] / 2}
        return wanted
    wanted |= {"duration": 60, "duration_unit": "s"}
    steps = 60 / SYMBOLS[symbol].step
    if contract_type.startswith("TURBOS") and chance.random() < 0.5:
        steps = chance.randint(5, 10)
        wanted |= {"duration": steps, "duration_unit": "t"}
    away = spot * SYMBOLS[symbol].tick_sd * steps**0.5 * chance.uniform(0.4, 1.5)
    offset = -away if contract_type in ("TURBOSLONG", "VANILLALONGCALL") else away
    digits = SYMBOLS[symbol].digits
    relative = chance.random() < 0.6
    wanted["barrier"] = f"{offset:+.{digits}f}" if relative else f"{spot + offset:.{digits}f}"
    return wanted


async def tradable(client: SocketClient, contract_type: str) -> list[str]:
    """The symbols on which contracts of a type are sold at the start, and for long."""
    listed = await client.ask({"active_symbols": "brief", "contract_type": [contract_type]})
    found = [each["symbol"] for each in listed["active_symbols"] if each["exchange_is_open"]]
    if contract_type in ("MULTDOWN", "MULTUP"):  # one that never closes, and moves soon
        found = [symbol for symbol in found if symbol.startswith(("1HZ", "R_", "cry"))]
    return found


async def trade(client: SocketClient, account: Account, chance: random.Random, count: int) -> None:
    """Buy so many contracts, and wait until the last of them has paid."""
    await client.authorize(account.token)
    open_now = {name: await tradable(client, name) for name in TYPES}
    await client.ask({"transaction": 1, "subscribe": 1})

    def hear(message: dict[str, Any]) -> None:
        told = message["transaction"]
        if told["action"] == "sell":
            assert told["contract_id"] not in account.settled
            account.settled[told["contract_id"]] = told["amount"]

    for number in range(count):
        contract_type = TYPES[number % len(TYPES)]
        refused: list[Any] = []
        while True:  # what is refused is chosen anew
            symbol = chance.choice(open_now[contract_type])
            spot = (await client.ask({"ticks": symbol, "subscribe": 0}))["tick"]["quote"]
            wanted = wish(contract_type, symbol, spot, chance)
            reply = await client.ask({"buy": "1", "price": 2_000, "parameters": wanted})
            if "error" not in reply:
                break
            refused.append(reply["error"])
            assert refused[-1]["code"] in REFUSALS
            assert len(refused) < 50, refused
        account.bought[reply["buy"]["contract_id"]] = reply["buy"]["shortcode"]
        for message in client.received:
            hear(message)
    while account.settled.keys() != account.bought.keys():
        hear(await client.next())


def settle_again(gateway: Served, traded: list[Account]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), f"{gateway.url}?app_id=1089"],
        input="\n".join(account.token for account in traded),
        check=False,
        capture_output=True,
        text=True,
        cwd=gateway.folder,
        timeout=PATIENCE,
    )


def test_the_script_imports_nothing_of_ours() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").split(".")[0])
    assert imported - sys.stdlib_module_names == {"websockets"}


@pytest.mark.lengthy
async def test_finished_contracts_are_settled_again_from_the_wire_alone(gateway: Served) -> None:
    traded = accounts(gateway)

    async def one(number: int, account: Account) -> None:
        async with gateway.connected() as client:
            await trade(client, account, random.Random(number), CONTRACTS // ACCOUNTS)

    await asyncio.gather(*(one(number, account) for number, account in enumerate(traded)))
    bought = [code for account in traded for code in account.bought.values()]
    assert len(bought) == CONTRACTS
    assert {code.split("_")[0] for code in bought} == set(TYPES)
    ended = Counter(paid > 0 for account in traded for paid in account.settled.values())
    assert min(ended[True], ended[False]) > CONTRACTS / 10  # a script that knew one result fails

    again = await asyncio.to_thread(settle_again, gateway, traded)
    assert again.stderr == ""
    assert again.stdout == f"{CONTRACTS} contracts, 0 differ\n"
    assert again.returncode == 0

    # The same script finds what is wrong: a result that the ticks do not give, and a wrong tick.
    (lost, won, *products) = (
        next(
            (contract_id, account.bought[contract_id])
            for account in traded
            for contract_id, paid in account.settled.items()
            if (paid > 0) == wins and account.bought[contract_id].split("_")[0] in types
        )
        for wins, types in (
            (False, TYPES),
            (True, TYPES[len(PRODUCTS) :]),
            *((True, [name]) for name in PRODUCTS),
        )
    )
    run_once(
        gateway.db,
        lambda transaction: [
            transaction.execute("UPDATE contracts SET sold_for = price + 7 WHERE id = ?", lost[0]),
            transaction.execute("UPDATE contracts SET sold_at = sold_at + 1 WHERE id = ?", won[0]),
            *(
                transaction.execute(
                    "UPDATE contracts SET sold_for = sold_for + 1 WHERE id = ?", number
                )
                for number, _ in products
            ),
        ],
    )
    again = await asyncio.to_thread(settle_again, gateway, traded)
    assert again.returncode == 1
    *found, total = again.stdout.splitlines()
    assert total == f"{CONTRACTS} contracts, {2 + len(products)} differ"
    assert any(line.startswith(f"{lost[1]}: sell_price is ") for line in found)
    assert any(line.startswith(f"{won[1]}: sell_time is ") for line in found)
