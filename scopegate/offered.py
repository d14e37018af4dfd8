"""What a gateway offered when it last started on a database: its scopes and its plugins.

The commands that look after a database know by it what a token can be made for.
"""

from collections.abc import Iterable, Sequence

import orjson

from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.plugins import EXCHANGE, Plugin
from scopegate.schemas.scopes import Scopes
from scopegate.store import meta
from scopegate.store.sqlite import Snapshot, Transaction

_SCOPES = "scopes"
_PLUGINS = "plugins"


def store_offered(transaction: Transaction, scopes: Scopes, plugins: Iterable[Plugin]) -> None:
    """Write down the names of the scopes and of the plugins of this start."""
    rows = {_SCOPES: [str(scope) for scope in scopes], _PLUGINS: [each.name for each in plugins]}
    for name, values in rows.items():
        if _kept(transaction, name) != values:
            meta.put(transaction, name, orjson.dumps(values).decode())


def scopes_of(reader: Snapshot) -> Sequence[str]:
    """The names of the scopes that can be given, in order.

    A database that was never served will be by `scopegate serve`, so it has those of the exchange.
    """
    return _kept(reader, _SCOPES) or [str(scope) for scope in SCOPES]


def has_exchange(reader: Snapshot) -> bool:
    """Whether the database is one of a paper exchange."""
    plugins = _kept(reader, _PLUGINS)
    return plugins is None or EXCHANGE in plugins


def _kept(reader: Snapshot, name: str) -> list[str] | None:
    text = meta.get(reader, name)
    return None if text is None else orjson.loads(text)
