"""Forecasts: a call that asks an HTTP service, and a stream of later changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import Field
from typing_extensions import TypedDict

from scopegate import (
    AccountRequest,
    ApiError,
    Bus,
    Channel,
    Session,
    Store,
    Stream,
    StreamRequest,
    call,
    supervise,
)
from weather.places import Place, places_of
from weather.scopes import FORECASTS
from weather.upstream import Upstream, Weather, WeatherSettings


class Forecast(StreamRequest, AccountRequest):
    """Asks for the forecast of one of the user's places."""

    forecast: Place = Field(description="One of the user's places.", examples=["Oslo"])


class ForecastReply(TypedDict):
    forecast: Weather


class Forecasts:
    """Forecasts for the places of a user."""

    def __init__(self, upstream: Upstream, store: Store, bus: Bus) -> None:
        self._upstream = upstream
        self._store = store
        # A kind of stream, and the type of its events, against which they are checked.
        self._changes = Channel(bus, "forecast", Weather)
        self._followed: dict[str, Weather] = {}

    @call("forecast", needs=FORECASTS)
    async def forecast(
        self, request: Forecast, session: Session
    ) -> ForecastReply | Stream[ForecastReply]:
        """The weather of a place; with `subscribe`, an event at each change."""
        place, user_id = request.forecast, session.grant.user_id
        if place not in await self._store.read(lambda reader: places_of(reader, user_id)):
            raise ApiError("UnknownPlace", f"Add {place} to your places first, with place_add.")
        weather = await self._upstream.weather(place)
        if not request.subscribe:
            return {"forecast": weather}
        # From here to the return there is no await, so no change is missed in between.
        if self._followed.get(place, weather) != weather:
            self._changes.publish(place, weather)
        self._followed[place] = weather
        return self._changes.stream(place, {"forecast": weather})

    async def refresh(self) -> None:
        """Ask again for every place that clients follow, and publish what has changed."""
        for place, known in list(self._followed.items()):
            if not self._changes.has_listeners(place):
                del self._followed[place]
                continue
            try:
                weather = await self._upstream.weather(place)
            except ApiError:
                continue  # the next round asks again
            if self._followed.get(place) == known != weather:  # nothing newer was published
                self._followed[place] = weather
                self._changes.publish(place, weather)


@asynccontextmanager
async def refreshing(forecasts: Forecasts, settings: WeatherSettings) -> AsyncIterator[None]:
    """Refresh every `settings.every` seconds (60 by default) while the gateway serves."""

    async def work() -> None:
        while True:
            await asyncio.sleep(settings.every)
            await forecasts.refresh()

    working = supervise("weather", work)  # a failure is logged, and the work starts again
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
