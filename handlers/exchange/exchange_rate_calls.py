"""Exchange rates between currencies, from the prices of the feed.

Rules: a stream publishes a rate when it differs from the last one published. It is compared once a
second, and only while the stream has listeners.
"""

from typing import NamedTuple

from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.rates import Rates, shown
from scopegate.gateway.calls.bus import ActiveTopics, Bus
from scopegate.gateway.calls.errors import input_validation_failed
from scopegate.gateway.calls.registry import Stream, call
from scopegate.gateway.calls.session import Session, Shape
from scopegate.runtime.clock import Clock
from scopegate.schemas.rate_messages import ExchangeRates as Request
from scopegate.schemas.rate_messages import ExchangeRatesReply, RatesBody, Spread

_CALL = "exchange_rates"


class _Query(NamedTuple):
    """The rates that a client requests: one unit of `base` in each of `targets`."""

    base: str
    targets: tuple[str, ...]
    spread: bool

    @property
    def topic(self) -> str:
        """The topic of its stream."""
        return f"rates.{self.base}.{'.'.join(self.targets)}.{int(self.spread)}"


class ExchangeRates:
    """Exchange rates between currencies."""

    def __init__(self, rates: Rates, clock: Clock, bus: Bus) -> None:
        self._rates = rates
        self._clock = clock
        self._bus = bus
        self._topics: ActiveTopics[_Query, RatesBody] = ActiveTopics(bus, lambda query: query.topic)
        """The rates last published, by the request that is streamed."""

    @call(_CALL, needs=None, error_codes=())
    async def exchange_rates(
        self, request: Request, session: Session
    ) -> ExchangeRatesReply | Stream[ExchangeRatesReply]:
        """Return what one unit of a currency buys of another, or of all others, at the latest tick.

        With `subscribe`, which needs a `target_currency`, the rate follows whenever it changes.
        """
        query = _query_of(request)
        now = int(self._clock.now())
        body = self._body(query, now)
        if not request.subscribe:
            return {"exchange_rates": body}
        self._topics.begin(query, self._topics.get(query) or body)
        return Stream(
            kind=_CALL,
            key=(_CALL, query),
            label=_CALL,
            topic=query.topic,
            first={"exchange_rates": body},
            msg_type=_CALL,
            since=now,
            shape=Shape.OBJECT,
        )

    def on_second(self, epoch: int) -> None:
        """Publish the streamed rates that have changed at this second of the market."""
        for query, before in self._topics.items():
            body = self._body(query, epoch)
            if body["rates"] != before["rates"]:
                self._topics[query] = body
                self._bus.publish(query.topic, body, epoch)

    def _body(self, query: _Query, epoch: int) -> RatesBody:
        return {
            "base_currency": query.base,
            "date": epoch,
            "rates": {target: self._rate(query, target, epoch) for target in query.targets},
        }

    def _rate(self, query: _Query, target: str, epoch: int) -> float | Spread:
        rate = self._rates.rate(query.base, target, epoch)
        if not query.spread:
            return float(shown(rate.spot))
        return {
            "ask_rate": float(shown(rate.ask)),
            "bid_rate": float(shown(rate.bid)),
            "spot_rate": float(shown(rate.spot)),
        }


def _query_of(request: Request) -> _Query:
    """Return the rates that a request asks for. Raises `InputValidationFailed`."""
    base, target = request.base_currency, request.target_currency
    for field, currency in (("base_currency", base), ("target_currency", target)):
        if currency is not None and currency not in CURRENCIES:
            raise input_validation_failed({field: f"Must be one of {', '.join(CURRENCIES)}."})
    if target is not None:
        return _Query(base, (target,), bool(request.include_spread))
    for field, value in (
        ("include_spread", request.include_spread),
        ("subscribe", request.subscribe),
    ):
        if value:
            raise input_validation_failed({field: "Needs a target_currency."})
    return _Query(base, tuple(code for code in CURRENCIES if code != base), spread=False)
