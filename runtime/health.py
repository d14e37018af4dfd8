"""Whether a process can serve clients: parts of the gateway, and plugins, add their checks.

Rule: a check that raises an exception is logged and counts as a fault, since nobody knows then.
"""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import structlog

from scopegate.runtime.metrics import Metric, gauge

Check: TypeAlias = Callable[[], str | None]
"""Returns why clients should be sent to another gateway at present, or `None`. It must not wait."""

OVERDUE = 5.0
"""Real seconds after which what should have happened counts as a fault."""
UNKNOWN: Final = "a check of the health failed: the log says why"

log = structlog.get_logger("scopegate.health")


class Health:
    """All checks of a process."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def add(self, check: Check) -> None:
        """Call `check` whenever the health is asked for."""
        self._checks.append(check)

    def fault(self) -> str | None:
        """Return the first reason why clients should be sent elsewhere, or `None`."""
        for check in self._checks:
            try:
                fault = check()
            except Exception as problem:
                log.error("a check of the health failed", exc_info=problem)
                fault = UNKNOWN
            if fault is not None:
                return fault
        return None

    def metrics(self) -> Iterator[Metric]:
        """Return whether clients can be served."""
        yield gauge("ready", "1 if clients can be served, 0 if not.", self.fault() is None)
