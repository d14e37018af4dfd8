"""Streams of contracts (`proposal_open_contract`).

Rules:
- While it has subscribers, an open contract is published once a tick, and a last time when it is
  closed, after the COMMIT that pays for it.
- Published events are counted: that is their order within a stream. The position that a client sees
  is the latest entry of the account's ledger. With it a stream is resumed: first with the present
  state of the open contracts, then with those that were closed since, in order, but not with each
  valuation. The position of a closed contract is then the entry that closed it.
"""

from collections.abc import Collection
from typing import NamedTuple

from scopegate.exchange.book import Contract
from scopegate.exchange.desk import Desk, Position
from scopegate.exchange.ledger import Ledger
from scopegate.gateway.calls import resuming
from scopegate.gateway.calls.bus import ActiveTopics, Bus, encoded
from scopegate.gateway.calls.registry import BodyT, Stream
from scopegate.gateway.calls.resuming import MAX_MISSED, Missed
from scopegate.handlers.exchange.contract_bodies import closed_contract, open_contract, tick_stream
from scopegate.handlers.exchange.views.view import ShownContract
from scopegate.schemas.portfolio_messages import OpenContract, ProposalOpenContractReply

_CALL = "proposal_open_contract"
PAGE = 50
"""Closed contracts that are read at once; a message about one is ten times one about an entry."""
TICKS_STREAMED = 11
"""The number of latest ticks in a message about an open contract; only accumulators have more."""


def _of_contract(contract_id: int) -> str:
    """The topic of one contract."""
    return f"contract.{contract_id}"


def _of_account(loginid: str) -> str:
    """The topic of all contracts of an account."""
    return f"contracts.{loginid}"


class ContractStreams:
    """The bodies of contracts, and their streams."""

    def __init__(self, desk: Desk, bus: Bus, ledger: Ledger) -> None:
        self._desk = desk
        self._ledger = ledger
        self._bus = bus
        self._version = 0
        self._contracts: ActiveTopics[int, None] = ActiveTopics(bus, _of_contract)
        """The contracts that have their own streams."""
        self._accounts: ActiveTopics[str, None] = ActiveTopics(bus, _of_account)
        """The accounts whose contracts are streamed."""
        desk.listen(opened=self._opened, closed=self._closed)

    async def of_account(
        self, loginid: str, after: int | None = None
    ) -> Stream[ProposalOpenContractReply]:
        """A stream of all contracts of an account; it begins with the open ones.

        With `after`, the position of a message, those follow that were closed since then.
        """
        begins, gap = after, None
        if after is not None:
            found = await self._desk.latest_closed_after(loginid, after, MAX_MISSED)
            begins, gap = resuming.start_of(after, *found)
        position = (await self._ledger.balance(loginid)).position
        first, *more = self.open_of(loginid)
        self._accounts.begin(loginid, None)
        return Stream(
            kind=_CALL,
            key=(_CALL, loginid),
            label=_CALL,
            topic=_of_account(loginid),
            first=first,
            msg_type=_CALL,
            since=self._version,
            more=more,
            position=position if begins is None else begins,
            missed=None if begins is None else _Closed(self, self._desk, loginid).read,
            gap=gap,
        )

    async def know(self, loginid: str) -> None:
        """Bring the position of an account into memory, for a stream of one of its contracts."""
        await self._ledger.balance(loginid)

    def open_of(self, loginid: str) -> list[ProposalOpenContractReply]:
        """A reply for each open contract of an account; one empty reply if there is none."""
        bodies: list[ProposalOpenContractReply] = [
            {"proposal_open_contract": state} for state in self.states_of(loginid)
        ]
        return bodies or [ProposalOpenContractReply(proposal_open_contract={})]

    def states_of(self, loginid: str) -> list[OpenContract]:
        """The bodies of the open contracts of an account."""
        return [self._open_body(position) for position in self._desk.positions(loginid)]

    def of_contract(
        self, contract: Contract, first: BodyT, *, optional: bool
    ) -> Stream[BodyT] | BodyT:
        """A stream of an open contract that begins with a reply; the reply alone if it is closed.

        With `optional`, the reply is also sent alone if the stream cannot be opened.
        """
        if self._desk.position(contract.id) is None:
            return first
        self._contracts.begin(contract.id, None)
        return Stream(
            kind=_CALL,
            key=(_CALL, contract.id),
            label=f"contract {contract.id}",
            topic=_of_contract(contract.id),
            first=first,
            msg_type=_CALL,
            since=self._version,
            optional=optional,
            position=self._position(contract.loginid),
        )

    def _position(self, loginid: str) -> int | None:
        """The latest entry of an account's ledger; `None` if it is not in memory."""
        known = self._ledger.known_balance(loginid)
        return None if known is None else known.position

    def body(self, contract: Contract) -> OpenContract:
        """The body of a contract, open or closed."""
        position = self._desk.position(contract.id)
        if position is not None:
            return self._open_body(position)
        return closed_contract(contract, self._desk.feed)

    def _open_body(self, position: Position) -> OpenContract:
        """The body of an open contract, at the latest second that the desk has seen."""
        terms = position.terms
        seen = self._desk.market_view(terms.symbol)
        if position.state.outcome is not None:  # it is being settled
            seen = seen._replace(tick=position.state.outcome.tick)
        worth = self._desk.value(position, seen)
        now = self._desk.now
        feed = self._desk.feed
        shown = ShownContract(position.contract, position.state, seen.tick, feed)
        body = open_contract(shown, seen, worth, now)
        if terms.ticks is not None:
            body["tick_stream"] = tick_stream(
                terms, feed, seen.tick.epoch, max_ticks=TICKS_STREAMED
            )
        return body

    # Publishing.

    def on_second(self, epoch: int) -> None:
        """Publish the contracts that have a tick at this second of the market and subscribers."""
        desk = self._desk
        positions = {
            contract_id: position
            for contract_id in self._contracts
            if (position := desk.position(contract_id)) is not None
        }
        for loginid in self._accounts:
            positions |= {position.contract.id: position for position in desk.positions(loginid)}
        for position in positions.values():
            if position.state.outcome is None and position.terms.symbol.has_tick(epoch):
                self._publish(position.contract, self._open_body(position))

    def _publish(self, contract: Contract, body: OpenContract, *, closed: bool = False) -> None:
        self._version += 1
        event = encoded(body)
        one, every = _of_contract(contract.id), _of_account(contract.loginid)
        shown = self._position(contract.loginid)
        if closed:
            self._bus.conclude(one, event, self._version, ends=True, shown=shown)
            self._bus.conclude(every, event, self._version, ends=False, shown=shown)
        else:
            self._bus.publish(one, event, self._version, shown=shown)
            self._bus.publish(every, event, self._version, shown=shown)

    def _has_subscribers(self, contract: Contract) -> bool:
        return contract.id in self._contracts or contract.loginid in self._accounts

    def _opened(self, position: Position) -> None:
        if self._has_subscribers(position.contract):
            self._publish(position.contract, self._open_body(position))

    def _closed(self, contract: Contract) -> None:
        if self._has_subscribers(contract):
            self._publish(contract, closed_contract(contract, self._desk.feed), closed=True)

    # Resuming.

    def moment(self, loginid: str) -> "_Moment":
        """What divides the events of an account until now from those that follow."""
        return _Moment(
            self._position(loginid) or 0,
            {position.contract.id for position in self._desk.positions(loginid)},
        )


class _Moment(NamedTuple):
    """What divides the events of an account until a moment from those that follow."""

    position: int
    """The account's latest ledger entry."""
    is_open: Collection[int]
    """The ids of the contracts that were open: their ends are events that follow."""


class _Closed:
    """Reads the contracts that were closed before the stream of their account was resumed.

    What the stream holds back meanwhile follows. If that was too much to hold, the contracts closed
    until now are read as well, and the present state of the open ones follows.
    """

    def __init__(self, streams: ContractStreams, desk: Desk, loginid: str) -> None:
        self._streams = streams
        self._desk = desk
        self._loginid = loginid
        self._moment = streams.moment(loginid)
        self._states: list[OpenContract] = []
        self._is_read = False

    async def read(self, after: int) -> Missed:
        """Read the page of contracts that were closed after this ledger entry."""
        if self._is_read:
            self._is_read = False
            self._moment = self._streams.moment(self._loginid)
            self._states = self._streams.states_of(self._loginid)
        until, still_open = self._moment
        closed = await self._desk.closed_between(self._loginid, after, until, PAGE)
        events = [
            (encoded(closed_contract(each, self._desk.feed)), each.sold_by or until)
            for each in closed
            if each.id not in still_open
        ]
        self._is_read = len(closed) < PAGE
        if self._is_read:
            events += [(encoded(state), until) for state in self._states]
            after = max(after, until)
        else:
            after = closed[-1].sold_by or until
        return Missed(events, after, self._is_read, covers=0)  # all that is held back follows
