"""The writer process, which ends by itself at its first COMMIT: before or after it."""

import os
import sqlite3
from functools import partial
from typing import Any

from scopegate.store import writer_main


class _Dying(sqlite3.Connection):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return super().execute(sql, *parameters)
        if os.environ["DIES"] == "after":
            super().execute(sql)
        os._exit(5)


sqlite3.connect = partial(sqlite3.connect, factory=_Dying)  # type: ignore[assignment]
writer_main.main()
