"""The places of a user: a table, and the calls that read and change it."""

import time
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from scopegate import (
    Access,
    AccountRequest,
    ApiError,
    Idempotency,
    One,
    Session,
    Snapshot,
    Store,
    Text,
    Transaction,
    call,
)
from weather.scopes import FORECASTS, PLACES

MOST = 20

Place = Annotated[Text, Field(min_length=1, max_length=80, pattern=r"^[\w .'-]+$")]


class PlaceAdd(AccountRequest):
    """Adds a place to the user's list."""

    place_add: Place = Field(description="The name of the place.", examples=["Oslo"])


class PlaceAddReply(TypedDict):
    place_add: int


class PlaceRemove(AccountRequest):
    """Removes a place from the user's list."""

    place_remove: Place = Field(description="The name of the place.", examples=["Oslo"])


class PlaceRemoveReply(TypedDict):
    place_remove: int


class PlaceList(AccountRequest):
    """Lists the user's places."""

    place_list: One


class PlaceListReply(TypedDict):
    place_list: list[str]


class Places:
    """The places of a user."""

    def __init__(self, access: Access, store: Store) -> None:
        self._access = access
        self._store = store

    @call("place_add", needs=PLACES)
    async def place_add(self, request: PlaceAdd, session: Session) -> PlaceAddReply:
        """Add a place. The reply is 1, or 0 if it is on the list already."""
        grant = session.grant

        def job(transaction: Transaction) -> int:
            places = places_of(transaction, grant.user_id)
            if request.place_add in places:
                return 0
            if len(places) >= MOST:
                raise ApiError("TooManyPlaces", f"A list has at most {MOST} places: remove one.")
            transaction.execute(
                "INSERT INTO weather_places (user_id, place, added_at) VALUES (?, ?, ?)",
                grant.user_id,
                request.place_add,
                time.time(),
            )
            return 1

        # Unlike `store.write`, this commits nothing for a token that was revoked meanwhile.
        return {"place_add": await self._access.write(grant, job)}

    @call("place_remove", needs=PLACES, idempotency=Idempotency.RECORDED)
    async def place_remove(self, request: PlaceRemove, session: Session) -> PlaceRemoveReply:
        """Remove a place. The reply is 1, or 0 if it is not on the list."""
        grant = session.grant

        def job(transaction: Transaction) -> int:
            cursor = transaction.execute(
                "DELETE FROM weather_places WHERE user_id = ? AND place = ?",
                grant.user_id,
                request.place_remove,
            )
            return cursor.rowcount

        return await self._access.write_reply(
            session, job, lambda removed: {"place_remove": removed}
        )

    @call("place_list", needs=(FORECASTS, PLACES))
    async def place_list(self, request: PlaceList, session: Session) -> PlaceListReply:
        """List the places, oldest first."""
        user_id = session.grant.user_id
        return {"place_list": await self._store.read(lambda reader: places_of(reader, user_id))}


def places_of(reader: Snapshot, user_id: int) -> list[str]:
    """Return the places of a user, oldest first."""
    rows = reader.all(
        "SELECT place FROM weather_places WHERE user_id = ? ORDER BY added_at, place", user_id
    )
    return [row["place"] for row in rows]
