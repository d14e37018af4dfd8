"""The tables of plugins: made step by step, and named after the plugin."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopegate.store.errors import StoreError
from scopegate.store.migrating import migrate
from scopegate.store.sqlite import SqliteStore
from scopegate.store.sqlite_connection import connect

pytestmark = pytest.mark.sqlite


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(connect(tmp_path / "x.db")) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_places.sql").write_text("CREATE TABLE weather_places (place TEXT);")
    return made


def test_each_step_runs_once(database: sqlite3.Connection, folder: Path) -> None:
    migrate(database, None, {"weather": folder})
    database.execute("INSERT INTO weather_places (place) VALUES ('Oslo')")
    (folder / "0002_sky.sql").write_text("ALTER TABLE weather_places ADD COLUMN sky TEXT;")
    migrate(database, None, {"weather": folder})
    migrate(database, None, {"weather": folder})
    [row] = database.execute("SELECT * FROM weather_places").fetchall()
    assert dict(row) == {"place": "Oslo", "sky": None}
    [kept] = database.execute("SELECT * FROM plugin_migrations").fetchall()
    assert tuple(kept) == ("weather", 2)


def test_the_last_statement_may_do_without_its_semicolon(
    database: sqlite3.Connection, folder: Path
) -> None:
    (folder / "0001_places.sql").write_text(
        "CREATE TABLE weather_a (x); CREATE TABLE weather_b (x)\n"
    )
    migrate(database, None, {"weather": folder})
    assert database.execute("SELECT count(*) FROM weather_b").fetchone()[0] == 0


async def test_the_database_of_a_running_gateway_is_not_migrated(
    tmp_path: Path, folder: Path
) -> None:
    first = SqliteStore(tmp_path / "x.db", None, {"weather": folder})
    await first.open()
    (folder / "0002_away.sql").write_text("ALTER TABLE weather_places RENAME TO weather_gone;")
    with pytest.raises(StoreError, match="another gateway is serving the database"):
        await SqliteStore(tmp_path / "x.db", None, {"weather": folder}).open()
    assert await first.read(lambda reader: reader.all("SELECT * FROM weather_places")) == []
    await first.close()


@pytest.mark.parametrize("fault", ["missing", "empty", "not text"])
def test_a_folder_without_migrations_is_named(
    database: sqlite3.Connection, folder: Path, fault: str
) -> None:
    (folder / "0001_places.sql").unlink()
    if fault == "not text":
        (folder / "0001_places.sql").write_bytes(b"\xff\xfe")
    if fault == "missing":
        folder.rmdir()
    with pytest.raises(StoreError, match="migration"):
        migrate(database, None, {"weather": folder})


def test_without_its_plugin_a_table_stays(database: sqlite3.Connection, folder: Path) -> None:
    migrate(database, None, {"weather": folder})
    migrate(database)
    assert database.execute("SELECT count(*) FROM weather_places").fetchone()[0] == 0


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE TABLE places (x);", "changes places: the names of its tables"),
        ("CREATE TABLE weather_a (x); CREATE INDEX by_x ON weather_a (x);", "changes by_x"),
        ("ALTER TABLE users ADD COLUMN sky TEXT;", "changes users"),
        ("DROP TABLE token_uses;", "changes token_uses"),
        ("CREATE TABLE weather_a (x); NONSENSE;", "migration 1 of weather failed"),
        ("CREATE TABLE weather_a (x); COMMIT; DROP TABLE users;", "begins or ends a transaction"),
    ],
)
def test_a_step_that_reaches_beyond_its_plugin_is_undone(
    database: sqlite3.Connection, folder: Path, script: str, said: str
) -> None:
    (folder / "0001_places.sql").write_text(script)
    with pytest.raises(StoreError, match=said):
        migrate(database, None, {"weather": folder})
    names = {row[0] for row in database.execute("SELECT name FROM sqlite_schema").fetchall()}
    assert not {name for name in names if name.startswith("weather_")}
    assert "token_uses" in names
    assert database.execute("SELECT * FROM plugin_migrations").fetchall() == []


def test_a_gap_and_a_newer_database_are_refused(database: sqlite3.Connection, folder: Path) -> None:
    (folder / "0002_more.sql").write_text("CREATE TABLE weather_more (x);")
    migrate(database, None, {"weather": folder})
    (folder / "0002_more.sql").unlink()
    with pytest.raises(StoreError, match="the tables of weather have version 2"):
        migrate(database, None, {"weather": folder})
    (folder / "0003_late.sql").write_text("CREATE TABLE weather_late (x);")
    with pytest.raises(StoreError, match="numbered without a gap"):
        migrate(database, None, {"weather": folder})
