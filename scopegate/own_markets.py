"""Markets of files: what the setting `market` names, as symbols of this process.

Rules:
- A market is a pure function of the file's bytes and the number of decimals. Each worker process
  reads the file itself.
- The digests of files are stored with the database. Once there are contracts on a market, no start
  without it, or with another file, is accepted: they would end at other prices.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from scopegate import offered
from scopegate.exchange.csv_ticks import RecordingError, parse
from scopegate.exchange.recorded import RecordedSymbol, recorded_symbol
from scopegate.exchange.symbols import SYMBOLS
from scopegate.settings import MarketFile, SettingsError
from scopegate.store.transactions import Snapshot, Transaction

MAX_LINE = 65_536
"""Bytes of the longest line that is read."""
BUILT_IN = len(SYMBOLS)
"""The number of symbols that are not of files."""


@dataclass(frozen=True, slots=True)
class OwnMarkets:
    """The markets of files that a gateway offers."""

    symbols: Sequence[RecordedSymbol] = ()

    @property
    def begins(self) -> float | None:
        """The epoch of the first tick of all; `None` without any."""
        firsts = [int(symbol.recording.epochs[0]) for symbol in self.symbols]
        return float(min(firsts)) if firsts else None

    def check(self, reader: Snapshot, *, joins: bool = False) -> None:
        """Raise `SettingsError` if contracts of the database need other files than these.

        With `joins`, others serve this database already, so it must be the same files as theirs.
        """
        digests = {symbol.name: symbol.recording.digest for symbol in self.symbols}
        stored = offered.own_markets(reader)
        if joins and stored != digests:
            raise SettingsError(
                "market: the other gateways or workers of this database have other markets, or"
                f" other files: name the same ({', '.join(stored) or 'none'})"
            )
        for name, digest in stored.items():
            if digest == digests.get(name) or not _has_contracts(reader, name):
                continue
            if name in digests:
                raise SettingsError(
                    f"market: the file of {name}, or its number of decimals, has changed since"
                    " contracts were bought on it: serve the earlier one, or use another db"
                )
            raise SettingsError(
                f"market: contracts of this database are on {name}: add {name}=FILE, or use another"
                " db"
            )

    def store(self, transaction: Transaction) -> None:
        """Store the digests of these files, in place of any others."""
        digests = {symbol.name: symbol.recording.digest for symbol in self.symbols}
        offered.store_own_markets(transaction, digests)


def _has_contracts(reader: Snapshot, name: str) -> bool:
    """Whether contracts were bought on the symbol."""
    pattern = "%" + f"_{name}_".replace("_", "!_") + "%"
    found = reader.one("SELECT 1 FROM contracts WHERE shortcode LIKE ? ESCAPE '!' LIMIT 1", pattern)
    return found is not None


@contextmanager
def own_markets(files: Sequence[MarketFile]) -> Iterator[OwnMarkets]:
    """Offer the markets of these files within the block. Raises `SettingsError`."""
    made = OwnMarkets([_symbol(*numbered) for numbered in enumerate(files)])
    with ExitStack() as stack:
        try:
            stack.enter_context(SYMBOLS.including(*made.symbols))
        except ValueError as taken:
            raise SettingsError(f"market: {taken} of this process: choose another name") from None
        yield made


def first_moment(files: Sequence[MarketFile]) -> float | None:
    """The epoch of the first tick in these files; `None` without files. Raises `SettingsError`."""
    return OwnMarkets([_symbol(*numbered) for numbered in enumerate(files)]).begins


def _symbol(number: int, file: MarketFile) -> RecordedSymbol:
    try:
        with file.path.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        return _loaded(number, file, content)
    except RecordingError as wrong:
        raise SettingsError(f"market: {file.name}: {file.path}: {wrong}") from None
    except OSError as problem:
        why = problem.strerror or problem
        raise SettingsError(f"market: {file.name}: {file.path} cannot be read: {why}") from None


@lru_cache(maxsize=8)  # gateways of one process, as in tests, share a market and read it once
def _loaded(number: int, file: MarketFile, content: str) -> RecordedSymbol:
    """The symbol of a file with this SHA-256. Raises `RecordingError` or `OSError`."""
    with file.path.open("rb") as opened:
        lines = _Lines(opened)
        recording = parse(lines, lines.digest, digits=file.digits)
    if lines.digest() != content:
        raise RecordingError("the file changed while it was read")
    return recorded_symbol(file.name, recording, BUILT_IN + 1 + number)


class _Lines:
    """The lines of a file as text, and the SHA-256 of those that were read."""

    def __init__(self, opened: BinaryIO) -> None:
        self._opened = opened
        self._hash = hashlib.sha256()

    def digest(self) -> str:
        """Return the SHA-256 so far, in hexadecimal digits."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[str]:
        number = 0
        while line := self._opened.readline(MAX_LINE + 1):
            number += 1
            self._hash.update(line)
            if len(line) > MAX_LINE:
                raise RecordingError(
                    f"line {number} has more than {MAX_LINE} bytes: this is no CSV file of prices"
                )
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise RecordingError(f"line {number} is not UTF-8 text") from None
