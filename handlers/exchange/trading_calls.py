"""Buying and selling contracts.

Rules:
- The token is checked again inside the transaction: nothing commits for a token that was revoked
  meanwhile.
- A `buy` with an `idempotency_key` in its `passthrough` buys once for an account, however often it
  is sent: each repetition gets a reply with the same contract. It is a repetition if it names the
  same contract, by its fields or by a proposal; the highest price may differ.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial
from typing import Any, TypeVar, cast

from scopegate.exchange.book import BoughtContract, ClosedContract, Purchase, PurchaseKey
from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import NOT_OPEN, Refusal
from scopegate.exchange.desk import Desk
from scopegate.exchange.markups import MarkupPayee
from scopegate.exchange.money import rounded_units, to_number
from scopegate.exchange.rates import Rates
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import (
    ApiError,
    input_validation_failed,
    permission_denied,
    storage_unavailable,
)
from scopegate.gateway.calls.idempotency import (
    OWN,
    RECORDED,
    AlreadyAnsweredError,
    KeyedRequest,
    key_of,
    key_reused,
    recorder,
)
from scopegate.gateway.calls.registry import Stream, call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.exchange.api_errors import as_error
from scopegate.handlers.exchange.contract_bodies import longcode
from scopegate.handlers.exchange.contract_streams import ContractStreams
from scopegate.handlers.exchange.exchange_scopes import TRADE
from scopegate.handlers.exchange.paper_accounts import facts_of
from scopegate.handlers.exchange.quotes import Quotes, quote_request_of
from scopegate.runtime.clock import Clock
from scopegate.schemas import error_codes
from scopegate.schemas.portfolio_messages import ProposalOpenContractReply
from scopegate.schemas.trading_messages import (
    BoughtForOne,
    Buy,
    BuyBody,
    BuyForSeveral,
    BuyForSeveralReply,
    BuyParameters,
    BuyReply,
    Cancel,
    CancelReply,
    CopiedParameters,
    FailedForOne,
    Sell,
    SellBody,
    SellExpired,
    SellExpiredReply,
    SellForSeveral,
    SellForSeveralReply,
    SellReply,
    SoldForOne,
)
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.transactions import Transaction

ResultT = TypeVar("ResultT")


class Trading:
    """Buying and selling contracts."""

    def __init__(
        self,
        desk: Desk,
        quotes: Quotes,
        streams: ContractStreams,
        access: Access,
        clock: Clock,
        rates: Rates,
    ) -> None:
        self._desk = desk
        self._quotes = quotes
        self._streams = streams
        self._access = access
        self._clock = clock
        self._rates = rates

    @call(
        "buy",
        needs=TRADE,
        streams="proposal_open_contract",
        error_codes=error_codes.PURCHASE,
        idempotency=OWN,
    )
    async def buy(
        self, request: Buy, session: Session
    ) -> BuyReply | Stream[BuyReply] | Stream[ProposalOpenContractReply]:
        """Buy a contract for at most `price`; with `subscribe`, also stream its state.

        Give the `id` of a proposal of this connection, or `parameters`. If you may have to repeat
        the request, put an `idempotency_key` of your own, 1 to 64 characters, into `passthrough`:
        an account buys once for a key.
        """
        grant = session.grant
        text = key_of(request.passthrough)
        key, bought = None, None
        if text is not None:
            key = self._purchase_key(text, request, session)
            bought = await self._desk.bought_with(grant.loginid, text)
        if bought is None:
            bought = await self._buy_once(request, session, grant, key)
        if key is not None:
            _check_same(key, request, session, grant, bought)
        reply: BuyReply = {"buy": _receipt(bought)}
        if not request.subscribe:
            return reply
        await self._streams.know(grant.loginid)
        followed: BuyReply | Stream[BuyReply] = self._streams.of_contract(
            bought.contract, reply, optional=True
        )
        return followed

    def _purchase_key(self, key: str, request: Buy, session: Session) -> PurchaseKey:
        """Return the key with what is requested, as far as this connection knows it."""
        if request.parameters is not None and request.buy == "1":
            return PurchaseKey(key, quote_request_of(request.parameters).digest(), None)
        known = self._quotes.requested(session, request.buy)
        return PurchaseKey(key, None if known is None else known.digest(), request.buy)

    async def _buy_once(
        self, request: Buy, session: Session, grant: Grant, key: PurchaseKey | None
    ) -> BoughtContract:
        """Buy what the request names, or return what was bought under the key meanwhile."""
        try:
            quote_request, proposed = self._named(session, request.buy, request.parameters)
            bought = await self._buy(quote_request, proposed, session, grant, request.price, key)
        except asyncio.CancelledError:
            # The request timed out, but the purchase may still commit: this id must not buy again.
            self._quotes.bought(session, request.buy)
            raise
        except (ApiError, Refusal):
            # Another purchase under the key may be about to commit while this one is refused.
            if key is None:
                raise
            before = await self._desk.bought_with(grant.loginid, key.key, pending=True)
            if before is None:
                raise
            return before
        if bought.is_new:
            self._quotes.bought(session, request.buy)
        return bought

    def _named(
        self, session: Session, named: str, parameters: BuyParameters | CopiedParameters | None
    ) -> tuple[QuoteRequest, Quote[Any] | None]:
        """Return the quote request to buy, and the quote that was sent for it, if any."""
        if named != "1":
            quoted = self._quotes.find(session, named)
            return quoted.quote_request, quoted.quote
        if parameters is None:
            raise input_validation_failed({"parameters": "Needed without the id of a proposal."})
        return self._quotes.quote_request(parameters, session), None

    async def _buy(
        self,
        quote_request: QuoteRequest,
        proposed: Quote[Any] | None,
        session: Session,
        grant: Grant,
        price: Decimal,
        key: PurchaseKey | None,
        keyed: KeyedRequest | None = None,
        reply_of: Callable[[BoughtContract], BoughtForOne] | None = None,
    ) -> BoughtContract:
        """Buy at the present price, or at the one proposed. Raises `Refusal`.

        What `reply_of` makes of the purchase is recorded for `keyed`.
        """
        currency = quote_request.currency
        own = facts_of(grant).currency
        if currency != own:
            raise Refusal(
                "ContractBuyValidationError",
                f"Account {grant.loginid} is in {own}: it cannot buy a contract in {currency}.",
                {"currency": f"Must be {own}."},
            )
        # A token in a purchase for several accounts is not signed in, so it has no session.
        signed_in_at = session.signed_in_at if grant.loginid in session.grants else math.inf
        app_id = session.app_id

        def make_purchase(now: float) -> Purchase:
            deal = quoting.lock_price(
                proposed,
                self._quotes.price(quote_request, int(now)),
                max_price=rounded_units(price, currency, ROUND_FLOOR),
                margins=self._desk.margins,
            )
            return Purchase(
                quote=deal,
                loginid=grant.loginid,
                app_id=app_id,
                at=int(now),
                key=key,
                markup_payee=self._markup_payee(session, deal),
                signed_in_for=max(0.0, now - signed_in_at),
            )

        record = None if reply_of is None else recorder(keyed, reply_of)
        return await self._desk.buy(self._access.guard(grant, keyed), make_purchase, record)

    def _markup_payee(self, session: Session, deal: Quote[Any]) -> MarkupPayee | None:
        """The payee of a purchase's markup; `None` if the connection's app charges none."""
        app = self._quotes.markup_app(session)
        if app is None or app.user_id is None:
            return None
        now = int(self._clock.now())
        cents = self._rates.converted(deal.markup, deal.terms.currency, "USD", now)
        return MarkupPayee(app.id, app.user_id, cents)

    @call(
        "sell",
        needs=TRADE,
        error_codes=error_codes.SALE,
        idempotency=RECORDED,
    )
    async def sell(self, request: Sell, session: Session) -> SellReply:
        """Sell an open contract back at its current value, but not below `price`."""
        closed = await self._sell(
            request.sell, session, session.grant, request.price, session.keyed, _sell_reply
        )
        return _sell_reply(closed)

    async def _sell(
        self,
        contract_id: int,
        session: Session,
        grant: Grant,
        price: Decimal,
        keyed: KeyedRequest | None,
        reply_of: Callable[[ClosedContract], SellReply | SoldForOne],
    ) -> ClosedContract:
        return await self._desk.sell(
            contract_id,
            loginid=grant.loginid,
            min_price=rounded_units(price, facts_of(grant).currency, ROUND_CEILING),
            app_id=session.app_id,
            guard=self._access.guard(grant, keyed),
            record=recorder(keyed, reply_of),
        )

    @call("sell_expired", needs=TRADE, error_codes=(), idempotency=RECORDED)
    async def sell_expired(self, request: SellExpired, session: Session) -> SellExpiredReply:
        """Settle ended contracts; the gateway also does so by itself, at the deciding tick."""
        loginid = session.grant.loginid
        if session.keyed is None:
            return _expired_reply(await self._desk.settle_due(loginid))
        # Recorded first: whatever happens then, the gateway settles these contracts.
        count = len(self._desk.ended(loginid))
        reply = await self._access.write_reply(session, lambda _: count, _expired_reply)
        await self._desk.settle_due(loginid)
        return reply

    @call(
        "cancel",
        needs=TRADE,
        error_codes=("ContractNotFound", "InvalidSellContractProposal", "NoOpenPosition"),
        idempotency=RECORDED,
    )
    async def cancel(self, request: Cancel, session: Session) -> CancelReply:
        """Cancel a multiplier that was bought with `cancellation`, and refund the stake."""
        grant = session.grant
        closed = await self._desk.cancel(
            request.cancel,
            loginid=grant.loginid,
            app_id=session.app_id,
            guard=self._access.guard(grant, session.keyed),
            record=recorder(session.keyed, _cancel_reply),
        )
        return _cancel_reply(closed)

    # For several accounts at once.

    @call(
        "buy_contract_for_multiple_accounts",
        needs=TRADE,
        error_codes=error_codes.PURCHASE,
        idempotency=RECORDED,
    )
    async def buy_for_several(self, request: BuyForSeveral, session: Session) -> BuyForSeveralReply:
        """Buy a contract for several accounts, each named by its own token.

        Each purchase succeeds or fails separately. Results are in the order of `tokens`, with each
        token masked. A repetition under the same `idempotency_key` tries those again that failed.
        """
        deal, refusal = None, None
        try:
            deal = self._named(
                session, request.buy_contract_for_multiple_accounts, request.parameters
            )
        except (ApiError, Refusal) as problem:
            refusal = problem
        done = await self._done(session, request.tokens, begins=refusal is None)
        if refusal is not None and not any(done):
            raise refusal

        async def buy(grant: Grant, token: str, keyed: KeyedRequest | None) -> BoughtForOne:
            if refusal is not None:  # the proposal has gone since the first request
                raise refusal
            assert deal is not None  # noqa: S101 - else it is refused
            reply_of = partial(_bought_for_one, token_form.masked(token))
            bought = await self._buy(*deal, session, grant, request.price, None, keyed, reply_of)
            return reply_of(bought)

        results = await self._for_each_token(
            "buy_contract_for_multiple_accounts", request.tokens, session, buy, done
        )
        if any("code" not in result for result in results):
            self._quotes.bought(session, request.buy_contract_for_multiple_accounts)
        return {"buy_contract_for_multiple_accounts": {"result": results}}

    @call(
        "sell_contract_for_multiple_accounts",
        needs=TRADE,
        error_codes=error_codes.SALE,
        idempotency=RECORDED,
    )
    async def sell_for_several(
        self, request: SellForSeveral, session: Session
    ) -> SellForSeveralReply:
        """Sell, for each of several accounts, its open contract with this shortcode.

        A repetition under the same `idempotency_key` tries those sales again that failed.
        """

        async def sell(grant: Grant, token: str, keyed: KeyedRequest | None) -> SoldForOne:
            held = self._held(grant.loginid, request.shortcode)
            closed = await self._sell(held, session, grant, request.price, keyed, _sold_for_one)
            return _sold_for_one(closed)

        done = await self._done(session, request.tokens)
        results = await self._for_each_token(
            "sell_contract_for_multiple_accounts", request.tokens, session, sell, done
        )
        return {"sell_contract_for_multiple_accounts": {"result": results}}

    async def _done(
        self, session: Session, tokens: Sequence[str], *, begins: bool = True
    ) -> Sequence[Mapping[str, Any] | None]:
        """The results that a request with an idempotency key has had already, by token.

        If it `begins`, its key belongs to it from then on.
        """
        keyed = session.keyed
        if keyed is None:
            return [None] * len(tokens)

        def job(transaction: Transaction) -> list[Mapping[str, Any] | None]:
            if begins:
                keyed.begin(transaction)
            return keyed.done(transaction, len(tokens))

        return await self._access.write(session.grant, job)

    async def _for_each_token(
        self,
        call_name: str,
        tokens: Sequence[str],
        session: Session,
        trade: Callable[[Grant, str, KeyedRequest | None], Awaitable[ResultT]],
        done: Sequence[Mapping[str, Any] | None],
    ) -> list[ResultT | FailedForOne]:
        """Call `trade` with the grant of each token; return results in the order of the tokens.

        Each trade succeeds or fails separately, and is recorded in the activity of its token. What
        is `done` already is not done again.
        """
        results: list[ResultT | FailedForOne] = []
        for number, (token, before) in enumerate(zip(tokens, done, strict=True)):
            keyed = None if session.keyed is None else session.keyed.part(number)
            grant: Grant | None = None
            try:
                [grant] = await self._access.grants([token], session)
                if grant.token_id != session.grant.token_id:  # else the call itself is counted
                    self._access.records.used(session, grant, call_name)
                if TRADE not in grant.scopes:
                    raise permission_denied("trade scope")
                if before is None:
                    trading = partial(trade, grant, token, keyed)
                    results.append(await self._trade_once(session.grant, keyed, trading))
                else:
                    results.append(cast("ResultT", before))
            # A failure of the store too: the trades of the other accounts are reported.
            except (ApiError, Refusal, StoreUnavailableError) as problem:
                error = _api_error(problem)
                if grant is not None:
                    self._access.records.refused(session, grant, call_name, error.code)
                results.append(
                    {
                        "code": error.code,
                        "message_to_client": error.message,
                        "token": token_form.masked(token),
                    }
                )
        return results

    async def _trade_once(
        self,
        grant: Grant,
        keyed: KeyedRequest | None,
        trade: Callable[[], Awaitable[ResultT]],
    ) -> ResultT:
        """Make one trade of a request, or return the result of the same one made meanwhile."""
        try:
            return await trade()
        except AlreadyAnsweredError as answered:
            return cast("ResultT", answered.reply)
        except (ApiError, Refusal):
            # The same one may be about to commit, and this one is refused because of that.
            before = None if keyed is None else await self._access.write(grant, keyed.find)
            if before is None:
                raise
            return cast("ResultT", before)

    def _held(self, loginid: str, shortcode: str) -> int:
        for position in self._desk.positions(loginid):
            if position.contract.shortcode == shortcode:
                return position.contract.id
        raise Refusal("NoOpenPosition", NOT_OPEN)


def _receipt(bought: BoughtContract) -> BuyBody:
    contract = bought.contract
    terms, currency = contract.terms, contract.terms.currency
    return {
        "balance_after": to_number(bought.balance_after, currency),
        "buy_price": to_number(contract.price, currency),
        "contract_id": contract.id,
        "longcode": longcode(terms),
        "payout": to_number(contract.payout, currency),
        "purchase_time": contract.bought_at,
        "shortcode": contract.shortcode,
        "start_time": terms.start,
        "transaction_id": contract.bought_by,
    }


def _bought_for_one(masked_token: str, bought: BoughtContract) -> BoughtForOne:
    receipt = _receipt(bought)
    return {
        "buy_price": receipt["buy_price"],
        "contract_id": receipt["contract_id"],
        "longcode": receipt["longcode"],
        "payout": receipt["payout"],
        "purchase_time": receipt["purchase_time"],
        "shortcode": receipt["shortcode"],
        "start_time": receipt["start_time"],
        "token": masked_token,
        "transaction_id": receipt["transaction_id"],
    }


def _check_same(
    key: PurchaseKey, request: Buy, session: Session, grant: Grant, bought: BoughtContract
) -> None:
    """Raise `ApiError` if a contract was bought earlier, under the same key, by another request.

    The price is not compared: it moves between two attempts. A proposal that this connection does
    not know is compared by its id.
    """
    before = bought.bought_under
    if before is None:
        return
    wanted = request.parameters
    is_same = grant.app_id is None or bought.contract.app_id == session.app_id
    if before.request_digest is None:  # bought by a release that stored none
        if wanted is not None:
            begin = f"{wanted.contract_type}_{wanted.symbol}_"
            is_same = is_same and bought.contract.shortcode.startswith(begin)
    elif key.request_digest is not None:
        is_same = is_same and key.request_digest == before.request_digest
    else:
        is_same = is_same and key.proposal_id == before.proposal_id
    if not is_same:
        raise key_reused()


def _sell_reply(closed: ClosedContract) -> SellReply:
    return {"sell": _sold(closed)}


def _cancel_reply(closed: ClosedContract) -> CancelReply:
    return {"cancel": _sold(closed)}


def _expired_reply(count: int) -> SellExpiredReply:
    return {"sell_expired": {"count": count}}


def _sold_for_one(closed: ClosedContract) -> SoldForOne:
    sold = _sold(closed)
    moment = time.gmtime(closed.contract.sold_at)
    return {
        "balance_after": sold["balance_after"],
        "contract_id": sold["contract_id"],
        "reference_id": sold["reference_id"],
        "sell_price": sold["sold_for"],
        "sell_time": time.strftime("%Y-%m-%d %H:%M:%S", moment),
        "transaction_id": sold["transaction_id"],
    }


def _sold(closed: ClosedContract) -> SellBody:
    contract, entry = closed
    return {
        "balance_after": to_number(entry.balance_after, entry.currency),
        "contract_id": contract.id,
        "reference_id": contract.bought_by,
        "sold_for": to_number(entry.amount, entry.currency),
        "transaction_id": entry.id,
    }


def _api_error(problem: ApiError | Refusal | StoreUnavailableError) -> ApiError:
    if isinstance(problem, Refusal):
        return as_error(problem)
    return storage_unavailable() if isinstance(problem, StoreUnavailableError) else problem
