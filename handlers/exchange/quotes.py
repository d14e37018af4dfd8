"""Quotes of each connection, how long they can be bought, and their streams.

Rules:
- A proposal can be bought on the connection that received it, for `GOOD_FOR` seconds of real time,
  or as long as its stream is open.
- Through an app with a markup, a contract costs that much more, except for the app's owner.
- Streams are priced in slices. If there are too many for the market's speed, they miss updates in
  turn, and nothing else waits.
- Equal quote requests of a market second share one quote, and streams of the same quote request
  share what is sent: it is computed and encoded once a tick.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import Margins
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.bus import ActiveTopics, Bus
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.session import Session, new_stream_id
from scopegate.handlers.exchange.api_errors import as_error
from scopegate.handlers.exchange.contract_bodies import proposal_body
from scopegate.runtime.clock import Clock
from scopegate.schemas.trading_messages import (
    BuyParameters,
    CopiedParameters,
    Proposal,
    ProposalBody,
)

GOOD_FOR = 60.0
"""How long a proposal can be bought, in seconds of real time."""
MAX_PROPOSALS = 1_000
"""The most proposals that are remembered for one connection, without its streams."""
SLICE = 0.0005
"""Real seconds for which streams are priced before the event loop gets a turn.

A trade takes several turns of the loop, and waits for such a slice in each.
"""
MAX_OF_SECOND = 10_000
"""The most quotes of one market second that equal requests share."""


_QUOTE_FIELDS = frozenset(QuoteRequest.__dataclass_fields__)


class Quoted:
    """A quote request, and the latest quote sent for it."""

    __slots__ = ("quote", "quote_request", "quoted_at", "second")

    def __init__(
        self, quote_request: QuoteRequest, quote: Quote[Any], second: int, quoted_at: float
    ) -> None:
        self.quote_request = quote_request
        self.quote = quote
        self.second = second
        """The second of the market at which the quote was made."""
        self.quoted_at = quoted_at
        """When it was made, in monotonic time."""


def topic_of(quote_request: QuoteRequest) -> str:
    """The topic of the stream of a quote request."""
    return f"proposal.{quote_request!r}"


class Quotes:
    """The quotes of all connections, and the streams of prices."""

    def __init__(
        self,
        feed: Feed,
        clock: Clock,
        bus: Bus,
        margins: Margins,
        access: Access,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._clock = clock
        self._bus = bus
        self._margins = margins
        self._access = access
        self._monotonic = monotonic
        self._streams: ActiveTopics[str, Quoted] = ActiveTopics(bus, str)
        """The latest quote on each topic of the bus."""
        self._by_session: dict[Session, dict[str, Quoted]] = {}
        self._waiting: dict[str, None] = {}
        """The topics whose streams wait for a quote; those that have missed one are first."""
        self._streamed_second = 0
        self._slice: asyncio.Handle | None = None
        self._second = 0
        self._of_second: dict[QuoteRequest, Quote[Any]] = {}
        """The quotes of the market second `_second`, by their requests."""

    def quote(
        self, quote_request: QuoteRequest, session: Session, *, streams: bool
    ) -> tuple[str, Quoted]:
        """Return the id under which the session can buy the quote, and the quote as of now.

        With `streams`, a new quote is published at every tick, on the topic of the quote request; a
        session that joins others gets the quote that they got last. Raises `Refusal`.
        """
        topic = topic_of(quote_request)
        quoted = self._streams.get(topic) if streams else None
        if quoted is None or not self._bus.has_listeners(topic):
            now = int(self._clock.now())
            quote = self._quote(quote_request, now)
            quoted = Quoted(quote_request, quote, now, self._monotonic())
        proposal_id = new_stream_id()
        self._remember(session, proposal_id, quoted)
        if streams:
            self._streams.begin(topic, quoted)
        return proposal_id, quoted

    def body(self, quoted: Quoted) -> ProposalBody:
        """Return the body of a quote, without its id."""
        return proposal_body(quoted.quote, self._feed, self._margins)

    def quote_request(
        self, fields: Proposal | BuyParameters | CopiedParameters, session: Session
    ) -> QuoteRequest:
        """Return the quote request in a request, with the markup of the connection's app."""
        quote_request = quote_request_of(fields)
        app = self.markup_app(session)
        return (
            quote_request
            if app is None
            else replace(quote_request, markup=Decimal(app.markup) / 100)
        )

    def markup_app(self, session: Session) -> App | None:
        """Return the connection's app, if it has a markup and its owner is another user."""
        app = None if session.app_id is None else self._access.app(session.app_id)
        if app is None or app.user_id is None or not Decimal(app.markup):
            return None
        if session.acting is not None and session.acting.user_id == app.user_id:
            return None
        return app

    def price(self, quote_request: QuoteRequest, at: int) -> Quote[Any]:
        """Return the quote for a purchase that is made at this market second. Raises `Refusal`."""
        return self._quote(quote_request, at)

    def _quote(self, quote_request: QuoteRequest, second: int) -> Quote[Any]:
        """Return the quote as of a market second; equal requests share it. Raises `Refusal`."""
        if second != self._second or len(self._of_second) >= MAX_OF_SECOND:
            self._second = second
            self._of_second.clear()
        quote = self._of_second.get(quote_request)
        if quote is None:
            quote = quoting.make_quote(quote_request, self._feed, second, self._margins)
            self._of_second[quote_request] = quote
        return quote

    def find(self, session: Session, proposal_id: str) -> Quoted:
        """Return the quote with this id. Raises `InvalidContractProposal`."""
        quoted = self._by_session.get(session, {}).get(proposal_id)
        if quoted is None or quoted.quoted_at < self._monotonic() - GOOD_FOR:
            raise ApiError("InvalidContractProposal", "Unknown contract proposal")
        return quoted

    def requested(self, session: Session, proposal_id: str) -> QuoteRequest | None:
        """Return the quote request of a proposal, also of one that can no longer be bought.

        `None` if it is not known: it was bought, or belongs to another connection.
        """
        quoted = self._by_session.get(session, {}).get(proposal_id)
        return None if quoted is None else quoted.quote_request

    def bought(self, session: Session, proposal_id: str) -> None:
        """Remove a proposal that was bought, or may have been, and end its stream."""
        self._by_session.get(session, {}).pop(proposal_id, None)
        session.forget(proposal_id)

    def _remember(self, session: Session, proposal_id: str, quoted: Quoted) -> None:
        quotes = self._by_session.get(session)
        if quotes is None:
            quotes = self._by_session[session] = {}
            session.on_leave(partial(self._forget, session))
        quotes[proposal_id] = quoted
        stale = self._monotonic() - GOOD_FOR
        surplus = len(quotes) - len(session.subscriptions) - MAX_PROPOSALS
        dropped: list[str] = []
        for other, known in quotes.items():
            if other in session.subscriptions:
                continue
            if known.quoted_at >= stale and len(dropped) >= surplus:
                break  # the others are newer
            dropped.append(other)
        for other in dropped:
            del quotes[other]

    def _forget(self, session: Session) -> None:
        self._by_session.pop(session, None)

    def on_second(self, epoch: int) -> None:
        """Publish new quotes on all streams whose symbol has a tick at this market second.

        After `SLICE` the event loop gets a turn, and the rest follows. Streams that have none by
        the next second miss this update, and are first then.
        """
        for topic, quoted in self._streams.items():
            symbol = quoted.quote.terms.symbol
            is_due = symbol.has_tick(epoch) or not symbol.is_open(epoch)
            if is_due and epoch > quoted.second:
                self._waiting.setdefault(topic)
        self._streamed_second = epoch
        if self._slice is None:
            self._price_streams()

    def _price_streams(self) -> None:
        self._slice = None
        now = self._monotonic()
        ends, epoch = now + SLICE, self._streamed_second
        while self._waiting:
            topic = next(iter(self._waiting))
            del self._waiting[topic]
            quoted = self._streams.get(topic)
            if quoted is None or epoch <= quoted.second:  # it has ended, or has just been quoted
                continue
            try:
                quote = self._quote(quoted.quote_request, epoch)
            except Refusal as refusal:
                self._bus.finish(topic, as_error(refusal))
                continue
            quoted.quote, quoted.second, quoted.quoted_at = quote, epoch, now
            self._bus.publish(topic, self.body(quoted), epoch)
            now = self._monotonic()
            if now >= ends and self._waiting:
                self._slice = asyncio.get_running_loop().call_soon(self._price_streams)
                return


def quote_request_of(fields: Proposal | BuyParameters | CopiedParameters) -> QuoteRequest:
    """Return the quote request in the fields of a request, without a markup."""
    given = {
        name: value
        for name, value in fields.__dict__.items()
        if value is not None and name in _QUOTE_FIELDS
    }
    orders = fields.__dict__.get("limit_order")
    if orders is not None:
        given["stop_loss"], given["take_profit"] = orders.stop_loss, orders.take_profit
    return QuoteRequest(**given)
