"""A weather API on Scopegate: `scopegate serve weather:gateway`."""

from importlib.resources import files

from scopegate import Gateway, Plugin
from weather.forecasts import Forecasts, refreshing
from weather.places import Places
from weather.scopes import FORECASTS, PLACES
from weather.upstream import Upstream, WeatherSettings

weather = Plugin(
    name="weather",
    scopes=(FORECASTS, PLACES),
    handlers=(Places, Forecasts),
    services=(Upstream,),
    background=(refreshing,),
    settings=WeatherSettings,
    migrations=files("weather") / "migrations",
    several_workers=True,
)

# No exchange is named here, so there is none: no market, no currencies, no numpy.
gateway = Gateway(weather, port=5600, db="weather.db")
