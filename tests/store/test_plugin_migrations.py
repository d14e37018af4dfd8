"""The tables of plugins: made step by step, and named after the plugin."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopegate.store.sqlite import StoreError, connect, migrate


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
