"""A gateway without the exchange as a user starts it, and the commands that look after it."""

from pathlib import Path

import pytest

from scopegate.composition import declared
from tests import stores
from tests.incubator import INTERPRETER
from tests.served import Served, scopegate

MODULE = """
from scopegate import Gateway

gateway = Gateway(db="mine.db")
port = 5
"""


class Interpreted(Served):
    """In an interpreter of its own: what it has imported is what it needs."""

    program = INTERPRETER


def mapped(gateway: Served) -> str:
    """The files that the process has in memory; on Linux."""
    maps = Path(f"/proc/{gateway.process.pid}/maps")
    return maps.read_text() if maps.exists() else ""


async def test_it_serves_and_its_commands_know_its_scopes(tmp_path: Path) -> None:
    with Interpreted(tmp_path, "--without", "exchange") as gateway:
        gateway.calls = declared(without=["exchange"])
        assert gateway.loginids == ["AC1001"]
        assert gateway.lines[2] == "account      AC1001"
        assert "numpy" not in mapped(gateway)
        made = gateway.command(
            "token", "create", "--loginid", "AC1001", "--scopes", "read", "--name", "Mine"
        )
        async with gateway.connected() as client:
            assert (await client.authorize(made))["scopes"] == ["read"]
        refused = scopegate(
            *("token", "create", "--loginid", "AC1001", "--scopes", "trade", "--name", "Other"),
            *stores.option(gateway.db),
            folder=tmp_path,
        )
        assert refused.returncode == 1
        assert "use a comma-separated list of read, admin" in refused.stderr
        created = gateway.command(
            "user", "create", "--email", "ada@example.com", "--password", "correct horse"
        )
        assert created == "AC1002"
        assert "AC1001" in gateway.command("token", "list")
        assert gateway.command("account", "list").split() == [
            *("loginid", "kind", "currency", "balance", "AC1001", "AC1002")
        ]
        [_, _, added] = gateway.command("user", "list").splitlines()
        assert "ada@example.com" in added
        assert added.endswith("AC1002")
        no_money = scopegate(
            *("account", "credit", "--loginid", "AC1001", "--amount", "5"),
            *stores.option(gateway.db),
            folder=tmp_path,
        )
        assert "account AC1001 has no money: this gateway has no exchange" in no_money.stderr
        assert gateway.stop() == 0
        assert gateway.stderr == ""


def test_with_the_exchange_its_accounts_get_money(tmp_path: Path) -> None:
    with Served(tmp_path, "--without", "exchange") as gateway:
        assert gateway.stop() == 0
    with Served(tmp_path) as gateway:
        assert gateway.lines[2] == "account      AC1001  10000.00 USD  (real-style, paper money)"
        made = gateway.command(
            "user", "create", "--email", "ada@example.com", "--password", "12345678"
        )
        assert [loginid[:2] for loginid in made.splitlines()] == ["CR", "VR"]
        assert gateway.stop() == 0
        assert gateway.stderr == ""


def test_calls_are_listed_without_it() -> None:
    listed = scopegate("calls", "--without", "exchange", folder=Path.cwd())
    assert listed.returncode == 0
    assert "authorize" in listed.stdout
    assert "balance" not in listed.stdout
    by_setting = scopegate("calls", folder=Path.cwd(), settings={"SCOPEGATE_WITHOUT": "exchange"})
    assert by_setting.stdout == listed.stdout
    fewer = scopegate("calls", "--without", "exchange", "--omit-call", "time", folder=Path.cwd())
    assert set(listed.stdout.splitlines()) - set(fewer.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine:nothing"], "mine:nothing is not a Gateway"),
        (["mine:port"], "mine:port is not a Gateway"),
        (["nowhere"], "cannot import nowhere: ModuleNotFoundError"),
        (["mine", "--without", "exchnge"], "without: there is no plugin exchnge to leave out"),
        (["mine", "--omit-call", "balance"], "there is no call balance to leave out"),
    ],
)
def test_what_cannot_be_served_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    done = scopegate("serve", *arguments, "--port", "0", folder=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "mine.db").exists()


@pytest.mark.sqlite
def test_settings_in_code_are_defaults(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    with Served(tmp_path, "mine") as gateway:
        assert gateway.stop() == 0
    assert gateway.db.exists()
    assert not (tmp_path / "mine.db").exists()
