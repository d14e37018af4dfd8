"""The open and closed contracts of an account."""

from collections.abc import Collection

from scopegate.exchange import book
from scopegate.exchange.book import Contract
from scopegate.exchange.desk import Desk
from scopegate.exchange.money import to_number
from scopegate.exchange.symbols import DAY
from scopegate.gateway.calls import resuming
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.limits import Rate
from scopegate.gateway.calls.registry import Stream, call
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.contract_bodies import (
    expiry,
    longcode,
)
from scopegate.handlers.exchange.contract_streams import ContractStreams
from scopegate.handlers.exchange.days import midnight
from scopegate.handlers.exchange.exchange_scopes import READ, TRADING_INFORMATION
from scopegate.handlers.exchange.paper_accounts import facts_of
from scopegate.handlers.exchange.views.all_views import view_of
from scopegate.schemas.portfolio_messages import (
    ClosedContract,
    HeldContract,
    PortfolioReply,
    ProfitTable,
    ProfitTableReply,
    ProposalOpenContract,
    ProposalOpenContractReply,
    RealityCheck,
    RealityCheckReply,
)
from scopegate.schemas.portfolio_messages import (
    Portfolio as PortfolioRequest,
)
from scopegate.store.store import Store

_INFORMED = (READ, TRADING_INFORMATION)


class Portfolio:
    """The open and closed contracts of an account."""

    def __init__(
        self, desk: Desk, store: Store, workers: Workers, streams: ContractStreams
    ) -> None:
        self._desk = desk
        self._workers = workers
        self._store = store
        self._streams = streams

    @call(
        "proposal_open_contract",
        needs=_INFORMED,
        rate=Rate.PRICING,
        error_codes=("ContractNotFound",),
    )
    async def proposal_open_contract(
        self, request: ProposalOpenContract, session: Session
    ) -> (
        ProposalOpenContractReply
        | list[ProposalOpenContractReply]
        | Stream[ProposalOpenContractReply]
    ):
        """Return the state of one contract, open or closed, or of all open ones, a reply for each.

        With `subscribe`, every change follows until a contract is closed; its last message has no
        `subscription`. Without `contract_id`, contracts that are bought later follow too.

        After a lost connection, send the `position` of the last message that you have seen as
        `resume` in `passthrough`: after the open contracts, those follow that were closed since.
        """
        loginid = session.grant.loginid
        if request.contract_id is None:
            if request.subscribe:
                after = resuming.position_of(request.passthrough)
                return await self._streams.of_account(loginid, after)
            return self._streams.open_of(loginid)
        if request.subscribe:
            await self._streams.know(loginid)
        contract = await self._desk.find(request.contract_id, loginid)
        if contract is None:
            raise ApiError("ContractNotFound", "You have no contract with this contract_id.")
        body: ProposalOpenContractReply = {"proposal_open_contract": self._streams.body(contract)}
        if not request.subscribe:
            return body
        return self._streams.of_contract(contract, body, optional=False)

    @call("portfolio", needs=_INFORMED, rate=Rate.OUTCOME, error_codes=())
    async def portfolio(self, request: PortfolioRequest, session: Session) -> PortfolioReply:
        """List the open contracts, in the order of purchase."""
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

    @call("profit_table", needs=_INFORMED, rate=Rate.OUTCOME, error_codes=())
    async def profit_table(self, request: ProfitTable, session: Session) -> ProfitTableReply:
        """List the closed contracts with what each cost and paid, latest sale first."""
        loginid = session.grant.loginid
        types: Collection[str] = request.contract_type or ()
        first = None if request.date_from is None else _moment(request.date_from, "date_from")
        last = None if request.date_to is None else _moment(request.date_to, "date_to", ends=True)
        described = request.description == 1
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
            listed = (_closed_row(contract, described=described) for contract in found)
            transactions = await self._workers.listed(turn, len(found), listed)
        return {"profit_table": {"count": len(found), "transactions": transactions}}

    @call("reality_check", needs=_INFORMED, rate=Rate.OUTCOME, error_codes=())
    async def reality_check(self, request: RealityCheck, session: Session) -> RealityCheckReply:
        """Add up what was bought and sold since the connection signed in."""
        grant = session.grant
        since = int(session.signed_in_at)
        traded = await self._store.read(
            lambda reader: book.traded_since(reader, grant.loginid, since)
        )
        positions = self._desk.positions(grant.loginid)
        gain = sum(
            self._desk.value(position, self._desk.market_view(position.terms.symbol))
            - position.contract.price
            for position in positions
        )
        return {
            "reality_check": {
                "buy_amount": to_number(traded.paid, facts_of(grant).currency),
                "buy_count": traded.bought,
                "currency": facts_of(grant).currency,
                "loginid": grant.loginid,
                "open_contract_count": len(positions),
                "potential_profit": to_number(gain, facts_of(grant).currency),
                "sell_amount": to_number(traded.received, facts_of(grant).currency),
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


def _closed_row(contract: Contract, *, described: bool) -> ClosedContract:
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
    if described:
        view = view_of(terms)
        row["contract_type"] = terms.contract_type
        row["duration_type"] = view.duration_type(terms)
        row["longcode"] = longcode(terms)
        row["shortcode"] = contract.shortcode
        row["underlying_symbol"] = terms.symbol.name
        view.add_to_profit_row(row, terms)
    return row


def _moment(text: str, field: str, *, ends: bool = False) -> int:
    """Return epoch seconds as they are, or the first (with `ends` the last) second of a day."""
    if text.isdigit():
        return int(text)
    begins = midnight(text, field)
    return begins + DAY - 1 if ends else begins
