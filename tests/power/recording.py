"""What the gateway has done with its files, and what it has sent meanwhile, in one order."""

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tests.power.preloaded import library
from tests.simulation.frames import TEXT, FrameReader

_HEAD = struct.Struct("<cHIQ")
_LOGIN_ID = re.compile(r"(CR|VRTC)\d+")


class Operation(NamedTuple):
    """One record of the log.

    Kinds: `w`rite, `t`runcate, `b`egin and `e`nd of a sync, `u`nlink; `s`ent to a socket, `f`ailed
    or `p`artly sent, `o`utput.
    """

    kind: str
    name: str
    offset: int
    data: bytes


class Fact(NamedTuple):
    """Something that somebody was told."""

    place: int
    """Where in the log that was."""
    what: str
    """`buy`, `sell` or `cancel`, or `account` for one that the command line has opened."""
    about: str
    """The id of the contract or of the account."""
    entry: int = 0
    """The ledger entry of a trade."""


def variables(db: Path, log: Path) -> Mapping[str, str]:
    """The environment of a gateway that is recorded."""
    return {
        "LD_PRELOAD": str(library("recorder.c")),
        "RECORDER_LOG": str(log),
        "RECORDER_FILES": str(db),
    }


def operations(log: Path) -> list[Operation]:
    """Read a log. Its last record may be incomplete if its process was killed."""
    data, at, found = log.read_bytes(), 0, []
    while len(data) - at >= _HEAD.size:
        kind, name_size, data_size, offset = _HEAD.unpack_from(data, at)
        begin = at + _HEAD.size
        end = begin + name_size + data_size
        if end > len(data):
            break
        name = data[begin : begin + name_size].decode()
        found.append(Operation(kind.decode(), name, offset, data[begin + name_size : end]))
        at = end
    return found


def facts(recorded: list[Operation]) -> Iterator[Fact]:
    """What was acknowledged, to clients and by the command line."""
    readers: dict[int, FrameReader] = {}
    failed = _failed(recorded)
    for place, (kind, _, source, data) in enumerate(recorded):
        assert kind != "p", "a message was sent in parts"
        if kind == "o":
            for line in data.decode().splitlines():
                if _LOGIN_ID.fullmatch(line):
                    yield Fact(place, "account", line)
        elif kind == "s" and place not in failed:
            if data.startswith(b"HTTP/1.1 "):
                readers[source] = FrameReader()
            for frame, payload, _ in readers[source].read(data) if source in readers else ():
                if frame == TEXT:
                    yield from _acknowledged(place, orjson.loads(payload))


def _acknowledged(place: int, message: dict[str, Any]) -> Iterator[Fact]:
    for call in ("buy", "sell", "cancel"):
        if call in message and "error" not in message:
            body = message[call]
            yield Fact(place, call, str(body["contract_id"]), body["transaction_id"])


def _failed(recorded: list[Operation]) -> set[int]:
    """The places of what could not be sent: its client had gone, or did not read."""
    last: dict[int, int] = {}
    found = set()
    for place, operation in enumerate(recorded):
        if operation.kind == "s":
            last[operation.offset] = place
        elif operation.kind == "f":
            found.add(last[operation.offset])
    return found
