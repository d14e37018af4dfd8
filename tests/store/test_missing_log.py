"""A lost write-ahead log is noticed, and a backup is put back."""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from scopegate.commands.restore import restore as command
from scopegate.store import files, missing_log
from scopegate.store.errors import StoreDamagedError, StoreError
from scopegate.store.sqlite import SqliteStore
from scopegate.store.sqlite_connection import log_of
from tests.process.test_machine_faults import why_no_attributes

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.skipif(bool(why_no_attributes()), reason=why_no_attributes()),
]


def put(path: Path, name: str) -> None:
    """Commit something, as the command line does."""
    files.run_once(
        path, lambda transaction: transaction.execute("INSERT INTO meta VALUES (?, 'x')", name)
    )


def names(path: Path) -> set[str]:
    """What was committed."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM meta WHERE value = 'x'")}


async def killed(path: Path) -> None:
    """A store that has committed something, and whose process was killed: only its log has that."""
    store = SqliteStore(path)
    await store.open()
    await store.write(lambda transaction: transaction.execute("INSERT INTO meta VALUES ('a', 'x')"))
    await store._note_commits()
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{path}{suffix}", f"{path}{suffix}.left")
    noted = os.getxattr(path, "user.scopegate.commits")
    await store.close()
    for suffix in ("", "-wal"):
        os.replace(f"{path}{suffix}.left", f"{path}{suffix}")
    os.setxattr(path, "user.scopegate.commits", noted)


async def test_it_is_noticed_unless_the_file_has_it_all(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await killed(path)
    missing_log.refuse(path)
    log = log_of(path)
    log.rename(tmp_path / "elsewhere")
    for refused in (
        lambda: missing_log.refuse(path),
        lambda: files.check_file(path),
        lambda: files.prepare(path, None, {}),
        lambda: files.backup(path, tmp_path / "copy.db"),
        lambda: put(path, "b"),
    ):
        with pytest.raises(StoreDamagedError, match="is missing, which had the latest changes"):
            refused()
    assert not log.exists()  # and none was made
    (tmp_path / "elsewhere").rename(log)
    assert names(path) == {"a"}  # the last one to close the file writes its log back
    assert not log.exists()
    missing_log.refuse(path)
    missing_log.forget(path)
    os.setxattr(path, "user.scopegate.commits", b"no number")
    missing_log.refuse(path)


async def test_a_file_behind_a_link_has_its_log_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "a.db"
    await killed(path)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    missing_log.refuse(link)
    assert files.restore(link, path) is not None
    assert link.is_symlink()


async def test_the_file_itself_is_a_backup_without_its_log(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await killed(path)
    log_of(path).unlink()
    done = CliRunner().invoke(command, [str(path), "--db", str(path)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"restored  {path}\nkept as   {path}.replaced-")
    missing_log.refuse(path)
    assert names(path) == set()


async def test_several_restores_keep_what_was_there(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    assert CliRunner().invoke(command, [str(copy), "--db", str(path)]).exit_code == 1
    await killed(path)
    files.backup(path, copy)
    put(path, "later")
    kept = [files.restore(path, copy) for _ in range(3)]
    assert len(set(kept)) == 3
    assert kept[0] is not None
    assert names(kept[0]) == {"a", "later"}
    assert names(path) == {"a"}
    path.unlink()
    assert files.restore(path, copy) is None
    assert names(path) == {"a"}
    with pytest.raises(StoreError, match="there is no backup"):
        files.restore(path, tmp_path / "none.db")
    server = CliRunner().invoke(command, [str(copy), "--store", "postgresql://localhost/x"])
    assert "use pg_restore" in server.output
