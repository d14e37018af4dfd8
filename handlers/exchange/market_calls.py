"""Symbols, ticks and candles, up to the present moment."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import NamedTuple, cast

import orjson

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import check_hours
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.eligibility import is_offered
from scopegate.exchange.feed import Feed
from scopegate.exchange.series import Candles
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, Symbol
from scopegate.gateway.calls import resuming
from scopegate.gateway.calls.bus import Encoded, encoded
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.registry import Stream, call
from scopegate.gateway.calls.resuming import PAGE, Missed
from scopegate.gateway.calls.scheduling import Workers, finished, one_by_one
from scopegate.gateway.calls.session import Session, Shape
from scopegate.handlers.exchange.api_errors import as_error
from scopegate.handlers.exchange.candle_work import CandleWork, Range
from scopegate.handlers.exchange.tick_streams import (
    TickStreams,
    batched_tick,
    change_today,
    symbols_of,
    tick,
)
from scopegate.runtime.clock import Clock
from scopegate.schemas.market_messages import (
    ActiveSymbol,
    ActiveSymbols,
    ActiveSymbolsReply,
    Candle,
    CandlesReply,
    HistoryReply,
    OhlcReply,
    TickReply,
    Ticks,
    TicksBatch,
    TicksBatchReply,
    TicksHistory,
)

MAX_RESULTS = 5_000
USUAL_RESULTS = 1_000
MAX_DAYS_AT_ONCE = 2
"""Candles over more days than this are computed outside the event loop."""
MAX_CANDLES_AT_ONCE = 500
"""More candles than this are too, because encoding them takes longer than finding them."""
MAX_COLD = 1
"""So are prices of more symbols than this, if their day has not been computed yet."""


def find_symbol(name: str) -> Symbol:
    """Return the symbol with this name. Raises `InvalidSymbol`."""
    symbol = SYMBOLS.get(name)
    if symbol is None:
        raise ApiError("InvalidSymbol", f"Symbol {name} is invalid.")
    return symbol


class Market:
    """Symbols, ticks and candles."""

    def __init__(
        self,
        feed: Feed,
        clock: Clock,
        workers: Workers,
        candle_work: CandleWork,
        streams: TickStreams,
    ) -> None:
        self._candle_work = candle_work
        self._feed = feed
        self._clock = clock
        self._workers = workers
        self._streams = streams

    @call("active_symbols", needs=None, error_codes=())
    async def active_symbols(self, request: ActiveSymbols, session: Session) -> ActiveSymbolsReply:
        """List the symbols; `full` adds the latest price of each and its change since 00:00 UTC.

        With `contract_type`, list only symbols for which contracts of one of these types are
        offered.
        """
        full = request.active_symbols == "full"
        listed = list(SYMBOLS.values())
        if request.contract_type:
            kinds = [TYPES[name] for name in request.contract_type if name in TYPES]
            listed = [s for s in listed if any(is_offered(kind, s) for kind in kinds)]
        if full:
            await self._warm(listed, session, "active_symbols")
        now = int(self._clock.now())
        return {"active_symbols": [self._listed(symbol, now, full=full) for symbol in listed]}

    async def _warm(self, symbols: list[Symbol], session: Session, name: str) -> None:
        """Compute prices of many symbols in a worker, where they would block the event loop."""
        now = int(self._clock.now())
        cold = [symbol for symbol in symbols if not self._feed.is_warm(symbol, now)]
        if len(cold) > MAX_COLD:
            await self._workers.compute(session.client, name, self._feed.warm(cold, now))

    def _listed(self, symbol: Symbol, now: int, *, full: bool) -> ActiveSymbol:
        listed: ActiveSymbol = {
            "allow_forward_starting": 1,
            "display_name": symbol.display_name,
            "display_order": symbol.display_order,
            "exchange_is_open": int(symbol.is_open(now)),
            "is_trading_suspended": 0,
            "market": symbol.market,
            "market_display_name": symbol.market_display_name,
            "pip": symbol.pip,
            "subgroup": symbol.subgroup,
            "subgroup_display_name": symbol.subgroup_display_name,
            "submarket": symbol.submarket,
            "submarket_display_name": symbol.submarket_display_name,
            "symbol": symbol.name,
            "symbol_type": symbol.symbol_type,
        }
        if full:
            epoch = symbol.last_tick(now)
            pips = self._feed.price(symbol, epoch)
            listed["delay_amount"] = 0
            listed["exchange_name"] = symbol.exchange_name
            listed["intraday_interval_minutes"] = 1
            listed["quoted_currency_symbol"] = symbol.quoted_currency
            listed["spot"] = symbol.quote(pips)
            listed["spot_age"] = str(now - epoch)
            listed["spot_percentage_change"] = change_today(self._feed, symbol, epoch, pips)
            listed["spot_time"] = str(epoch)
        return listed

    @call("ticks", needs=None, error_codes=("InvalidSymbol", "MarketIsClosed"))
    async def ticks(
        self, request: Ticks, session: Session
    ) -> list[TickReply | Stream[TickReply] | ApiError]:
        """Stream the ticks of each symbol, starting with the latest.

        With `subscribe: 0`, the reply is only the latest tick. If you leave out `subscribe`, the
        same request again is answered under the open stream, and one with `subscribe: 1` takes that
        stream over; at the limit of streams, the reply is only the latest tick. The error is
        `MarketIsClosed` if the symbol's market is closed.

        After a lost connection, send the `position` of the last tick that you have seen as `resume`
        in `passthrough`: the ticks since then follow first, 5,000 at most.
        """
        after = resuming.position_of(request.passthrough)
        return [self._latest(name, request, after) for name in dict.fromkeys(request.ticks)]

    def _latest(
        self, name: str, request: Ticks, after: int | None
    ) -> TickReply | Stream[TickReply] | ApiError:
        try:
            symbol = find_symbol(name)
            now = int(self._clock.now())
            check_hours(symbol, now)
        except ApiError as error:
            return error
        except Refusal as refusal:
            return as_error(refusal)
        epoch = symbol.last_tick(now)
        reply: TickReply = {"tick": tick(symbol, epoch, self._feed.price(symbol, epoch))}
        if not request.subscribe:
            return reply
        implied = "subscribe" not in request.model_fields_set
        stream: Stream[TickReply] = Stream(
            kind="ticks",
            key=("ticks", name),
            label=name,
            topic=self._streams.begin(symbol),
            first=reply,
            msg_type="tick",
            since=epoch,
            optional=implied,
            implied=implied,
            position=epoch,
        )
        return stream if after is None else self._resumed(stream, symbol, after)

    def _resumed(self, stream: Stream[TickReply], symbol: Symbol, after: int) -> Stream[TickReply]:
        """Let a stream of ticks begin after a moment; what is too long ago is a gap."""
        now = stream.since
        earliest = max(EARLIEST, symbol.next_tick(now, -MAX_RESULTS))
        begins, gap = resuming.start_of(after, max(after, earliest), now)
        first = stream.first
        if begins < now:  # the first reply has the first tick that was missed, else the latest
            begins = symbol.next_tick(begins)
            first = {"tick": tick(symbol, begins, self._feed.price(symbol, begins))}

        async def missed(position: int) -> Missed:
            latest = symbol.last_tick(int(self._clock.now()))
            events: list[tuple[Encoded, int]] = []
            epoch = position
            while epoch < latest and len(events) < PAGE:
                epoch = symbol.next_tick(epoch)
                event = encoded(tick(symbol, epoch, self._feed.price(symbol, epoch)))
                events.append((event, epoch))
            return Missed(events, epoch, epoch >= latest)

        return replace(stream, first=first, since=begins, position=begins, missed=missed, gap=gap)

    @call(
        "ticks_batch", needs=None, streams="ticks", error_codes=("InvalidSymbol", "MarketIsClosed")
    )
    async def ticks_batch(
        self, request: TicksBatch, session: Session
    ) -> TicksBatchReply | Stream[TicksBatchReply]:
        """Return the latest tick of every symbol of a market, open or closed.

        With `subscribe`, the ticks of each second follow together.
        """
        symbols = symbols_of(request.market)
        await self._warm(symbols, session, "ticks_batch")
        now = int(self._clock.now())
        reply: TicksBatchReply = {
            "ticks_batch": [batched_tick(self._feed, symbol, now) for symbol in symbols]
        }
        if not request.subscribe:
            return reply
        return Stream(
            kind="ticks",
            key=("ticks_batch", request.market),
            label=request.market,
            topic=self._streams.begin_market(request.market),
            first=reply,
            msg_type="ticks_batch",
            since=now,
            shape=Shape.LIST,
        )

    @call(
        "ticks_history",
        needs=None,
        streams=("ticks", "candles"),
        error_codes=("CandlesNotReady", "InvalidSymbol", "InvalidStartEnd", "MarketIsClosed"),
    )
    async def ticks_history(
        self, request: TicksHistory, session: Session
    ) -> (
        HistoryReply
        | CandlesReply
        | Stream[HistoryReply]
        | Stream[CandlesReply]
        | Stream[TickReply]
        | Stream[OhlcReply]
    ):
        """Return past ticks or candles, the latest ones if there are more than `count`.

        With `subscribe`, every tick follows, or the current candle at every tick. While the market
        is closed, the error of `subscribe` is `MarketIsClosed`. Wide candles of many days may have
        to be computed first: `CandlesNotReady` says when to ask again.
        """
        symbol = find_symbol(request.ticks_history)
        present = int(self._clock.now())
        if request.subscribe:
            check_hours(symbol, present)
        end = present if request.end == "latest" else min(int(request.end), present)
        if request.start is not None and request.start > end:
            raise ApiError(
                "InvalidStartEnd", f"Start time {request.start} must be before end time {end}."
            )
        count = USUAL_RESULTS if request.count is None else min(request.count, MAX_RESULTS)
        start = EARLIEST if request.start is None else request.start
        if request.adjust_start_time and request.start is not None and not symbol.is_open(end):
            end, start = symbol.last_tick(end), start - (end - symbol.last_tick(end))
        key = (
            "ticks_history",
            *request.model_dump(exclude={"req_id", "passthrough"}).values(),
        )
        if request.style == "candles":
            granularity = request.granularity or 60
            first = max(start, self._feed.first_of_candles(symbol, granularity, count, end))
            found = await self._candles(session, symbol, granularity, first, end)
            if request.subscribe and end == present:
                # The market moved on while a worker computed.
                present = int(self._clock.now())
                found = self._continued(symbol, granularity, found, present)
                end = present
            if not request.subscribe:
                return _candles_reply(symbol, found)
            return Stream(
                kind="candles",
                key=key,
                label=symbol.name,
                topic=self._streams.begin(symbol, granularity),
                first=_candles_reply(symbol, found),
                msg_type="ohlc",
                since=end,
            )
        last = symbol.last_tick(end)
        ticks = self._feed.ticks(symbol, max(start, symbol.next_tick(last, 1 - count)), last)
        reply: HistoryReply = {
            "history": {
                "prices": (ticks.pips / 10**symbol.digits).tolist(),
                "times": ticks.epochs.tolist(),
            },
            "pip_size": symbol.digits,
        }
        if not request.subscribe:
            return reply
        return Stream(
            kind="ticks",
            key=key,
            label=symbol.name,
            topic=self._streams.begin(symbol),
            first=reply,
            msg_type="tick",
            since=last,
        )

    async def _candles(
        self, session: Session, symbol: Symbol, granularity: int, first: int, last: int
    ) -> "_Listed":
        work = self._listing(symbol, granularity, first, last)
        many = (last - first) // granularity > MAX_CANDLES_AT_ONCE
        if many or last - first > MAX_DAYS_AT_ONCE * DAY:
            wanted = Range(symbol, granularity, first, last)
            return await self._candle_work.compute(session, wanted, work)
        return finished(work)

    def _listing(
        self, symbol: Symbol, granularity: int, first: int, last: int
    ) -> Generator[None, None, "_Listed"]:
        """Find the candles and encode all but the last one; a generator that a worker can run."""
        candles = yield from self._feed.candles_by_day(symbol, granularity, first, last)
        yield
        listed = yield from one_by_one(_each_candle(symbol, candles))
        yield
        newest = int(candles.epochs[-1]) if listed else None
        return _Listed(orjson.dumps(listed[:-1])[1:-1], listed[-1:], newest)

    def _continued(
        self, symbol: Symbol, granularity: int, listed: "_Listed", present: int
    ) -> "_Listed":
        """Update the last candle, and append any after it, up to the epoch `present`."""
        if listed.newest is None:
            return listed
        ending = self._feed.candles(symbol, granularity, listed.newest, present)
        return _Listed(listed.encoded, list(_each_candle(symbol, ending)), listed.newest)


class _Listed(NamedTuple):
    """Candles in order of time; the last one may still change."""

    encoded: bytes
    """The other candles as JSON, with commas between them."""
    ending: list[Candle]
    newest: int | None
    """The epoch at which the first candle of `ending` opened; `None` if there are no candles."""


def _candles_reply(symbol: Symbol, listed: _Listed) -> CandlesReply:
    parts = [part for part in (listed.encoded, orjson.dumps(listed.ending)[1:-1]) if part]
    whole = orjson.Fragment(b"[" + b",".join(parts) + b"]")
    return {"candles": cast("list[Candle]", whole), "pip_size": symbol.digits}


def _each_candle(symbol: Symbol, candles: Candles) -> Iterator[Candle]:
    scale = 10**symbol.digits
    epochs = candles.epochs.tolist()
    prices = [
        (column / scale).tolist()
        for column in (candles.opens, candles.highs, candles.lows, candles.closes)
    ]
    for epoch, first, high, low, last in zip(epochs, *prices, strict=True):
        yield {"close": last, "epoch": epoch, "high": high, "low": low, "open": first}
