"""What an account holds and has held, and how each contract stands.

Rules:
- While somebody listens, an open contract is told once a tick, and once more when it is closed,
  after the COMMIT that pays for it. Nothing is told of it after that.
- What was told is counted: a stream's first reply stands at the count of its moment.
"""

from collections.abc import Collection

import orjson

from scopegate.exchange import book
from scopegate.exchange.book import Contract
from scopegate.exchange.desk import Desk, Position
from scopegate.exchange.money import to_number
from scopegate.exchange.symbols import DAY
from scopegate.gateway.calls.bus import Bus, Heard
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.fairness import Workers
from scopegate.gateway.calls.limits import Rate
from scopegate.gateway.calls.registry import BodyT, Stream, call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.contract_views import (
    closed_contract,
    expiry,
    longcode,
    open_contract,
    tick_stream,
)
from scopegate.handlers.days import midnight
from scopegate.schemas.portfolio import (
    ClosedContract,
    HeldContract,
    OpenContract,
    PortfolioReply,
    ProfitTable,
    ProfitTableReply,
    ProposalOpenContract,
    ProposalOpenContractReply,
    RealityCheck,
    RealityCheckReply,
)
from scopegate.schemas.portfolio import (
    Portfolio as PortfolioRequest,
)
from scopegate.schemas.scopes import Scope
from scopegate.store.sqlite import Store

_INFORMED = (Scope.READ, Scope.TRADING_INFORMATION)
_CALL = "proposal_open_contract"


TICKS_STREAMED = 11
"""The latest ticks that are told of an open contract: all, but of accumulators."""


def _of_contract(contract_id: int) -> str:
    """The topic on which one contract is told."""
    return f"contract.{contract_id}"


def _of_account(loginid: str) -> str:
    """The topic on which all contracts of an account are told."""
    return f"contracts.{loginid}"


class Portfolio:
    """What an account holds and has held."""

    def __init__(self, desk: Desk, store: Store, bus: Bus, workers: Workers) -> None:
        self._desk = desk
        self._workers = workers
        self._store = store
        self._bus = bus
        self._told = 0
        self._contracts: Heard[int, None] = Heard(bus, _of_contract)
        """The contracts that have streams of their own."""
        self._accounts: Heard[str, None] = Heard(bus, _of_account)
        """The accounts whose contracts are streamed."""
        desk.listen(opened=self._opened, closed=self._closed)

    @call("proposal_open_contract", needs=_INFORMED, rate=Rate.PRICING)
    async def proposal_open_contract(
        self, request: ProposalOpenContract, session: Session
    ) -> (
        ProposalOpenContractReply
        | list[ProposalOpenContractReply]
        | Stream[ProposalOpenContractReply]
    ):
        """Tell how a contract stands: one, open or closed, or else all that are open, one by one.

        With `subscribe` every change follows until the contract is closed; the last message carries
        no `subscription`.
        """
        loginid = session.grant.loginid
        if request.contract_id is not None:
            contract = await self._desk.find(request.contract_id, loginid)
            if contract is None:
                raise ApiError("ContractNotFound", "You have no contract of this number.")
            body: ProposalOpenContractReply = {"proposal_open_contract": self._body(contract)}
            position = self._desk.position(contract.id)
            if not request.subscribe or position is None:
                return body
            return self.stream(contract, body, optional=False)
        bodies: list[ProposalOpenContractReply] = [
            {"proposal_open_contract": self._standing(position)}
            for position in self._desk.positions(loginid)
        ]
        first, *more = bodies or [ProposalOpenContractReply(proposal_open_contract={})]
        if not request.subscribe:
            return [first, *more]
        self._accounts.begin(loginid, None)
        return Stream(
            kind=_CALL,
            key=(_CALL, loginid),
            label=_CALL,
            topic=_of_account(loginid),
            first=first,
            msg_type=_CALL,
            since=self._told,
            more=more,
        )

    def stream(self, contract: Contract, first: BodyT, *, optional: bool) -> Stream[BodyT] | BodyT:
        """A stream that begins with a reply and goes on telling of the contract, if it is open.

        With `optional` the reply stands by itself where the stream cannot be opened.
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
            since=self._told,
            optional=optional,
        )

    def _body(self, contract: Contract) -> OpenContract:
        position = self._desk.position(contract.id)
        if position is not None:
            return self._standing(position)
        return closed_contract(contract, self._desk.feed)

    def _standing(self, position: Position) -> OpenContract:
        """The open contract at the second that the desk has seen."""
        terms = position.terms
        seen = self._desk.sight(terms.symbol)
        if position.life.end is not None:  # it is being settled
            seen = seen._replace(tick=position.life.end.tick)
        worth = self._desk.value(position, seen)
        now = self._desk.now
        feed = self._desk.feed
        body = open_contract(position.contract, position.life, seen, worth, now, feed)
        if terms.ticks is not None:
            body["tick_stream"] = tick_stream(terms, feed, seen.tick.epoch, most=TICKS_STREAMED)
        return body

    # What streams are told.

    def second(self, epoch: int) -> None:
        """The market has reached this second: tell how contracts stand, to whoever listens."""
        desk = self._desk
        heard = {
            contract_id: position
            for contract_id in self._contracts
            if (position := desk.position(contract_id)) is not None
        }
        for loginid in self._accounts:
            heard |= {position.contract.id: position for position in desk.positions(loginid)}
        for position in heard.values():
            if position.life.end is None and position.terms.symbol.has_tick(epoch):
                self._tell(position.contract, self._standing(position))

    def _tell(self, contract: Contract, body: OpenContract, *, closed: bool = False) -> None:
        self._told += 1
        encoded = orjson.dumps(body)
        one, every = _of_contract(contract.id), _of_account(contract.loginid)
        if closed:
            self._bus.conclude(one, encoded, self._told, ends=True)
            self._bus.conclude(every, encoded, self._told, ends=False)
        else:
            self._bus.publish(one, encoded, self._told)
            self._bus.publish(every, encoded, self._told)

    def _heard(self, contract: Contract) -> bool:
        return contract.id in self._contracts or contract.loginid in self._accounts

    def _opened(self, position: Position) -> None:
        if self._heard(position.contract):
            self._tell(position.contract, self._standing(position))

    def _closed(self, contract: Contract) -> None:
        if self._heard(contract):
            self._tell(contract, closed_contract(contract, self._desk.feed), closed=True)

    # Lists.

    @call("portfolio", needs=_INFORMED, rate=Rate.OUTCOME)
    async def portfolio(self, request: PortfolioRequest, session: Session) -> PortfolioReply:
        """List the open contracts, in the order of their buying."""
        positions = self._desk.positions(session.grant.loginid)
        wanted = request.contract_type
        return {
            "portfolio": {
                "contracts": [
                    _held(position.contract)
                    for position in positions
                    if not wanted or position.terms.contract_type in wanted
                ]
            }
        }

    @call("profit_table", needs=_INFORMED, rate=Rate.OUTCOME)
    async def profit_table(self, request: ProfitTable, session: Session) -> ProfitTableReply:
        """List the closed contracts with what each cost and brought, the latest sale first."""
        loginid = session.grant.loginid
        types: Collection[str] = request.contract_type or ()
        first = None if request.date_from is None else _moment(request.date_from, "date_from")
        last = None if request.date_to is None else _moment(request.date_to, "date_to", ends=True)
        told = request.description == 1
        async with self._workers.reading(session.client, "profit_table", request.limit) as turn:
            found = await self._store.read(
                lambda reader: book.closed(
                    reader,
                    loginid,
                    types=types,
                    first=first,
                    last=last,
                    limit=request.limit,
                    offset=request.offset,
                    ascending=request.sort == "ASC",
                )
            )
            listed = (_closed_row(contract, told=told) for contract in found)
            transactions = await self._workers.listed(turn, len(found), listed)
        return {"profit_table": {"count": len(found), "transactions": transactions}}

    @call("reality_check", needs=_INFORMED, rate=Rate.OUTCOME)
    async def reality_check(self, request: RealityCheck, session: Session) -> RealityCheckReply:
        """Sum up what was bought and sold since the connection signed in."""
        grant = session.grant
        since = int(session.signed_in_at)
        traded = await self._store.read(
            lambda reader: book.traded_since(reader, grant.loginid, since)
        )
        positions = self._desk.positions(grant.loginid)
        gain = sum(
            self._desk.value(position, self._desk.sight(position.terms.symbol))
            - position.contract.price
            for position in positions
        )
        return {
            "reality_check": {
                "buy_amount": to_number(traded.paid, grant.currency),
                "buy_count": traded.bought,
                "currency": grant.currency,
                "loginid": grant.loginid,
                "open_contract_count": len(positions),
                "potential_profit": to_number(gain, grant.currency),
                "sell_amount": to_number(traded.received, grant.currency),
                "sell_count": traded.sold,
                "start_time": since,
            }
        }


def _held(contract: Contract) -> HeldContract:
    terms, currency = contract.terms, contract.terms.currency
    return {
        "app_id": contract.app_id,
        "buy_price": to_number(contract.price, currency),
        "contract_id": contract.id,
        "contract_type": terms.contract_type,
        "currency": currency,
        "date_start": terms.start,
        "expiry_time": expiry(terms),
        "longcode": longcode(terms),
        "payout": to_number(contract.payout, currency),
        "purchase_time": contract.bought_at,
        "shortcode": contract.shortcode,
        "symbol": terms.symbol.name,
        "transaction_id": contract.bought_by,
    }


def _closed_row(contract: Contract, *, told: bool) -> ClosedContract:
    terms, currency = contract.terms, contract.terms.currency
    row: ClosedContract = {
        "app_id": contract.app_id,
        "buy_price": to_number(contract.price, currency),
        "contract_id": contract.id,
        "payout": to_number(contract.payout, currency),
        "purchase_time": contract.bought_at,
        "sell_price": to_number(contract.sold_for or 0, currency),
        "sell_time": contract.sold_at or 0,
        "transaction_id": contract.bought_by,
    }
    if told:
        row["contract_type"] = terms.contract_type
        row["duration_type"] = _duration_type(contract)
        row["longcode"] = longcode(terms)
        row["shortcode"] = contract.shortcode
        row["underlying_symbol"] = terms.symbol.name
        if terms.growth:
            row["growth_rate"] = f"{terms.growth / 100:.2f}"
        if terms.multiplier:
            row["multiplier"] = str(terms.multiplier)
            if terms.cancellation:
                row["deal_cancellation_duration"] = f"{terms.cancellation // 60}m"
    return row


def _duration_type(contract: Contract) -> str | None:
    terms = contract.terms
    if terms.multiplier:
        return None
    if terms.ticks is not None:
        return "ticks"
    return "days" if terms.lasts_days else "seconds"


def _moment(text: str, field: str, *, ends: bool = False) -> int:
    """Epoch seconds as they are, or the first (or last) second of a day."""
    if text.isdigit():
        return int(text)
    begins = midnight(text, field)
    return begins + DAY - 1 if ends else begins
