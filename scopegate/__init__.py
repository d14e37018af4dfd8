"""Scopegate: an asynchronous WebSocket API gateway with tokens, scopes and connected apps.

These names are the public API for authors of calls; `docs/adding-a-call.md` shows how to use them.
They do not change within a major version. `scopegate.testing` and `scopegate.testkit` are public
too; all other modules may change with any release.

Each name is imported when it is first used, so importing one module of `scopegate` does not import
the whole gateway.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scopegate.framework import Gateway as Gateway
    from scopegate.framework import Serving as Serving
    from scopegate.gateway.access.accounts import Accounts as Accounts
    from scopegate.gateway.access.guard import Access as Access
    from scopegate.gateway.calls.bus import Bus as Bus
    from scopegate.gateway.calls.channel import Channel as Channel
    from scopegate.gateway.calls.errors import ApiError as ApiError
    from scopegate.gateway.calls.errors import Disconnect as Disconnect
    from scopegate.gateway.calls.idempotency import Idempotency as Idempotency
    from scopegate.gateway.calls.limits import Limit as Limit
    from scopegate.gateway.calls.limits import Per as Per
    from scopegate.gateway.calls.limits import Rate as Rate
    from scopegate.gateway.calls.registry import AT_PAGES as AT_PAGES
    from scopegate.gateway.calls.registry import OWNER as OWNER
    from scopegate.gateway.calls.registry import SIGNED_IN as SIGNED_IN
    from scopegate.gateway.calls.registry import DeclarationError as DeclarationError
    from scopegate.gateway.calls.registry import Stream as Stream
    from scopegate.gateway.calls.registry import call as call
    from scopegate.gateway.calls.scheduling import Workers as Workers
    from scopegate.gateway.calls.session import Grant as Grant
    from scopegate.gateway.calls.session import Session as Session
    from scopegate.handlers.exchange.exchange_scopes import PAYMENTS as PAYMENTS
    from scopegate.handlers.exchange.exchange_scopes import TRADE as TRADE
    from scopegate.handlers.exchange.exchange_scopes import (
        TRADING_INFORMATION as TRADING_INFORMATION,
    )
    from scopegate.handlers.gateway.gateway_scopes import ADMIN as ADMIN
    from scopegate.handlers.gateway.gateway_scopes import READ as READ
    from scopegate.paper_exchange import PAPER_EXCHANGE as PAPER_EXCHANGE
    from scopegate.plugins import Plugin as Plugin
    from scopegate.retention import Rule as Rule
    from scopegate.runtime.clock import Clock as Clock
    from scopegate.runtime.health import Health as Health
    from scopegate.runtime.metrics import Histogram as Histogram
    from scopegate.runtime.metrics import Metric as Metric
    from scopegate.runtime.metrics import Metrics as Metrics
    from scopegate.runtime.metrics import counter as counter
    from scopegate.runtime.metrics import counters as counters
    from scopegate.runtime.metrics import gauge as gauge
    from scopegate.runtime.metrics import gauges as gauges
    from scopegate.runtime.siblings import Siblings as Siblings
    from scopegate.runtime.supervisor import supervise as supervise
    from scopegate.schemas.fields import AccountRequest as AccountRequest
    from scopegate.schemas.fields import Flag as Flag
    from scopegate.schemas.fields import Int as Int
    from scopegate.schemas.fields import Number as Number
    from scopegate.schemas.fields import One as One
    from scopegate.schemas.fields import Request as Request
    from scopegate.schemas.fields import StreamRequest as StreamRequest
    from scopegate.schemas.fields import Text as Text
    from scopegate.schemas.fields import secret as secret
    from scopegate.schemas.scopes import Risk as Risk
    from scopegate.schemas.scopes import Scope as Scope
    from scopegate.settings import Settings as Settings
    from scopegate.settings import SettingsError as SettingsError
    from scopegate.store.errors import StoreError as StoreError
    from scopegate.store.store import Store as Store
    from scopegate.store.transactions import Snapshot as Snapshot
    from scopegate.store.transactions import Transaction as Transaction

_MODULES = {
    "call": "gateway.calls.registry",
    "Stream": "gateway.calls.registry",
    "SIGNED_IN": "gateway.calls.registry",
    "OWNER": "gateway.calls.registry",
    "AT_PAGES": "gateway.calls.registry",
    "DeclarationError": "gateway.calls.registry",
    "Idempotency": "gateway.calls.idempotency",
    "Rate": "gateway.calls.limits",
    "Session": "gateway.calls.session",
    "Grant": "gateway.calls.session",
    "ApiError": "gateway.calls.errors",
    "Disconnect": "gateway.calls.errors",
    "Request": "schemas.fields",
    "AccountRequest": "schemas.fields",
    "StreamRequest": "schemas.fields",
    "Int": "schemas.fields",
    "Number": "schemas.fields",
    "Text": "schemas.fields",
    "Flag": "schemas.fields",
    "One": "schemas.fields",
    "secret": "schemas.fields",
    "Scope": "schemas.scopes",
    "Access": "gateway.access.guard",
    "Bus": "gateway.calls.bus",
    "Clock": "runtime.clock",
    "Store": "store.store",
    "Snapshot": "store.transactions",
    "Transaction": "store.transactions",
    "Workers": "gateway.calls.scheduling",
    "Siblings": "runtime.siblings",
    "supervise": "runtime.supervisor",
    "Health": "runtime.health",
    "Histogram": "runtime.metrics",
    "Metric": "runtime.metrics",
    "Metrics": "runtime.metrics",
    "counter": "runtime.metrics",
    "counters": "runtime.metrics",
    "gauge": "runtime.metrics",
    "gauges": "runtime.metrics",
    "Limit": "gateway.calls.limits",
    "Per": "gateway.calls.limits",
    "Rule": "retention",
    "Accounts": "gateway.access.accounts",
    "Channel": "gateway.calls.channel",
    "Risk": "schemas.scopes",
    "READ": "handlers.gateway.gateway_scopes",
    "ADMIN": "handlers.gateway.gateway_scopes",
    "TRADE": "handlers.exchange.exchange_scopes",
    "PAYMENTS": "handlers.exchange.exchange_scopes",
    "TRADING_INFORMATION": "handlers.exchange.exchange_scopes",
    "Plugin": "plugins",
    "Gateway": "framework",
    "Serving": "framework",
    "PAPER_EXCHANGE": "paper_exchange",
    "Settings": "settings",
    "SettingsError": "settings",
    "StoreError": "store.errors",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"scopegate.{module}"), name)


def __dir__() -> list[str]:
    return __all__
