"""The steps of the published client's own first example bot: what it saw goes to standard output.

Runs in an environment that has `python-deriv-api` and nothing of ours, as somebody's bot would:
``python deriv_client_bot.py ws://HOST:PORT`` with a token of the demo account in ``TOKEN``.
"""

import asyncio
import json
import os
import sys
from typing import Any

from deriv_api import DerivAPI
from deriv_api.errors import ResponseError

HIGHER = {
    "proposal": 1,
    "amount": 100,
    "barrier": "+0.1",
    "basis": "payout",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 60,
    "duration_unit": "s",
    "symbol": "R_100",
}
LOWER = {
    "proposal": 1,
    "amount": 20,
    "basis": "stake",
    "contract_type": "PUT",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "m",
    "symbol": "1HZ100V",
}
FIVE_TICKS = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "t",
    "symbol": "1HZ100V",
}
PRICES = 3
"""Prices of the subscribed proposal to wait for."""


class Stream:
    """A stream of the client's own, collected, with ways to wait for what it tells."""

    def __init__(self, source: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        source.subscribe(on_next=self._heard, on_error=self._heard)

    def _heard(self, message: Any) -> None:
        if isinstance(message, ResponseError):
            message = {"error": {"code": message.code, "message": message.message}}
        self.messages.append(message)
        self._news.set()

    async def until(self, is_there: Any) -> dict[str, Any]:
        """The first message of which this is true; the error, if one comes before."""
        seen = 0
        while True:
            for message in self.messages[seen:]:
                if "error" in message or is_there(message):
                    return message
            seen = len(self.messages)
            self._news.clear()
            await self._news.wait()

    async def count(self, number: int) -> dict[str, Any]:
        """The last message, once there are so many."""
        return await self.until(lambda _: len(self.messages) >= number)


def is_saleable(message: dict[str, Any]) -> bool:
    return bool(message.get("proposal_open_contract", {}).get("is_valid_to_sell"))


def is_sold(message: dict[str, Any]) -> bool:
    return bool(message.get("proposal_open_contract", {}).get("is_sold"))


async def followed(api: DerivAPI, contract_id: int) -> Stream:
    return Stream(await api.subscribe({"proposal_open_contract": 1, "contract_id": contract_id}))


async def bot(endpoint: str) -> dict[str, Any]:
    api = DerivAPI(endpoint=endpoint, app_id=1089)
    complaints: list[str] = []
    api.sanity_errors.subscribe(lambda error: complaints.append(repr(error)))
    seen: dict[str, Any] = {}

    # As the published example does it: look around, sign in, price, buy, look at it, lists.
    seen["ping"] = await api.ping({"ping": 1})
    symbols = {"active_symbols": "brief", "product_type": "basic"}
    seen["active_symbols"] = await api.active_symbols(symbols)
    seen["authorize"] = await api.authorize(os.environ["TOKEN"])
    seen["balance_before"] = await api.balance()
    seen["cached_symbols"] = await api.cache.active_symbols(symbols)
    seen["asset_index"] = await api.cache.asset_index({"asset_index": 1})
    seen["proposal"] = await api.proposal(dict(HIGHER))
    seen["buy"] = await api.buy({"buy": seen["proposal"]["proposal"]["id"], "price": 100})
    expiring = seen["buy"]["buy"]["contract_id"]
    seen["open"] = await api.proposal_open_contract(
        {"proposal_open_contract": 1, "contract_id": expiring}
    )
    to_the_end = await followed(api, expiring)

    # The same with a stream of prices, and a sale back before the end.
    prices = Stream(await api.subscribe(dict(LOWER)))
    await prices.count(PRICES)
    proposal_id = prices.messages[-1]["proposal"]["id"]
    seen["second_buy"] = await api.buy({"buy": proposal_id, "price": 20})
    seen["prices_until_bought"] = len(prices.messages)
    to_sell = seen["second_buy"]["buy"]["contract_id"]
    until_sold = await followed(api, to_sell)
    await until_sold.until(is_saleable)
    seen["sell"] = await api.sell({"sell": to_sell, "price": 0})
    await until_sold.until(is_sold)

    # And in one breath: the buying and what becomes of it on one stream.
    at_once = Stream(await api.subscribe({"buy": 1, "price": 10, "parameters": dict(FIVE_TICKS)}))
    await at_once.until(is_sold)
    await to_the_end.until(is_sold)

    seen["profit_table"] = await api.profit_table(
        {"profit_table": 1, "description": 1, "sort": "ASC"}
    )
    seen["statement"] = await api.statement({"statement": 1, "description": 1, "limit": 100})
    seen["statement_beyond"] = await api.statement(
        {"statement": 1, "description": 1, "limit": 100, "offset": 25}
    )
    seen["portfolio"] = await api.portfolio({"portfolio": 1})
    seen["balance_after"] = await api.balance()
    seen["prices"] = prices.messages
    seen["to_the_end"] = to_the_end.messages
    seen["until_sold"] = until_sold.messages
    seen["at_once"] = at_once.messages
    seen["complaints"] = list(complaints)
    await api.clear()
    return seen


if __name__ == "__main__":
    json.dump(asyncio.run(bot(sys.argv[1])), sys.stdout)
