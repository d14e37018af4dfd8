"""Streams of ticks and of current candles, published at each second of the market."""

from scopegate.exchange.feed import Feed
from scopegate.exchange.series import Candles
from scopegate.exchange.symbols import DAY, SYMBOLS, Symbol
from scopegate.gateway.calls.bus import ActiveTopics, Bus, encoded
from scopegate.schemas.market_messages import BatchedTick, Ohlc, Tick


def symbols_of(market: str) -> list[Symbol]:
    """The symbols of a market; none if there is no such market."""
    return [symbol for symbol in SYMBOLS.values() if symbol.market == market]


def tick(symbol: Symbol, epoch: int, pips: int) -> Tick:
    """The body of a tick; `ask` and `bid` are one pip above and below the price."""
    return {
        "ask": symbol.quote(pips + 1),
        "bid": symbol.quote(pips - 1),
        "epoch": epoch,
        "pip_size": symbol.digits,
        "quote": symbol.quote(pips),
        "symbol": symbol.name,
    }


def batched_tick(feed: Feed, symbol: Symbol, now: int) -> BatchedTick:
    """The latest tick of a symbol, in the form of `ticks_batch`."""
    epoch = symbol.last_tick(now)
    pips = feed.price(symbol, epoch)
    return {
        "ask": symbol.text(pips + 1),
        "bid": symbol.text(pips - 1),
        "change": change_today(feed, symbol, epoch, pips),
        "epoch": epoch,
        "quote": symbol.text(pips),
        "symbol": symbol.name,
    }


def change_today(feed: Feed, symbol: Symbol, epoch: int, pips: int) -> str:
    """The change of the price since 00:00 UTC, in percent."""
    midnight = feed.price(symbol, epoch - epoch % DAY)
    return f"{(pips / midnight - 1) * 100:.2f}"


def _topic(listened: tuple[Symbol, int]) -> str:
    """The topic of a symbol's ticks (granularity 0), or of its candles of a granularity."""
    symbol, granularity = listened
    return f"candles.{symbol.name}.{granularity}" if granularity else f"ticks.{symbol.name}"


def _topic_of_market(market: str) -> str:
    """The topic of the ticks of all symbols of a market together."""
    return f"batch.{market}"


class TickStreams:
    """The publisher of every tick, and of every candle as it changes.

    Nothing is computed for a symbol without listeners.
    """

    def __init__(self, feed: Feed, bus: Bus) -> None:
        self._feed = feed
        self._bus = bus
        self._symbols: ActiveTopics[tuple[Symbol, int], _Growing | None] = ActiveTopics(bus, _topic)
        self._markets: ActiveTopics[str, None] = ActiveTopics(bus, _topic_of_market)

    def begin(self, symbol: Symbol, granularity: int = 0) -> str:
        """Start publishing ticks (granularity 0) or candles for a listener; return the topic."""
        listened = (symbol, granularity)
        self._symbols.begin(listened, self._symbols.get(listened))
        return _topic(listened)

    def begin_market(self, market: str) -> str:
        """Start publishing the ticks of a market for a listener; return the topic."""
        self._markets.begin(market, None)
        return _topic_of_market(market)

    def on_second(self, epoch: int) -> None:
        """Publish the ticks of this second of the market, and the candles that they change."""
        for (symbol, granularity), candle in self._symbols.items():
            if not symbol.has_tick(epoch):
                continue
            if granularity:
                grown = self._grown(candle, symbol, granularity, epoch)
                self._symbols[symbol, granularity] = grown
                event = encoded(grown.ohlc(symbol, epoch))
            else:
                event = encoded(tick(symbol, epoch, self._feed.price(symbol, epoch)))
            shown = None if granularity else epoch
            self._bus.publish(_topic((symbol, granularity)), event, epoch, shown=shown)
        for market in self._markets:
            ticked = [symbol for symbol in symbols_of(market) if symbol.has_tick(epoch)]
            if ticked:
                batch = [batched_tick(self._feed, symbol, epoch) for symbol in ticked]
                self._bus.publish(_topic_of_market(market), batch, epoch)

    def _grown(
        self, candle: "_Growing | None", symbol: Symbol, granularity: int, epoch: int
    ) -> "_Growing":
        opened = epoch - epoch % granularity
        if candle is None or candle.opened != opened:
            return _Growing(granularity, self._feed.candles(symbol, granularity, opened, epoch))
        candle.add(self._feed.price(symbol, epoch))
        return candle


class _Growing:
    """A candle that has not closed yet; prices in pips."""

    def __init__(self, granularity: int, found: Candles) -> None:
        self.granularity = granularity
        self.opened, self.first, self.high, self.low, self.last = (
            int(column[-1]) for column in found
        )

    def add(self, pips: int) -> None:
        self.high = max(self.high, pips)
        self.low = min(self.low, pips)
        self.last = pips

    def ohlc(self, symbol: Symbol, epoch: int) -> Ohlc:
        return {
            "close": symbol.text(self.last),
            "epoch": epoch,
            "granularity": self.granularity,
            "high": symbol.text(self.high),
            "low": symbol.text(self.low),
            "open": symbol.text(self.first),
            "open_time": self.opened,
            "pip_size": symbol.digits,
            "symbol": symbol.name,
        }
