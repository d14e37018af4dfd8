"""Calls of a stranger's: they wait, fail, take too long, or answer with their task's name."""

import asyncio
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from scopegate.gateway.calls.errors import ApiError, Disconnect, rate_limit
from scopegate.gateway.calls.registry import SIGNED_IN, call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.exchange_scopes import PAYMENTS, READ
from scopegate.runtime.clock import Clock
from scopegate.schemas.fields import One, Request, Text, secret
from scopegate.store.store import Store
from scopegate.store.transactions import Transaction


class Behave(Request):
    """Asks the stranger to do something."""

    behave: Text
    password: Annotated[Text, Field(max_length=50)] | None = None
    pin: Text | None = secret(None, description="A secret of no use.")


class BehaveReply(TypedDict):
    behave: str


class Whisper(Request):
    """Asks for a word in private."""

    whisper: One


class WhisperReply(TypedDict):
    whisper: str


class Stranger:
    """Calls of a stranger's."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self.clock = clock
        self.store = store
        self.opened = asyncio.Event()

    @call("behave", needs=None)
    async def behave(self, request: Behave, session: Session) -> BehaveReply:
        """Do what the client asks for."""
        what = request.behave
        if what == "wait":
            await self.opened.wait()
        elif what == "open":
            self.opened.set()
        elif what == "yield":
            await asyncio.sleep(0)
        elif what == "bug":
            raise ZeroDivisionError(f"for {request.password}")
        elif what == "late bug":
            await asyncio.sleep(0)
            raise ZeroDivisionError
        elif what == "refuse":
            raise ApiError("NotToday", "Come back tomorrow.", {"behave": "Not today."})
        elif what == "limit":
            raise rate_limit("behave", "one a minute")
        elif what == "late limit":
            await asyncio.sleep(0)
            raise rate_limit("behave", "one a minute")
        elif what == "hang up":
            raise Disconnect(4000, "enough")
        elif what == "late hang up":
            await asyncio.sleep(0)
            raise Disconnect(4000, "enough")
        elif what == "own timeout":
            raise TimeoutError
        elif what == "timeout inside":
            async with asyncio.timeout(5):
                await asyncio.sleep(0)
        elif what == "write":
            await self.store.write(lambda transaction: transaction.execute("SELECT 1"))
        elif what == "count":
            row = await self.store.read(_count)
            return {"behave": str(row)}
        return {"behave": what}

    @call("whisper", needs=SIGNED_IN)
    async def whisper(self, request: Whisper, session: Session) -> WhisperReply:
        """Say something to a user who is signed in."""
        return {"whisper": session.grant.loginid}


class Either(Request):
    """Asks as one who may do one of two things."""

    either: One


class EitherReply(TypedDict):
    either: int


class Second:
    """A second class of the same module."""

    @call("either", needs=(PAYMENTS, READ))
    async def either(self, request: Either, session: Session) -> EitherReply:
        """Answer to readers and payers."""
        return {"either": 1}


def _count(reader: Transaction) -> int:
    row = reader.one("SELECT count(*) FROM users")
    return row[0] if row else 0
