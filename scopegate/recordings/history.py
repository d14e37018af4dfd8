"""What bots and the gateway of a test have sent each other so far, in memory.

Rules:
- The texts are kept as they are, and masked when they are written or read: a test that does neither
  pays only for the list.
- Times are those of the market, so the same test gives the same recording.
"""

import io
from collections.abc import Callable, Collection
from pathlib import Path

from scopegate.recordings.lines import Direction, Entry, Recorder, parsed_lines

_Write = Callable[[Recorder], object]


class History:
    """Everything that happened on the connections of bots, in order."""

    def __init__(self, seed: str, now: Callable[[], float], secret_fields: Collection[str]) -> None:
        """`now` returns the market time; `secret_fields` are those of all calls."""
        self._seed = seed
        self._now = now
        self._start = now()
        self._secret_fields = secret_fields
        self._connections = 0
        self._writes: list[_Write] = []

    @property
    def _at(self) -> float:
        return self._now() - self._start

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

    def struck(self, fault: str) -> None:
        """Note that a fault has struck."""
        at = self._at
        self._writes.append(lambda recorder: recorder.struck(at, fault))

    def write(self, recorder: Recorder) -> None:
        """Write it to a recorder that has written nothing yet."""
        recorder.market(self._seed, self._start)
        for write in self._writes:
            write(recorder)

    def save(self, path: Path) -> None:
        """Write it to a new file. Raises `RecordingError`."""
        recorder = Recorder.create(path, self._secret_fields)
        try:
            self.write(recorder)
        finally:
            recorder.close()

    def entries(self) -> list[Entry]:
        """Return it as `lines.read` would return its file."""
        file = io.BytesIO()
        self.write(Recorder(file, self._secret_fields))
        return parsed_lines(file.getvalue(), "the history of this gateway")
