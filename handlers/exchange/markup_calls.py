"""The markups that app owners earn on contracts bought through their apps."""

from scopegate.exchange import markups
from scopegate.exchange.ledger import accounts
from scopegate.exchange.money import to_number
from scopegate.gateway.access import apps
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.exchange.days import moment
from scopegate.handlers.exchange.exchange_scopes import READ
from scopegate.handlers.exchange.reach import within
from scopegate.schemas.markup_messages import (
    AppMarkupDetails,
    AppMarkupDetailsReply,
    AppMarkupStatistics,
    AppMarkupStatisticsReply,
    MarkupOfApp,
    MarkupOfContract,
)
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot


class Markups:
    """The markups that app owners earn on contracts bought through their apps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @call("app_markup_details", needs=READ, error_codes=())
    async def app_markup_details(
        self, request: AppMarkupDetails, session: Session
    ) -> AppMarkupDetailsReply:
        """List the markup of each contract that was bought through the user's apps.

        Each markup was booked to an account of the user in the buyer's currency, and is converted
        to US dollars at the rate of the purchase. With an app's token, only markups through apps
        that this app registered, and only those booked to accounts that it may use, are listed.
        """
        grant = session.grant
        first, last = moment(request.date_from, "date_from"), moment(request.date_to, "date_to")
        query = markups.MarkupQuery(
            first=first,
            last=last,
            app_id=request.app_id,
            buyer=request.client_loginid,
            order=request.sort_fields or ["transaction_time"],
            ascending=request.sort == "ASC",
            limit=request.limit,
            offset=request.offset,
        )
        found = await self._store.read(
            lambda reader: markups.of_owner(reader, _payees(reader, grant), query)
        )
        return {"app_markup_details": {"transactions": [_of_contract(each) for each in found]}}

    @call("app_markup_statistics", needs=READ, error_codes=())
    async def app_markup_statistics(
        self, request: AppMarkupStatistics, session: Session
    ) -> AppMarkupStatisticsReply:
        """Return the user's markup through each app in each currency, and the total in US dollars.

        With an app's token, only markups through apps that this app registered, and only those
        booked to accounts that it may use, are counted.
        """
        grant = session.grant
        first, last = moment(request.date_from, "date_from"), moment(request.date_to, "date_to")
        found = await self._store.read(
            lambda reader: markups.sums(reader, _payees(reader, grant), first=first, last=last)
        )
        breakdown = [_of_app(each) for each in found]
        return {
            "app_markup_statistics": {
                "breakdown": breakdown,
                "total_app_markup_usd": to_number(sum(each.cents for each in found), "USD"),
                "total_transactions_count": sum(each.contracts for each in found),
            }
        }


def _payees(reader: Snapshot, grant: Grant) -> markups.Payees:
    """The accounts and apps whose markups a grant may see."""
    loginids = [account.loginid for account in within(accounts(reader, grant.user_id), grant)]
    if grant.link_id is None:
        return markups.Payees(loginids)
    registered = apps.of_user(reader, grant.user_id, registered_by=grant.app_id)
    return markups.Payees(loginids, [app.id for app in registered])


def _of_contract(markup: markups.Markup) -> MarkupOfContract:
    amount = to_number(markup.amount, markup.currency)
    return {
        "app_id": markup.app_id,
        "app_markup": amount,
        "app_markup_usd": to_number(markup.cents, "USD"),
        "app_markup_value": amount,
        "client_currcode": markup.currency,
        "client_loginid": markup.buyer,
        "dev_currcode": markup.currency,
        "dev_loginid": markup.owner,
        "transaction_id": markup.bought_by,
        "transaction_time": str(markup.at),
    }


def _of_app(found: markups.Sum) -> MarkupOfApp:
    return {
        "app_id": found.app_id,
        "app_markup_usd": to_number(found.cents, "USD"),
        "app_markup_value": to_number(found.amount, found.currency),
        "dev_currcode": found.currency,
        "transactions_count": found.contracts,
    }
