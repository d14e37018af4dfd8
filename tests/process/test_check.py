"""`scopegate check`: what it finds in a database, while a gateway serves it and afterwards."""

import asyncio
import contextlib
import hashlib
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopegate import PAPER_EXCHANGE, DeclarationError, Plugin, integrity
from scopegate.exchange import ledger, payments
from scopegate.exchange.feed import Feed
from scopegate.exchange.payments import Kind, Order
from scopegate.exchange.rates import Rates
from scopegate.gateway.access import apps, tokens, users
from scopegate.gateway.calls.token_form import digest
from scopegate.store.integrity import MAX_FAULTS
from scopegate.store.migrating import migrate
from scopegate.store.opening import read_once
from scopegate.store.transactions import Transaction
from tests import stores
from tests.process.test_machine_faults import SPEEDY, buying, damage, sales, trading
from tests.product_files import ROOT
from tests.served import SCRIPT, Served, scopegate, serving

OF_FILES = [check.name for check in integrity.OF_FILES]
OF_FILES_HERE = [] if stores.ON_POSTGRESQL else OF_FILES
CHECKS = integrity.checks_of((PAPER_EXCHANGE,))
ALWAYS = [check.name for check in CHECKS]
OPERATING = (ROOT / "docs" / "operating.md").read_text()


def checked(db: Path) -> subprocess.CompletedProcess[str]:
    return scopegate("check", *stores.option(db), folder=db.parent)


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """What it has found, by check; it ends with code 1 if that is anything."""
    header, *lines = done.stdout.splitlines()
    assert header.split() == ["check", "result"], done
    found: dict[str, list[str]] = {}
    for line in lines:
        name, result = line.split(maxsplit=1)
        found.setdefault(name, []).append(result)
    wrong = {name: results for name, results in found.items() if results != ["ok"]}
    assert list(found) == [*OF_FILES_HERE, *ALWAYS]
    assert done.returncode == (1 if wrong else 0)
    return wrong


def found_in(db: Path) -> dict[str, list[str]]:
    """What the checks find in a file, without the seconds that the command needs to start."""
    checks = (*integrity.OF_FILES, *CHECKS)
    results = read_once(db, lambda reader: integrity.results(reader, checks))
    return {result.name: list(result.faults) for result in results if result.faults}


def populate(transaction: Transaction) -> None:
    """A user with two accounts and a payment, and an app with a token and a child of that."""
    user_id = users.create(transaction, "ada@example.com")
    ledger.open_with_balance(transaction, user_id, virtual=(False, False), at=0)
    one, two = (each.loginid for each in ledger.accounts(transaction, user_id))
    order = Order(kind=Kind.TRANSFER, payer=one, payee=two, units=500, currency="USD")
    payments.pay(transaction, order, Rates(Feed("tests")), at=0)
    values = {"name": "Bot", "scopes": frozenset({"read"}), "redirect_uri": "", "flow": "both"}
    app = apps.register(transaction, None, values)
    link_id = apps.link(transaction, app, user_id, ["read"], [one])
    text = tokens.issue(transaction, link_id, "App", one, ["read"])
    parent = tokens.find(transaction, digest(text))
    assert parent is not None
    child = tokens.NewToken(one, "Child", ["read"], link_id=link_id, parent_id=parent.id)
    tokens.create(transaction, child)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a gateway that was stopped, with open and closed contracts."""

    async def trade(served: Served) -> None:
        async with trading(served) as client, trading(served) as watcher:
            await watcher.ask({"transaction": 1, "subscribe": 1})
            bought = [
                (await client.ask(buying(contract_type=kind)))["buy"]["contract_id"]
                for kind in ("CALLE", "PUT") * 6  # of each two, one wins
            ]
            async with asyncio.timeout(30):
                await sales(watcher, set(bought))
            await client.ask(buying(duration=3000))
        await asyncio.to_thread(stores.run_once, served.db, populate)

    with serving(tmp_path_factory.mktemp("traded"), *SPEEDY) as served:
        asyncio.run(trade(served))
    return served.db


@pytest.fixture
def db(traded: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copy(traded, tmp_path / "scopegate.db"))


def plant(db: Path, sql: str) -> None:
    """Change the file as another program does, without the checks of the gateway's connections."""
    with contextlib.closing(sqlite3.connect(db)) as connection, connection:
        assert connection.execute(sql).rowcount != 0


def files_of(db: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in db.parent.glob("scopegate.db*")
        if not path.name.endswith("-shm")  # memory that processes share
    }


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Served]:
    """A gateway whose contracts end within a second or two."""
    with Served(tmp_path, *SPEEDY) as served:
        yield served


async def test_a_database_is_checked_while_the_gateway_trades_and_afterwards(
    fast: Served,
) -> None:
    done = asyncio.Event()

    async def trade() -> int:
        bought = 0
        async with trading(fast) as client:
            while not done.is_set():
                reply = await client.ask(buying(duration=15 + bought % 15))
                code = reply.get("error", {}).get("code")
                assert code in (None, "OpenPositionLimitExceeded"), reply
                bought += code is None
        return bought

    trader = asyncio.create_task(trade())
    try:
        for _ in range(3):
            assert findings(await asyncio.to_thread(checked, fast.db)) == {}
    finally:
        done.set()
    assert await trader > 0
    fast.kill()  # the latest changes are in the log alone
    before = {} if stores.ON_POSTGRESQL else files_of(fast.db)
    assert findings(checked(fast.db)) == {}
    assert stores.ON_POSTGRESQL or files_of(fast.db) == before

    def change(transaction: Transaction) -> None:
        transaction.execute("UPDATE accounts SET balance = 1 WHERE loginid = ?", fast.loginids[0])

    stores.run_once(fast.db, change)
    [balance, total] = findings(checked(fast.db))["ledger"]
    assert balance.startswith(f"account {fast.loginids[0]} has the balance 1, but its entries")
    assert total.startswith("the balances in USD add up to ")


def test_each_check_is_documented() -> None:
    section = OPERATING.partition("\n## Check\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| .+ \|$", section, re.MULTILINE) == [*OF_FILES, *ALWAYS]


@pytest.mark.lengthy
@pytest.mark.sqlite
def test_a_database_that_was_served_has_no_fault(traded: Path) -> None:
    before = files_of(traded)
    assert findings(checked(traded)) == {}
    assert files_of(traded) == before


SOLD = "(SELECT max(sold_by) FROM contracts WHERE status = 'won')"

DAMAGE = {
    "a balance was changed": (
        "UPDATE accounts SET balance = balance + 100 WHERE loginid = 'VRTC9000001'",
        {"ledger": ["account VRTC9000001 has the balance", "the balances in USD add up to 100"]},
    ),
    "the balance after an entry was changed": (
        "UPDATE ledger SET balance_after = 7 WHERE id = 2",
        {"ledger": ["entry 2 of account CR900001 has the balance 7 after it"]},
    ),
    "a counter account was changed": (
        "UPDATE counter_accounts SET balance = balance - 3 WHERE name = 'exchange'",
        {"ledger": ["counter account exchange has the balance", "the balances in USD add up to"]},
    ),
    "an entry was deleted": (
        f"DELETE FROM ledger WHERE id = {SOLD}",  # noqa: S608
        {
            "references": ["of contracts refers by sold_by to no row of ledger"],
            "ledger": ["account VRTC9000001 has the balance", "counter account exchange has the"],
            "contracts": ["has no sell entry of its amount: it refers to entry"],
        },
    ),
    "a contract was paid out twice": (
        "INSERT INTO ledger (loginid, action, amount, balance_after, at, contract_id, counter)"  # noqa: S608
        " SELECT loginid, action, 0, (SELECT balance FROM accounts WHERE loginid ="
        f" ledger.loginid), at, contract_id, counter FROM ledger WHERE id = {SOLD}",
        {"contracts": ["(sell) is a second one for contract"]},
    ),
    "an open contract was paid out": (
        "UPDATE contracts SET status = 'open', sold_for = NULL, sold_by = NULL WHERE id = 1",
        {"contracts": ["(sell) belongs to no contract: it names 1"]},
    ),
    "a contract was bought for another price": (
        "UPDATE contracts SET price = price + 1 WHERE id = 2",
        {"contracts": ["has no buy entry of its amount: it refers to entry"]},
    ),
    "a record of the audit trail is gone": (
        "DELETE FROM audit WHERE id = 1",
        {"audit": ["record 1 of the audit trail is missing"]},
    ),
    "the head of the audit trail is no record": (
        "UPDATE meta SET value = 'x' WHERE name = 'audit_head'",
        {"audit": ["cannot be checked: invalid literal for int()"]},
    ),
    "a record of the audit trail is no text": (
        "UPDATE audit SET about = x'00', digest = x'00' WHERE id = 1",
        {"audit": ["cannot be checked: Type is not JSON serializable: bytes"]},
    ),
    "a payment is gone": (
        "DELETE FROM payments",
        {
            "payments": [
                "of account CR900003 is one half of a pay",
                "of account CR900004 is one hal",
            ]
        },
    ),
    "a payment has another payee": (
        "UPDATE payments SET payee = 'VRTC9000001'",
        {"payments": ["payment 1 does not balance"]},
    ),
    "a markup was not paid": (
        "INSERT INTO markups VALUES (1, 1089, 'VRTC9000001', 5, 5, 1, 0)",
        {"payments": ["the markup of contract 1 has no entry of its amount: it names 1"]},
    ),
    "caps count what is not open": (
        "INSERT INTO caps (id, currency, at_risk) VALUES (1, 'USD', 5)",
        {
            "references": ["row 1 of caps refers by id to no row of restrictions"],
            "caps": ["caps 1 count 0 open contracts for 5, but 0 are open under them for 0"],
        },
    ),
    "a row refers to nothing": (
        "INSERT INTO token_uses (token_id, address, call, uses, last_at) VALUES (99, '', '', 1, 0)",
        {"references": ["a row of token_uses refers by token_id to no row of tokens"]},
    ),
    "an authorization is gone": (
        "DELETE FROM links",
        {
            "references": ["of tokens refers by link_id to no row of links"] * 2,
            "authorizations": ["belongs to authorization 1, which is not there"] * 2,
        },
    ),
    "an authorization was revoked without its tokens": (
        "UPDATE links SET ended_at = 1",
        {"authorizations": ["is valid, although its authorization 1 was revoked"] * 2},
    ),
    "an authorization is of another user": (
        "UPDATE links SET user_id = (SELECT id FROM users WHERE is_demo = 1)",
        {"authorizations": ["of another user than that of its authorization 1"] * 2},
    ),
    "an authorization has other accounts": (
        "UPDATE links SET loginids = 'CR90000'",
        {"authorizations": ["is for account CR900003, which its authorization 1 does not"] * 2},
    ),
    "an app was deleted without its authorizations": (
        "UPDATE apps SET deleted_at = 1 WHERE name = 'Bot'",
        {"authorizations": ["authorization 1 is valid, although app 1090 was deleted"]},
    ),
    "an app is gone": (
        "DELETE FROM apps WHERE name = 'Bot'",
        {
            "references": ["row 1 of links refers by app_id to no row of apps"],
            "authorizations": ["authorization 1 is for app 1090, which is not there"],
        },
    ),
    "a token of an app has no authorization": (
        "UPDATE tokens SET link_id = NULL WHERE kind = 'app'",
        {"authorizations": ["was issued to an app, but has no authorization"]},
    ),
    "a parent has ended without its child": (
        "UPDATE tokens SET ended_at = 1 WHERE kind = 'app'",
        {"authorizations": ["is valid, although its parent 2 has ended"]},
    ),
    "a parent is gone": (
        "DELETE FROM tokens WHERE kind = 'app'",
        {
            "references": ["row 3 of tokens refers by parent_id to no row of tokens"],
            "authorizations": ["token 3 was created with token 2, which is not there"],
        },
    ),
    "a sign-in is gone": (
        "UPDATE tokens SET sign_in_id = 99 WHERE kind = 'app'",
        {
            "references": ["row 2 of tokens refers by sign_in_id to no row of sign_ins"],
            "authorizations": ["token 2 belongs to sign-in 99, which is not there"],
        },
    ),
    "a user was disabled without their tokens": (
        "UPDATE users SET disabled_at = 1 WHERE is_demo = 0",
        {"authorizations": ["is valid, although the user of CR900003 is disabled"] * 2},
    ),
    "an account is gone": (
        "UPDATE tokens SET loginid = 'CR1' WHERE kind = 'demo'",
        {
            "references": ["row 1 of tokens refers by loginid to no row of accounts"],
            "authorizations": ["token 1 is for account CR1, which is not there"],
        },
    ),
    "a user is gone": (
        "DELETE FROM users WHERE is_demo = 1",
        {
            "references": ["of accounts refers by user_id to no row of users"] * 2,
            "authorizations": ["token 1 is for account VRTC9000001, whose user is not there"],
        },
    ),
    "an owner of an authorization is gone": (
        "UPDATE links SET user_id = 99",
        {
            "references": ["row 1 of links refers by user_id to no row of users"],
            "authorizations": [
                *["of another user than that of its authorization 1"] * 2,
                "authorization 1 is of user 99, who is not there",
            ],
        },
    ),
}


@pytest.mark.sqlite
@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found_and_named_and_nothing_is_changed(db: Path, what: str) -> None:
    sql, expected = DAMAGE[what]
    plant(db, sql)
    before = files_of(db)
    found = found_in(db)
    assert list(found) == list(expected)
    for name, sentences in expected.items():
        for sentence in sentences:
            assert any(sentence in line for line in found[name]), found
        assert len(found[name]) >= len(sentences)
    assert files_of(db) == before


@pytest.mark.sqlite
@pytest.mark.parametrize("name", ["ledger", "ledger_of_account", "tokens"])
def test_a_damaged_page_is_found_and_the_other_checks_go_on(db: Path, name: str) -> None:
    damage(db, name)
    before = files_of(db)
    found = found_in(db)
    assert "integrity" in found
    if name == "tokens":
        assert "cannot be checked: database disk image is malformed" in found["authorizations"]
        assert "ledger" not in found
    assert files_of(db) == before


@pytest.mark.sqlite
def test_findings_are_bounded(db: Path) -> None:
    plant(db, "UPDATE ledger SET balance_after = balance_after + 1")
    done = checked(db)
    assert len(findings(done)["ledger"]) == MAX_FAULTS
    assert done.stderr == f"At most {MAX_FAULTS} findings of each check are shown.\n"


@pytest.mark.sqlite
def test_what_cannot_be_checked_is_one_line(db: Path) -> None:
    missing = checked(db.with_name("missing.db"))
    text = db.with_name("text.db")
    text.write_text("no database" * 100)
    empty = db.with_name("empty.db")
    empty.touch()
    earlier = Path(shutil.copy(db, db.with_name("earlier.db")))
    plant(earlier, "PRAGMA user_version = 16")
    for done, sentence in (
        (missing, "there is no database"),
        (checked(text), "is damaged (file is not a database)"),
        (checked(empty), "the database is empty or not a gateway's"),
        (checked(earlier), "has schema 16 of an earlier release"),
    ):
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.lengthy
@pytest.mark.sqlite
def test_a_database_that_another_program_has_locked_is_one_line(db: Path) -> None:
    with contextlib.closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        done = checked(db)
    assert (done.returncode, done.stdout) == (1, "")
    assert "database is locked" in done.stderr
    assert done.stderr.count("\n") == 1


# Checks of plugins.

ORCHARD = """
from scopegate import Plugin


def trees(reader):
    for [email] in reader.all("SELECT email FROM users ORDER BY id"):
        yield f"{email} has no tree"


def fruit(reader):
    yield "apple 1 is rotten"
    reader.one("SELECT 1 FROM orchard_fruit")


def baskets(reader):
    raise KeyError("basket 7")


def ladders(reader):
    return [email for [email] in reader.all("SELECT email FROM users WHERE id < 0")]


orchard = Plugin(
    name="orchard",
    checks={"trees": trees, "fruit": fruit, "baskets": baskets, "ladders": ladders},
)
"""


def ada(transaction: Transaction) -> None:
    """A user."""
    if not users.is_known(transaction, "ada@example.com"):
        users.create(transaction, "ada@example.com")


def checked_with(
    folder: Path, module: str, **settings: str
) -> tuple[list[list[str]], subprocess.CompletedProcess[str]]:
    """The lines that the command prints with this module, by the installed script."""
    (folder / "orchard.py").write_text(module)
    db = folder / "scopegate.db"
    stores.run_once(db, ada)
    done = scopegate(
        *("check", *stores.option(db)),
        folder=folder,
        settings={"SCOPEGATE_HANDLERS": "orchard", **settings},
        program=SCRIPT,
    )
    return [line.split(maxsplit=1) for line in done.stdout.splitlines()[1:]], done


def test_checks_of_plugins_are_run_and_one_that_fails_hinders_none(tmp_path: Path) -> None:
    lines, done = checked_with(tmp_path, ORCHARD)
    built_in = [*OF_FILES_HERE, *ALWAYS]
    assert lines[: len(built_in)] == [[name, "ok"] for name in built_in]
    trees, apple, missing, *others = lines[len(built_in) :]
    assert trees == ["orchard.trees", "ada@example.com has no tree"]
    assert apple == ["orchard.fruit", "apple 1 is rotten"]
    assert missing[0] == "orchard.fruit"
    assert missing[1].startswith("cannot be checked: ")
    assert "orchard_fruit" in missing[1]
    assert others == [
        ["orchard.baskets", "cannot be checked: KeyError: 'basket 7'"],
        ["orchard.ladders", "ok"],
    ]
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.lengthy
def test_a_plugin_is_not_checked_before_its_tables_are_there(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_fruit.sql").write_text(
        "CREATE TABLE orchard_fruit (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n"
    )
    module = """
from pathlib import Path
from scopegate import Plugin


def fruit(reader):
    return [f"{row['name']} is rotten" for row in reader.all("SELECT name FROM orchard_fruit")]


orchard = Plugin(
    name="orchard", checks={"fruit": fruit}, migrations=Path(__file__).parent / "migrations"
)
"""
    lines, done = checked_with(tmp_path, module)
    assert (lines[-1], done.returncode) == (["orchard.fruit", "ok"], 0)
    with stores.connected(stores.at(tmp_path / "scopegate.db")) as connection:
        migrate(connection, plugins={"orchard": tmp_path / "migrations"})

    def pick(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO orchard_fruit (id, name) VALUES (1, 'apple')")

    stores.run_once(tmp_path / "scopegate.db", pick)
    lines, done = checked_with(tmp_path, module)
    assert (lines[-1], done.returncode) == (["orchard.fruit", "apple is rotten"], 1)


def test_without_the_exchange_its_tables_are_not_checked(tmp_path: Path) -> None:
    lines, _ = checked_with(tmp_path, ORCHARD, SCOPEGATE_WITHOUT="exchange")
    names = [name for name, _ in lines]
    assert names[: len(OF_FILES_HERE) + 3] == [
        *OF_FILES_HERE,
        *("authorizations", "audit", "orchard.trees"),
    ]


@pytest.mark.lengthy
def test_two_checks_of_a_name_are_refused(tmp_path: Path) -> None:
    more = 'more = Plugin(name="orchard", checks={"trees": ladders})\n'
    lines, done = checked_with(tmp_path, ORCHARD + more)
    assert (lines, done.returncode) == ([], 1)
    assert done.stderr == (
        "Error: two checks have the name orchard.trees: rename a plugin or a check\n"
    )
    trusted = Plugin(name="orchard", checks={"audit": lambda _: ()}, trusted=True)
    with pytest.raises(DeclarationError, match="two checks have the name audit"):
        integrity.checks_of((trusted,))
