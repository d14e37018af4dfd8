"""The HTTP service that the forecasts come from.

It answers `GET /forecast?place=Oslo` with `{"place": "Oslo", "degrees": 4.5, "sky": "rain"}`.
"""

import asyncio
import json
from http.client import HTTPException
from typing import Annotated
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from scopegate import ApiError


class WeatherSettings(BaseModel):
    """Set by `SCOPEGATE_WEATHER_URL` and so on, or the table `[weather]` in scopegate.toml."""

    url: Annotated[str, Field(pattern=r"^https?://")] = "http://127.0.0.1:5700"
    timeout: Annotated[float, Field(gt=0, le=3)] = 2.0
    """Seconds. The gateway allows four for a call, so this ends first, with a helpful error."""
    every: Annotated[float, Field(ge=1)] = 60.0
    """Seconds between two refreshes of the places that clients follow."""


class Weather(TypedDict):
    place: str
    degrees: float
    sky: str


_WEATHER = TypeAdapter(Weather)


class Upstream:
    """A client of the HTTP service."""

    def __init__(self, settings: WeatherSettings) -> None:
        self._settings = settings

    async def weather(self, place: str) -> Weather:
        """Return the current weather of a place. Raises `ApiError` if the service has none."""
        query = urlencode({"place": place})
        try:
            async with asyncio.timeout(self._settings.timeout):
                body = await asyncio.to_thread(self._get, f"{self._settings.url}/forecast?{query}")
            return _WEATHER.validate_python(json.loads(body))
        except HTTPError as problem:
            problem.close()
            if problem.code == 404:
                raise ApiError("UnknownPlace", f"There is no forecast for {place}.") from None
            raise _unavailable() from problem
        except (OSError, HTTPException, ValidationError, ValueError) as problem:
            raise _unavailable() from problem

    def _get(self, url: str) -> bytes:
        with urlopen(url, timeout=self._settings.timeout) as response:  # noqa: S310 - only http(s)
            body: bytes = response.read(10_000)
            return body


def _unavailable() -> ApiError:
    return ApiError(
        "ForecastUnavailable", "The forecast service does not answer. Try again in a minute."
    )
