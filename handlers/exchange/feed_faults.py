"""The kinds of faults of the exchange: of what one connection is shown of the market, and refusals.

Rules:
- Only messages to the connection change. The market, its settlement and what others are shown stay
  as they are, so a contract bought when a wrong price was shown is settled by the right one.
- Each connection begins with a right feed: a client that connects again gets rid of a fault that
  has struck as often as it may.
- What is remembered for a connection is bounded.
"""

import random
from collections import deque
from collections.abc import Callable, Container, Mapping
from typing import Any, ClassVar

from pydantic import Field

from scopegate.exchange.symbols import SYMBOLS
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.faults import CallName, Effect, Fault, Message, Sent
from scopegate.gateway.calls.wire_faults import FaultKinds, Refusal, WrongClock
from scopegate.handlers.exchange.paper_accounts import AccountFacts
from scopegate.schemas.fields import Int, SymbolName

MAX_REQUESTS = 100
"""Requests for proposals whose earlier answers are remembered for one connection."""

Body = dict[str, Any]


class MarketClosed(Refusal):
    """A purchase is answered with the error `MarketIsClosed`; nothing is bought."""

    kind = "market_closed"
    call: CallName | None = Field("buy", description="The call that it is about.")

    def error(self, call: str) -> ApiError:
        """Return the error."""
        return ApiError("MarketIsClosed", "This market is presently closed.")


class PriceMoved(Refusal):
    """A purchase is answered with the error `PriceMoved`; nothing is bought."""

    kind = "price_moved"
    call: CallName | None = Field("buy", description="The call that it is about.")

    def error(self, call: str) -> ApiError:
        """Return the error."""
        return ApiError("PriceMoved", "The market has moved since you priced the contract.")


class _OfTicks(Fault):
    """Something about the ticks of all symbols, or of one."""

    times: Int | None = Field(1, ge=0, description="How often at most; 0 for any number.")
    symbol: SymbolName | None = Field(None, description="The symbol; all by default.")

    def concerns(self, body: Body) -> bool:
        """Whether a tick or candle is one of its symbol."""
        return self.symbol in (None, body.get("symbol"))


class _OnTicks(Effect[Any]):
    """Changes each tick and each current candle; `None` in place of one leaves it out."""

    def sent(self, sent: Sent) -> None:
        changed = [self._message(message, sent) for message in sent.messages]
        sent.messages = [message for message in changed if message is not None]

    def _message(self, message: Message, sent: Sent) -> Message | None:
        name = message.get("msg_type", "")
        body = message.get(name)
        if name in ("tick", "ohlc") and type(body) is dict:
            if not self.fault.concerns(body):
                return message
            shown = self.shown(body, sent)
            if shown is body:
                return message
            return None if shown is None else {**message, name: shown}
        if name == "ticks_batch" and type(body) is list:
            batch = [self.shown(each, sent) if self.fault.concerns(each) else each for each in body]
            if all(shown is each for shown, each in zip(batch, body, strict=True)):
                return message
            left = [each for each in batch if each is not None]
            return {**message, name: left} if left else None
        return self.other(name, message)

    def shown(self, body: Body, sent: Sent) -> Body | None:
        """Return what is shown of a tick or candle."""
        raise NotImplementedError

    def other(self, name: str, message: Message) -> Message:
        """Return what is shown of any other message."""
        return message


class FrozenFeed(_OfTicks):
    """From a tick on, every tick has the price of that one, as if the feed had stopped moving."""

    kind = "frozen_feed"
    seconds: Int = Field(
        0, ge=0, description="How long, in seconds of the market; by default to the end."
    )

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _FrozenFeed(self, strikes, chosen)


_TICK_PRICES = ("ask", "bid", "quote", "change")


class _FrozenFeed(_OnTicks):
    def __init__(
        self, fault: FrozenFeed, strikes: Callable[[], bool], chosen: random.Random
    ) -> None:
        super().__init__(fault, strikes, chosen)
        self._since: int | None = None
        """The epoch of the tick from which on the feed is frozen."""
        self._last: dict[tuple[str, Any], Body] = {}
        """The latest body that was shown, by symbol, and by granularity for candles."""

    def _has_thawed(self, epoch: int, since: int) -> bool:
        return bool(self.fault.seconds) and epoch >= since + self.fault.seconds

    def _is_frozen(self, epoch: int) -> bool:
        if self._since is not None and self._has_thawed(epoch, self._since):
            self._since = None
        if self._since is None and self.strikes():
            self._since = epoch
        return self._since is not None and epoch > self._since

    def shown(self, body: Body, sent: Sent) -> Body:
        """Return it with the prices of the latest one before the feed froze."""
        key = (body["symbol"], body.get("granularity"))
        last = self._last.get(key)
        if not self._is_frozen(body["epoch"]) or last is None:
            self._last[key] = body
            return body
        if "close" not in body:
            return {**body, **{name: last[name] for name in _TICK_PRICES if name in last}}
        if body["open_time"] != last["open_time"]:
            close = last["close"]
            return {**body, "open": close, "high": close, "low": close, "close": close}
        return {**body, **{name: last[name] for name in ("open", "high", "low", "close")}}

    def other(self, name: str, message: Message) -> Message:
        """Return past ticks with the frozen price in place of those since then."""
        since, history = self._since, message.get("history")
        symbol = message.get("echo_req", {}).get("ticks_history")
        if since is None or type(history) is not dict or self.fault.symbol not in (None, symbol):
            return message
        last = self._last.get((symbol, None))
        frozen = None if last is None else last["quote"]
        prices: list[float] = []
        for epoch, price in zip(history["times"], history["prices"], strict=True):
            is_right = epoch <= since or self._has_thawed(epoch, since)
            if is_right and last is None:
                frozen = price
            prices.append(price if is_right or frozen is None else frozen)
        return {**message, "history": {**history, "prices": prices}}


class TickGap(_OfTicks):
    """Ticks and candles of some time are left out of the streams, and then go on."""

    kind = "tick_gap"
    seconds: Int = Field(
        10, ge=1, le=86_400, description="How long the gap is, in seconds of the market."
    )

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _TickGap(self, strikes, chosen)


class _TickGap(_OnTicks):
    _ends = 0
    """The epoch at which the gap ends."""

    def shown(self, body: Body, sent: Sent) -> Body | None:
        """Return it, or `None` within the gap."""
        if not sent.is_event:
            return body
        epoch = body["epoch"]
        if epoch >= self._ends and self.strikes():
            self._ends = epoch + self.fault.seconds
        return None if epoch < self._ends else body


class Spike(_OfTicks):
    """A single tick has a price far from those around it, above or below at random."""

    kind = "spike"
    percent: float = Field(5.0, gt=0, lt=100, description="How far away its price is, in percent.")

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _Spike(self, strikes, chosen)


class _Spike(_OnTicks):
    def shown(self, body: Body, sent: Sent) -> Body:
        """Return it with another price, if it is the one."""
        if not sent.is_event or not self.strikes():
            return body
        away = self.fault.percent / 100 * self.chosen.choice((-1, 1))
        shown = {
            name: _moved(value, away) if name in ("ask", "bid", "quote", "close") else value
            for name, value in body.items()
        }
        if "close" in body:
            shown["high"] = max(body["high"], shown["close"], key=float)
            shown["low"] = min(body["low"], shown["close"], key=float)
        return shown


def _moved(price: Any, share: float) -> Any:
    """Return a price that is higher by this share of it, in the form and precision that it has."""
    text = str(price)
    digits = len(text.partition(".")[2])
    moved = f"{float(text) * (1 + share):.{digits}f}"
    return moved if type(price) is str else float(moved)


class StaleProposals(Fault):
    """Proposals show the price of some seconds ago; a purchase has the present one."""

    kind = "stale_proposals"
    seconds: Int = Field(
        10, ge=1, le=600, description="How old their prices are, in seconds of the market."
    )

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> "Effect[Any]":
        """Return what it does to a connection."""
        return _StaleProposals(self, strikes, chosen)


_OF_ONE_MESSAGE = frozenset({"req_id", "passthrough", "subscribe"})


class _StaleProposals(Effect[StaleProposals]):
    def __init__(
        self, fault: StaleProposals, strikes: Callable[[], bool], chosen: random.Random
    ) -> None:
        super().__init__(fault, strikes, chosen)
        self._earlier: dict[str, deque[Body]] = {}
        """What was quoted for each request, the oldest first: once for each second."""

    def sent(self, sent: Sent) -> None:
        sent.messages = [self._shown(message) for message in sent.messages]

    def _shown(self, message: Message) -> Message:
        body = message.get("proposal")
        if type(body) is not dict or "spot_time" not in body:
            return message
        request = message["echo_req"].items()
        key = repr(sorted((k, repr(v)) for k, v in request if k not in _OF_ONE_MESSAGE))
        earlier = self._earlier.setdefault(key, deque())
        if len(self._earlier) > MAX_REQUESTS:
            del self._earlier[next(iter(self._earlier))]
        if not earlier or earlier[-1]["spot_time"] != body["spot_time"]:
            earlier.append(body)
        latest = body["spot_time"] - self.fault.seconds
        while len(earlier) > 1 and earlier[1]["spot_time"] <= latest:
            earlier.popleft()
        if earlier[0]["spot_time"] == body["spot_time"] or not self.strikes():
            return message
        return {**message, "proposal": {**earlier[0], "id": body["id"]}}


class WrongMarketClock(WrongClock):
    """The clock of the gateway is wrong: every time that it sends is later or earlier."""

    moments: ClassVar[frozenset[str]] = WrongClock.moments | {
        "current_spot_time",
        "date",
        "date_expiry",
        "date_settlement",
        "date_start",
        "entry_tick_time",
        "epoch",
        "exit_tick_time",
        "expiry_time",
        "last_tick_epoch",
        "open_time",
        "order_date",
        "purchase_time",
        "reset_time",
        "sell_spot_time",
        "sell_time",
        "spot_time",
        "start_time",
        "times",
        "transaction_time",
    }


class MarketFaultKinds(FaultKinds):
    """The faults of the gateway and those of the exchange, on demo accounts."""

    kinds = (
        *(each for each in FaultKinds.kinds if each is not WrongClock),
        MarketClosed,
        PriceMoved,
        StaleProposals,
        FrozenFeed,
        TickGap,
        Spike,
        WrongMarketClock,
    )

    def __init__(self, symbols: Container[str] = SYMBOLS) -> None:
        """`symbols` are the names of the symbols that a fault may be about."""
        self._symbols = symbols

    def checked(
        self,
        kind: str,
        options: Mapping[str, Any],
        calls: Container[str] | None = None,
        kind_field: str = "kind",
    ) -> Fault:
        """Return a fault, whose symbol exists if it names one.

        Raises `InputValidationFailed` if it is invalid, which says what there is.
        """
        fault = super().checked(kind, options, calls, kind_field)
        symbol = fault.symbol if isinstance(fault, _OfTicks) else None
        if symbol is not None and symbol not in self._symbols:
            raise input_validation_failed(
                {
                    "options.symbol": f"There is no symbol {symbol}. active_symbols lists all, and"
                    " docs/markets.md those that every gateway has."
                }
            )
        return fault

    def is_for_tests(self, facts: object) -> bool:
        """Whether it is a demo account."""
        return isinstance(facts, AccountFacts) and facts.is_virtual
