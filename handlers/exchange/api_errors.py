"""Refusals of the exchange as errors of the API."""

from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.gateway.calls.errors import ApiError


def as_error(refusal: Refusal) -> ApiError:
    """Convert a refusal to an API error, as the dispatcher does with refusals that calls raise."""
    details = refusal.details
    if details and refusal.names_field:
        details = {**details, "field": next(iter(details))}
    return ApiError(refusal.code, refusal.message, details)
