"""What an app's owner gets for the contracts that are bought through it."""

from exchange import markups
from exchange.money import to_number
from gateway.calls import call
from gateway.session import Session
from gateway.store import Store
from handlers.days import moment
from schemas.markups import (
    AppMarkupDetails,
    AppMarkupDetailsReply,
    AppMarkupStatistics,
    AppMarkupStatisticsReply,
    MarkupOfApp,
    MarkupOfContract,
)
from schemas.scopes import Scope

_DOLLARS = frozenset({"USD", "USDC"})
"""The currencies of which one is a US dollar."""


class Markups:
    """What an app's owner gets for the contracts that are bought through it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @call("app_markup_details", needs=Scope.READ)
    async def app_markup_details(
        self, request: AppMarkupDetails, session: Session
    ) -> AppMarkupDetailsReply:
        """List the markup of each contract that was bought through the user's apps.

        It was booked to an account of the user's in the buyer's currency; in US dollars it is told
        where that is one.
        """
        user_id = session.grant.user_id
        first, last = moment(request.date_from, "date_from"), moment(request.date_to, "date_to")
        found = await self._store.read(
            lambda reader: markups.of_owner(
                reader,
                user_id,
                first=first,
                last=last,
                app_id=request.app_id,
                buyer=request.client_loginid,
                order=request.sort_fields or ["transaction_time"],
                ascending=request.sort == "ASC",
                limit=request.limit,
                offset=request.offset,
            )
        )
        return {"app_markup_details": {"transactions": [_of_contract(each) for each in found]}}

    @call("app_markup_statistics", needs=Scope.READ)
    async def app_markup_statistics(
        self, request: AppMarkupStatistics, session: Session
    ) -> AppMarkupStatisticsReply:
        """Tell what the user got through each app in each currency, and in US dollars together."""
        user_id = session.grant.user_id
        first, last = moment(request.date_from, "date_from"), moment(request.date_to, "date_to")
        found = await self._store.read(
            lambda reader: markups.sums(reader, user_id, first=first, last=last)
        )
        breakdown = [_of_app(each) for each in found]
        return {
            "app_markup_statistics": {
                "breakdown": breakdown,
                "total_app_markup_usd": to_number(
                    sum(each.amount for each in found if each.currency in _DOLLARS), "USD"
                ),
                "total_transactions_count": sum(each.contracts for each in found),
            }
        }


def _of_contract(markup: markups.Markup) -> MarkupOfContract:
    amount = to_number(markup.amount, markup.currency)
    told: MarkupOfContract = {
        "app_id": markup.app_id,
        "app_markup": amount,
        "app_markup_value": amount,
        "client_currcode": markup.currency,
        "client_loginid": markup.buyer,
        "dev_currcode": markup.currency,
        "dev_loginid": markup.owner,
        "transaction_id": markup.bought_by,
        "transaction_time": str(markup.at),
    }
    if markup.currency in _DOLLARS:
        told["app_markup_usd"] = amount
    return told


def _of_app(found: markups.Sum) -> MarkupOfApp:
    amount = to_number(found.amount, found.currency)
    told: MarkupOfApp = {
        "app_id": found.app_id,
        "app_markup_value": amount,
        "dev_currcode": found.currency,
        "transactions_count": found.contracts,
    }
    if found.currency in _DOLLARS:
        told["app_markup_usd"] = amount
    return told
