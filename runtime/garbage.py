"""Python's garbage collector without the long pauses of full collections.

Rules:
- Most objects are released with their last reference; the collector is only needed for cycles.
- A full collection looks at every object and takes some 60 ms for 10,000 open contracts. So objects
  that survive their first collections are frozen, and the automatic collections skip them.
- A cycle that was frozen while in use stays in memory after that. So everything is collected once
  the number of frozen objects has doubled, which a gateway of constant size never does.
"""

import asyncio
import gc
from typing import Any

from scopegate.runtime.supervisor import supervise

YOUNG = (700, 5)
"""New objects before a collection of these, and such collections before one of their survivors:
the latter takes 1 to 3 ms."""
NEVER = 1_000_000_000
CHECK = 60.0
"""Seconds between two checks of the number of frozen objects."""
SLACK = 100_000
"""Frozen objects that are added to the double: few objects are collected quickly anyway."""


class GarbageCollector:
    """Replaces full collections in this process, from `start` to `stop`."""

    def __init__(self) -> None:
        self._needed = 0
        """The number of frozen objects after the last full collection."""
        self._before: tuple[int, int, int] | None = None
        self._checks: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Collect everything once, and freeze what is left."""
        self._before = gc.get_threshold()
        gc.set_threshold(*YOUNG, NEVER)
        gc.callbacks.append(self._collected)
        self._collect_everything()
        self._checks = supervise("garbage", self._check_repeatedly)

    def stop(self) -> None:
        """Restore the collector of Python."""
        if self._checks is not None:
            self._checks.cancel()
        if self._before is not None:
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*self._before)
            gc.unfreeze()

    def check(self) -> bool:
        """Collect everything if the frozen objects have doubled; return whether that was so."""
        if gc.get_freeze_count() <= 2 * self._needed + SLACK:
            return False
        self._collect_everything()
        return True

    async def _check_repeatedly(self) -> None:
        while True:
            await asyncio.sleep(CHECK)
            self.check()

    def _collect_everything(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._needed = gc.get_freeze_count()

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        """Freeze the survivors of a collection of the second generation."""
        if phase == "stop" and info["generation"] == 1:
            gc.freeze()
