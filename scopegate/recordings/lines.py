"""The file of a recording: JSON Lines, one line for each message.

    {"connection": 1, "at": 0.012, "direction": "sent", "message": {"ticks": "R_100"}}
    {"connection": 1, "at": 0.015, "direction": "received", "message": {"tick": {…}, …}}

Rules:
- The direction is that of the client: it has `sent` the message, or `received` it.
- Everything is masked before it reaches the file (`masking`), also the messages of a file that
  somebody else has written.
- A message that is not a JSON object is not written: it could hold a secret that cannot be found.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Self
from urllib.parse import parse_qsl, urlencode

import orjson

from scopegate.recordings.masking import Masks

Direction = Literal["sent", "received"]

_QUERY = ("app_id", "l", "brand")
"""The parameters of a connection's address that are recorded; others could hold secrets."""


class RecordingError(Exception):
    """Raised for a file that is not a recording, or that cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A client has connected."""

    connection: int
    at: float
    """Seconds since the beginning of the recording."""
    query: dict[str, str]
    """Parameters of its address, such as `app_id`."""
    line: int = 0
    """The number of its line in the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message in either direction. Two of the same content are two messages."""

    connection: int
    at: float
    direction: Direction
    body: dict[str, Any] | None
    """The masked message; `None` if it was not a JSON object."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection has ended."""

    connection: int
    at: float
    by: Literal["client", "gateway"]
    code: int
    """The close code; 1006 if there was none."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that a test has begun has struck, during the message before it."""

    at: float
    fault: str
    """The fault with its options, such as `drop after=buy`."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Market:
    """The market of the gateway, if that is known: its prices follow from the seed."""

    seed: str
    start: float
    """The market time at which the recording begins, in epoch seconds."""


Entry = Opened | Message | Closed | Struck | Market
OfConnection = Opened | Message | Closed


def read(path: Path) -> list[Entry]:
    """Return the entries of a recording, masked. Raises `RecordingError`.

    In a file that another program wrote, only `direction` and `message` are needed: without
    `connection` all messages are of one connection, and `at` may begin at any number of seconds.
    """
    try:
        text = path.read_bytes()
    except OSError as problem:
        raise RecordingError(f"{path}: {problem.strerror}") from None
    return parsed_lines(text, str(path))


def parsed_lines(text: bytes, name: str) -> list[Entry]:
    """Return the entries in the text of a file, as `read` does; `name` is for errors."""
    masks = Masks()
    connections: dict[Any, int] = {}
    entries: list[Entry] = []
    start: float | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise RecordingError(f"{where}: it is not JSON; write one message a line") from None
        if not isinstance(data, dict):
            raise RecordingError(f"{where}: it must be an object, with direction and message")
        at = data.get("at", 0.0 if start is None else start)
        if isinstance(at, bool) or not isinstance(at, int | float):
            raise RecordingError(f"{where}: at: it must be a number of seconds")
        start = at if start is None else start
        if data.get("event") in ("fault", "market"):
            entries.append(_of_gateway(data, where, at - start, number))
            continue
        named = data.get("connection", 1)
        if not isinstance(named, int | str):
            raise RecordingError(f"{where}: connection: it must be a number or a name")
        connection = connections.setdefault(named, len(connections) + 1)
        entries.append(_entry(data, where, masks, connection, at - start, number))
    return entries


def _of_gateway(data: dict[str, Any], where: str, at: float, line: int) -> Entry:
    fault, seed, begun = data.get("fault"), data.get("seed"), data.get("start")
    if data["event"] == "fault" and isinstance(fault, str):
        return Struck(at, fault, line)
    if isinstance(seed, str) and isinstance(begun, int | float):
        return Market(seed, begun)
    raise RecordingError(f"{where}: a fault needs its fault, and a market its seed and start")


def _entry(
    data: dict[str, Any], where: str, masks: Masks, connection: int, at: float, line: int
) -> OfConnection:
    event = data.get("event")
    if event == "opened":
        query = data.get("query", {})
        if not isinstance(query, dict):
            raise RecordingError(
                f"{where}: query: it must be an object, such as {{'app_id': '1089'}}"
            )
        named = {str(name): masks.text(str(value)) for name, value in query.items()}
        return Opened(connection, at, named, line)
    if event == "closed":
        by, code = data.get("by"), data.get("code")
        if by not in ("client", "gateway") or not isinstance(code, int):
            raise RecordingError(f"{where}: by must be client or gateway, and code a number")
        return Closed(connection, at, by, code, line)
    if event is not None:
        raise RecordingError(f"{where}: event: it must be opened or closed")
    direction = data.get("direction")
    if direction not in ("sent", "received"):
        raise RecordingError(
            f"{where}: direction: it must be sent (by the client) or received (by the client)"
        )
    body = data.get("message")
    if body is None and isinstance(data.get("unreadable"), int):
        return Message(connection, at, direction, None, line)
    if not isinstance(body, dict):
        raise RecordingError(f"{where}: message: it must be the message, as a JSON object")
    return Message(connection, at, direction, masks.masked(body), line)


class Recorder:
    """Writes what clients and a gateway send each other to a file, without secrets."""

    def __init__(self, file: IO[bytes], secret_fields: Collection[str] = ()) -> None:
        """`secret_fields` are fields with secrets, besides those that are known."""
        self._file = file
        self.masks = Masks(secret_fields)
        """What is written instead of the secrets that were found so far."""
        self._connections = 0
        self.messages = 0
        """How many messages were written."""
        self._failure: OSError | None = None

    @classmethod
    def create(cls, path: Path, secret_fields: Collection[str] = ()) -> Self:
        """Create a new file, which only its owner may read. Raises `RecordingError`."""
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise RecordingError(f"{path} exists: choose another file, or delete it") from None
        except OSError as problem:
            raise RecordingError(f"{path}: {problem.strerror}") from None
        return cls(os.fdopen(number, "wb", buffering=0), secret_fields)

    def opened(self, at: float, query: str = "") -> int:
        """Write that a client has connected; return the number of its connection."""
        self._connections += 1
        values = dict(parse_qsl(query, keep_blank_values=True))
        known = {name: self.masks.text(values[name]) for name in _QUERY if name in values}
        self._write(self._connections, at, {"event": "opened", "query": known})
        return self._connections

    def message(self, connection: int, at: float, direction: Direction, text: bytes | str) -> None:
        """Write a message of a client or of the gateway."""
        body = parsed(text)
        shown: dict[str, Any] = {"direction": direction}
        if body is None:
            shown["unreadable"] = len(text)
        else:
            shown["message"] = self.masks.masked(body)
        self._write(connection, at, shown)
        self.messages += self._failure is None

    def closed(
        self, connection: int, at: float, by: Literal["client", "gateway"], code: int
    ) -> None:
        """Write that a connection has ended, and with which close code."""
        self._write(connection, at, {"event": "closed", "by": by, "code": code})

    def struck(self, at: float, fault: str) -> None:
        """Write that a fault has struck."""
        self._put({"at": round(at, 3), "event": "fault", "fault": self.masks.text(fault)})

    def market(self, seed: str, start: float) -> None:
        """Write which market the gateway has."""
        self._put({"at": 0.0, "event": "market", "seed": seed, "start": start})

    def _write(self, connection: int, at: float, rest: dict[str, Any]) -> None:
        self._put({"connection": connection, "at": round(at, 3), **rest})

    def _put(self, line: dict[str, Any]) -> None:
        if self._failure is not None:
            return
        try:
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as problem:  # clients are served all the same
            self._failure = problem

    def close(self) -> None:
        """Close the file. Raises `RecordingError` if not everything could be written to it."""
        self._file.close()
        if self._failure is not None:
            raise RecordingError(
                f"{self._failure.strerror}: the recording is incomplete after"
                f" {self.messages} messages"
            )


def parsed(text: bytes | str) -> dict[str, Any] | None:
    """Return the object in a message; `None` if it holds anything else."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def copied(source: Path, recorder: Recorder) -> None:
    """Write the messages of a file again, masked. Raises `RecordingError`."""
    numbers: dict[int, int] = {}
    entries = read(source)
    for entry in entries:
        if isinstance(entry, Market):
            recorder.market(entry.seed, entry.start)
            continue
        if isinstance(entry, Struck):
            recorder.struck(entry.at, entry.fault)
            continue
        if isinstance(entry, Opened):
            numbers[entry.connection] = recorder.opened(entry.at, urlencode(entry.query))
            continue
        number = numbers.get(entry.connection)
        if number is None:
            number = numbers[entry.connection] = recorder.opened(entry.at)
        if isinstance(entry, Closed):
            recorder.closed(number, entry.at, entry.by, entry.code)
        else:
            text = b"" if entry.body is None else orjson.dumps(entry.body)
            recorder.message(number, entry.at, entry.direction, text)


def each_connection(entries: list[Entry]) -> Iterator[list[OfConnection]]:
    """Yield the entries of each connection, in the order in which the connections begin."""
    of: dict[int, list[OfConnection]] = {}
    for entry in entries:
        if isinstance(entry, OfConnection):
            of.setdefault(entry.connection, []).append(entry)
    yield from of.values()
