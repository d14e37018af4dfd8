"""The scopes of the weather API. Owners see these texts when they create tokens or consent."""

from scopegate import Risk, Scope

FORECASTS = Scope("forecasts", "See your places, and the forecasts for them.")
PLACES = Scope("places", "See your places, add places and remove them.", risk=Risk.MEDIUM)
