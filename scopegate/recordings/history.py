"""What bots and the gateway of a test have sent each other so far, in memory.

Rules:
- The texts are kept as they are, and masked when they are written or read: a test that does neither
  pays only for the list.
- Times are those of the market, so the same test gives the same recording.
"""

import io
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from scopegate.recordings.lines import Direction, Entry, Recorder, parsed_lines
from scopegate.recordings.masking import Masks

NORMAL = 1000

_Write = Callable[[Recorder], object]


@dataclass(frozen=True, slots=True)
class _Left:
    """Writes that a bot has ended its connection."""

    connection: int
    at: float

    def __call__(self, recorder: Recorder) -> None:
        recorder.closed(self.connection, self.at, "client", NORMAL)


class History:
    """Everything that happened on the connections of bots, in order."""

    def __init__(self, seed: str, now: Callable[[], float], secret_fields: Collection[str]) -> None:
        """`now` returns the market time; `secret_fields` are those of all calls."""
        self._seed = seed
        self._now = now
        self.start = now()
        """The market time at which it begins."""
        self._secret_fields = secret_fields
        self._connections = 0
        self._writes: list[_Write] = []

    @property
    def _at(self) -> float:
        return self._now() - self.start

    def opened(self, query: str) -> int:
        """Note that a bot has connected; return the number of its connection."""
        self._connections += 1
        at = self._at
        self._writes.append(lambda recorder: recorder.opened(at, query))
        return self._connections

    def message(self, connection: int, direction: Direction, text: bytes) -> None:
        """Note a message."""
        at, copy = self._at, bytes(text)
        self._writes.append(lambda recorder: recorder.message(connection, at, direction, copy))

    def closed(self, connection: int, code: int) -> None:
        """Note that the gateway has ended a connection."""
        at = self._at
        self._writes.append(lambda recorder: recorder.closed(connection, at, "gateway", code))

    def left(self, connection: int) -> None:
        """Note that a bot has ended its connection."""
        self._writes.append(_Left(connection, self._at))

    def struck(self, fault: str) -> None:
        """Note that a fault has struck."""
        at = self._at
        self._writes.append(lambda recorder: recorder.struck(at, fault))

    def write(self, recorder: Recorder, *, with_leaving: bool) -> None:
        """Write it to a recorder that has written nothing yet.

        When a bot's own end of a connection reaches the gateway is a matter of real time. So a file
        that is to be the same in every run is written without it.
        """
        recorder.market(self._seed, self.start)
        for write in self._writes:
            if with_leaving or not isinstance(write, _Left):
                write(recorder)

    def save(self, path: Path) -> None:
        """Write it to a new file. Raises `RecordingError`."""
        recorder = Recorder.create(path, self._secret_fields)
        try:
            self.write(recorder, with_leaving=False)
        finally:
            recorder.close()

    def read(self) -> tuple[list[Entry], Masks]:
        """Return it as `lines.read` returns a file, and the placeholders of its secrets."""
        file = io.BytesIO()
        recorder = Recorder(file, self._secret_fields)
        self.write(recorder, with_leaving=True)
        return parsed_lines(file.getvalue(), "the history of this gateway"), recorder.masks
