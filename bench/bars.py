"""Bars: what must hold of a measurement, printed as held or missed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from servers import what_is_measured


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, and what was measured."""

    what: str
    measured: float
    limit: float
    unit: str = "times"
    goal: float | None = None
    """A limit that would be better still, if there is one."""
    at_least: bool = False
    """Whether the limit is a lower one."""

    def holds(self, limit: float | None) -> bool:
        """Whether the measurement is within a limit; never if there is none."""
        if limit is None:
            return False
        return self.measured >= limit if self.at_least else self.measured <= limit

    @property
    def verdict(self) -> str:
        """Whether the bar is held or missed, and the goal reached."""
        if not self.holds(self.limit):
            return "MISSED"
        return "goal" if self.holds(self.goal) else "held"


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the ratios of measurements that were made in the same rounds."""
    return median(a / b for a, b in zip(above, below, strict=True))


def show(bars: Iterable[Bar]) -> None:
    """Print a table of bars."""
    for bar in bars:
        bound = f"{'at least' if bar.at_least else 'at most'} {bar.limit:g}"
        goal = "" if bar.goal is None else f", goal {bar.goal:g}"
        print(f"{bar.verdict:<6} {bar.measured:>9.2f} {bar.unit:<9} {bar.what} ({bound}{goal})")


def report(bars: Sequence[Bar], results: object, file: Path | None) -> None:
    """Print the bars; write them with all results to a JSON file if there is one."""
    show(bars)
    if file is not None:
        every = {"of": what_is_measured(), "results": results, "bars": as_json(bars)}
        file.write_text(json.dumps(every, indent=1))


def as_json(bars: Iterable[Bar]) -> list[dict[str, Any]]:
    """Return the bars for a JSON file."""
    return [{**asdict(bar), "verdict": bar.verdict} for bar in bars]
