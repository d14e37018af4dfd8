"""The writer process, which ends by itself at its first COMMIT: before or after it."""

import os
import sqlite3
from typing import Any

from scopegate.store import sqlite_connection, writer_main
from scopegate.store.sqlite_connection import SqliteConnection


class _Dying(SqliteConnection):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return super().execute(sql, *parameters)
        if os.environ["DIES"] == "after":
            super().execute(sql)
        os._exit(5)


sqlite_connection.SqliteConnection = _Dying  # type: ignore[misc]
writer_main.main()
