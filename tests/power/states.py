"""The states in which a loss of power may leave the files, at a place in a recording.

Rules (those of a file system that promises no more than POSIX does):
- What was written to a file before a sync began is there once that sync has ended.
- Of what was written since, any part may be there, in any order: whole writes, or single sectors
  of `SECTOR` bytes; and a sector may be zeros if its file grew.
- A file that was removed may still be there.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.power.recording import Operation

SECTOR = 512
KINDS = ("none", "all", "prefix", "subset", "reordered", "torn", "zeroed")
"""What is left of the unsynced writes."""


@dataclass
class _File:
    durable: bytearray | None = None
    """Its content as the last sync has left it; `None` if it need not be there."""
    pending: list[Operation] = field(default_factory=list)
    is_syncing: bool = False
    syncing: int = 0
    """How many of them the sync covers that has begun."""


def apply(content: bytearray, operation: Operation) -> None:
    """Write to, or truncate, a content."""
    if operation.kind == "t":
        del content[operation.offset :]
        content.extend(bytes(operation.offset - len(content)))
        return
    end = operation.offset + len(operation.data)
    content.extend(bytes(max(0, end - len(content))))
    content[operation.offset : end] = operation.data


class Disk:
    """Files as they were written, and as much of them as is certain."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        """`files` is what was there before the recording."""
        self.files = {name: _File(bytearray(data)) for name, data in (files or {}).items()}

    def do(self, operation: Operation) -> None:
        """Take the next operation of the recording."""
        kind, name = operation.kind, operation.name
        if kind not in "wtbeu":
            return
        file = self.files.setdefault(name, _File())
        if kind in "wtu":
            file.pending.append(operation)
        elif kind == "b":
            assert not file.is_syncing, "two processes sync a file at once"
            file.is_syncing, file.syncing = True, len(file.pending)
        elif kind == "e":
            content = _content(file.durable, file.pending[: file.syncing])
            file.durable = content
            del file.pending[: file.syncing]
            file.is_syncing = False

    def written(self) -> dict[str, bytes]:
        """The files as a process sees them: everything that was written is there."""
        contents = {n: _content(f.durable, f.pending) for n, f in self.files.items()}
        return {name: bytes(data) for name, data in contents.items() if data is not None}

    def after_loss(self, kind: str, chance: random.Random) -> dict[str, bytes]:
        """The files after a loss of power of this kind."""
        found = {}
        for name, file in self.files.items():
            content = _content(file.durable, _left(kind, file.pending, chance))
            if content is not None:
                found[name] = bytes(content)
        return found


def _content(durable: bytearray | None, operations: list[Operation]) -> bytearray | None:
    content = None if durable is None else bytearray(durable)
    for operation in operations:
        if operation.kind == "u":
            content = None
        else:
            content = bytearray() if content is None else content
            apply(content, operation)
    return content


def _left(kind: str, pending: list[Operation], chance: random.Random) -> list[Operation]:
    """What is left of the unsynced operations on one file."""
    if kind == "none":
        return []
    if kind == "all":
        return pending
    if kind == "prefix":
        return pending[: chance.randint(0, len(pending))]
    left = [each for each in pending if chance.random() < 0.5]
    if kind == "reordered":
        chance.shuffle(left)
    if kind in ("torn", "zeroed"):
        return [part for each in pending for part in _sectors(each, kind, chance)]
    return left


def _sectors(operation: Operation, kind: str, chance: random.Random) -> Iterator[Operation]:
    if operation.kind != "w":
        yield operation
        return
    data = operation.data
    for begin in range(0, len(data), SECTOR):
        part = data[begin : begin + SECTOR]
        if chance.random() < 0.7:
            yield operation._replace(offset=operation.offset + begin, data=part)
        elif kind == "zeroed":
            yield operation._replace(offset=operation.offset + begin, data=bytes(len(part)))


def place(files: dict[str, bytes], original: Path, target: Path) -> None:
    """Write the files of a state under another name; shared memory does not outlive a loss."""
    for name, data in files.items():
        suffix = name.removeprefix(str(original))
        if suffix in ("", "-wal", "-journal"):
            Path(f"{target}{suffix}").write_bytes(data)
