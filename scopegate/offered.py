"""What a gateway had when it last started on a database: scopes, plugins and own markets.

With it, the commands that manage a database check which scopes and restrictions a token can have.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson

from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.schemas.scopes import Scopes
from scopegate.store import meta
from scopegate.store.transactions import Snapshot, Transaction

EXCHANGE: Final = "exchange"
"""The name of the exchange's plugin, which `scopegate serve` has unless it is left out."""

_SCOPES = "scopes"
_PLUGINS = "plugins"
_MARKET = "market "
"""The beginning of the names under which the digests of own markets are stored."""


def store_offered(transaction: Transaction, scopes: Scopes, plugins: Iterable[str]) -> None:
    """Store the names of the scopes and of the plugins of this start."""
    rows = {_SCOPES: [str(scope) for scope in scopes], _PLUGINS: list(plugins)}
    for name, values in rows.items():
        if _stored(transaction, name) != values:
            meta.put(transaction, name, orjson.dumps(values).decode())


def scopes_of(reader: Snapshot) -> Sequence[str]:
    """Return the names of the scopes that a token can have, in order.

    A database that was never served has those of the exchange, as `scopegate serve` offers them.
    """
    return _stored(reader, _SCOPES) or [str(scope) for scope in SCOPES]


def has_exchange(reader: Snapshot) -> bool:
    """Return whether the database has a paper exchange; also if it was never served."""
    plugins = _stored(reader, _PLUGINS)
    return plugins is None or EXCHANGE in plugins


def store_own_markets(transaction: Transaction, digests: Mapping[str, str]) -> None:
    """Store the digests of the files of own markets by their names, in place of any others."""
    transaction.execute("DELETE FROM meta WHERE name LIKE ?", f"{_MARKET}%")
    for name, digest in digests.items():
        meta.put(transaction, f"{_MARKET}{name}", digest)


def own_markets(reader: Snapshot) -> dict[str, str]:
    """Return the names of the own markets that the gateway of this database has.

    Each with the digest of its file.
    """
    rows = reader.all("SELECT name, value FROM meta WHERE name LIKE ? ORDER BY name", f"{_MARKET}%")
    return {row["name"].removeprefix(_MARKET): row["value"] for row in rows}


def _stored(reader: Snapshot, name: str) -> list[str] | None:
    text = meta.get(reader, name)
    return None if text is None else orjson.loads(text)
