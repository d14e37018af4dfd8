"""What is wrong is said in one line that names it, and never with a traceback."""

import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

import pytest
import structlog
from click.testing import CliRunner

from scopegate import market_start
from scopegate.cli import cli
from scopegate.exchange.symbols import FEED_VERSION
from tests.incubator import INTERPRETER
from tests.served import SCRIPT, scopegate
from tests.stores import run_once

pytestmark = pytest.mark.sqlite

CALLS_WITHOUT_NEEDS = '''
from typing_extensions import TypedDict

from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.schemas.fields import Request, Text


class Greet(Request):
    greet: Text


class Greeting(TypedDict):
    greet: str


class Greeter:
    """Greetings."""

    @call("greet")
    async def greet(self, request: Greet, session: Session) -> Greeting:
        """Say hello."""
        return {"greet": f"Hello, {request.greet}"}
'''


@pytest.fixture(autouse=True, scope="module")
def _logs_as_before() -> Iterator[None]:
    """A command in this process sets up logs for a whole process: not for the tests that follow."""
    yield
    structlog.reset_defaults()


@dataclass(frozen=True)
class Wrong:
    """A way to start `serve` that is refused, and the words that its line must hold."""

    options: tuple[str, ...]
    words: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = INTERPRETER


WITHOUT_NEEDS = {"greetings.py": CALLS_WITHOUT_NEEDS}

WRONG = {
    "another seed": Wrong(("--db", "kept.db", "--seed", "second"), ("seed", "another")),
    "another start": Wrong(("--db", "kept.db", "--start", "2026-01-02"), ("start", "another time")),
    "port in use": Wrong(("--port", "PORT"), ("cannot listen on 127.0.0.1:PORT", "in use")),
    "db in no folder": Wrong(
        ("--db", "none/x.db", "--port", "0"), ("the folder none", "create it")
    ),
    "db is something else": Wrong(
        ("--db", "notes.txt", "--port", "0"),
        ("notes.txt", "not a database"),
        files={"notes.txt": "Scopegate keeps no notes here, this is a text of mine.\n"},
    ),
    "db is of a later version": Wrong(("--db", "later.db", "--port", "0"), ("schema 900",)),
    "db is of an earlier feed": Wrong(
        ("--db", "earlier.db", "--port", "0"),
        (f"feed 1, this program has feed {FEED_VERSION}", "--db FILE", "nothing was changed"),
    ),
    "speed 0": Wrong(("--speed", "0"), ("speed", "greater than 0")),
    "start is no moment": Wrong(("--start", "yesterday", "--port", "0"), ("start", "yesterday")),
    "no such certificate": Wrong(
        ("--tls-cert", "c.pem", "--tls-key", "k.pem", "--port", "0"), ("tls_cert", "No such file")
    ),
    "no such handlers": Wrong(("--handlers", "greetings", "--port", "0"), ("import greetings",)),
    "handlers with a mistake": Wrong(
        ("--handlers", "greetings", "--port", "0"),
        ("greetings", "SyntaxError"),
        files={"greetings.py": "class Greeter(\n"},
    ),
    "handlers without needs": Wrong(
        ("--handlers", "greetings", "--port", "0"), ('call "greet"', "needs="), files=WITHOUT_NEEDS
    ),
    # A module in the folder where the user stands is found however the program is started.
    "handlers without needs, by name": Wrong(
        ("--handlers", "greetings", "--port", "0"),
        ('call "greet"', "needs="),
        files=WITHOUT_NEEDS,
        program=SCRIPT,
    ),
}

Outcome = CompletedProcess[str] | TimeoutExpired


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Outcome], int]]:
    """What came of every wrong start, each in a folder of its own, and the port in use."""
    root = tmp_path_factory.mktemp("refused")
    found = root / "found"
    found.mkdir()
    run_once(
        found / "kept.db",
        lambda transaction: market_start.settle(
            transaction,
            market_start.foresee(transaction, seed="first", start="2026-01-01", speed=1.0),
        ),
    )
    shutil.copy(found / "kept.db", found / "earlier.db")
    with closing(sqlite3.connect(found / "earlier.db")) as earlier, earlier:
        earlier.execute("DELETE FROM meta WHERE name = 'feed'")
    with closing(sqlite3.connect(found / "later.db")) as later:
        later.execute("PRAGMA user_version = 900")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        def start(name: str, wrong: Wrong) -> Outcome:
            folder = root / name.replace(" ", "-")
            shutil.copytree(found, folder)
            for file, text in wrong.files.items():
                (folder / file).write_text(text)
            options = [option.replace("PORT", str(port)) for option in wrong.options]
            try:
                return scopegate(
                    "serve",
                    *options,
                    folder=folder,
                    program=wrong.program,
                    patience=20.0,
                )
            except TimeoutExpired as serving:
                return serving

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            yield dict(zip(WRONG, threads.map(start, WRONG, WRONG.values()), strict=True)), port


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_start_is_refused_in_one_line(
    name: str, outcomes: tuple[dict[str, Outcome], int]
) -> None:
    found, port = outcomes
    outcome = found[name]
    assert isinstance(outcome, CompletedProcess), "it serves"
    assert outcome.stdout == ""
    line, *more = outcome.stderr.splitlines()
    assert more == []
    assert line.startswith("Error: ")
    for word in WRONG[name].words:
        assert word.replace("PORT", str(port)) in line
    assert outcome.returncode == 1


# Commands other than `serve`. They run in this process: what is looked at is what they say.

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "token create": ("--loginid", "VRTC9000001", "--scopes", "read", "--name", "Bot"),
    "token list": (),
    "token revoke": ("1",),
    "token uses": ("1",),
    "account list": (),
    "account credit": ("--loginid", "VRTC9000001", "--amount", "1"),
    "account reset": ("--loginid", "VRTC9000001"),
    "fault start": ("latency", "--token", "1"),
    "fault list": (),
    "fault end": ("1",),
    "user create": ("--email", "ada@example.com", "--password", "long enough"),
    "user list": (),
    "user disable": ("--email", "ada@example.com"),
    "user enable": ("--email", "ada@example.com"),
    "user password": ("--email", "ada@example.com", "--password", "long enough"),
    "app create": ("--name", "Bot"),
    "app disable": ("--app-id", "1090"),
    "app enable": ("--app-id", "1090"),
    "app list": (),
}


def refusal(*arguments: str) -> str:
    """The one line with which the command line refuses."""
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert result.stdout == ""
    line, *more = result.stderr.splitlines()
    assert more == []
    assert line.startswith("Error: ")
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_makes_no_database(command: str, tmp_path: Path) -> None:
    db = tmp_path / "none.db"
    line = refusal(*command.split(), *COMMANDS[command], "--db", str(db))
    assert f"there is no database {db}" in line
    assert not db.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 5555", "prot"),
        ('speed = "fast"', "speed"),
        ("port: 5555", "settings file"),
    ],
)
def test_a_settings_file_with_a_mistake_is_refused(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scopegate.toml").write_text(text)
    # Every command reads it, also where it has no use for that line.
    assert words in refusal("serve", "--port", "0")
    assert words in refusal("account", "list")


def test_a_command_without_db_says_which_it_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no database scopegate.db" in refusal("account", "list")
    (tmp_path / "scopegate.toml").write_text('db = "from-the-file.db"\n')
    assert "there is no database from-the-file.db" in refusal("account", "list")
    monkeypatch.setenv("SCOPEGATE_DB", "from-the-environment.db")
    assert "there is no database from-the-environment.db" in refusal("account", "list")
    assert list(tmp_path.iterdir()) == [tmp_path / "scopegate.toml"]


def test_a_settings_file_that_is_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPEGATE_SETTINGS", str(tmp_path / "mistyped.toml"))
    run_once(tmp_path / "x.db", lambda transaction: transaction.one("SELECT 1"))
    monkeypatch.setenv("SCOPEGATE_DB", str(tmp_path / "x.db"))
    assert "mistyped.toml" in refusal("account", "list")


TOO_LONG = "x" * 300
"""A name that the system refuses, as it refuses a file in a folder that a user may not enter."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_out_of_reach_is_refused(command: str, tmp_path: Path) -> None:
    line = refusal(*command.split(), *COMMANDS[command], "--db", str(tmp_path / TOO_LONG))
    assert "File name too long" in line


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_backup_out_of_reach_is_refused(command: str, db: Path, tmp_path: Path) -> None:
    line = refusal(command, str(tmp_path / TOO_LONG), "--db", str(db))
    assert "File name too long" in line


def test_a_settings_file_out_of_reach_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOPEGATE_SETTINGS", str(tmp_path / TOO_LONG))
    for command in (["serve", "--port", "0"], ["doctor"], ["account", "list"]):
        assert "the settings file cannot be read: " in refusal(*command)


@pytest.mark.parametrize("command", ["account list", "token create"])
def test_a_file_that_is_no_database_is_refused(command: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("Scopegate keeps no notes here, this is a text of mine.\n")
    line = refusal(*command.split(), *COMMANDS[command], "--db", str(notes))
    assert "notes.txt" in line
    assert "not a database" in line
    assert notes.read_text().startswith("Scopegate keeps no notes")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one user, `ada@example.com`, of accounts CR900001 and VRTC9000001."""
    path = tmp_path_factory.mktemp("commands") / "scopegate.db"
    run_once(path, lambda transaction: transaction.one("SELECT 1"))
    made = CliRunner().invoke(cli, ["user", "create", *COMMANDS["user create"], "--db", str(path)])
    assert made.stdout.split() == ["CR900001", "VRTC9000001"], made.output
    return path


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("token create --loginid VRTC1 --scopes read --name Bot", "no account VRTC1"),
        ("token revoke 1", "no such token"),
        ("token uses 1", "no such token"),
        ("account credit --loginid VRTC1 --amount 1", "no account VRTC1"),
        ("account credit --loginid CR900001 --amount 0", "must not be 0"),
        ("account credit --loginid CR900001 --amount 1.005", "2 decimals"),
        ("account credit --loginid CR900001 --amount much", "'much' is not an amount"),
        ("account credit --loginid CR900001 --amount nan", "'nan' is not an amount"),
        (
            "account credit --loginid CR900001 --amount -10000.01",
            "the balance of CR900001 is too small",
        ),
        ("account credit --loginid CR900001 --amount 1e30", "above a trillion"),
        ("account reset --loginid VRTC1", "no account VRTC1"),
        ("user create --email ada@example.com --password longenough", "already"),
        ("user disable --email eve@example.com", "no user eve@example.com"),
        ("user enable --email eve@example.com", "no user eve@example.com"),
        ("app disable --app-id 999", "no app 999"),
        ("app disable --app-id 1089", "own pages use it"),
        ("app enable --app-id 999", "no app 999"),
        ("user password --email eve@example.com --password longenough", "no user eve@example.com"),
        ("app create --name !", "name:"),
        (
            "app create --name Bot --redirect-uri http://example.com",
            "redirect_uri: Must be an https",
        ),
        ("app create --name Bot --email eve@example.com", "no user eve@example.com"),
    ],
)
def test_a_command_that_cannot_be_done_says_why_and_does_nothing(
    db: Path, command: str, words: str
) -> None:
    with closing(sqlite3.connect(db)) as before:
        dump = list(before.iterdump())
    assert words in refusal(*command.split(), "--db", str(db))
    with closing(sqlite3.connect(db)) as after:
        assert list(after.iterdump()) == dump


def test_no_token_is_made_that_opens_nothing(db: Path, tmp_path: Path) -> None:
    """A user who is locked out gets no token: it would be printed, and refused everywhere."""
    own = str(tmp_path / "own.db")
    shutil.copy(db, own)
    disabled = CliRunner().invoke(cli, ["user", "disable", *COMMANDS["user disable"], "--db", own])
    assert disabled.exit_code == 0
    line = refusal("token", "create", *COMMANDS["token create"], "--db", own)
    assert "disabled" in line
