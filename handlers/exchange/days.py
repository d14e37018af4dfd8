"""Days and times in requests, as epoch seconds."""

import calendar
import time

from scopegate.gateway.calls.errors import input_validation_failed


def midnight(day: str, field: str) -> int:
    """Return when a day (`yyyy-mm-dd`) begins in UTC, as epoch seconds.

    Raises `InputValidationFailed` for the field if there is no such day.
    """
    try:
        return calendar.timegm(time.strptime(day, "%Y-%m-%d"))
    except ValueError:
        raise input_validation_failed({field: "This date does not exist."}) from None


def moment(text: str, field: str) -> int:
    """Return a time, given as epoch seconds or as `yyyy-mm-dd hh:mm:ss` (UTC), as epoch seconds.

    Raises `InputValidationFailed` for the field if there is no such time.
    """
    if text.isdecimal():
        return int(text)
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        raise input_validation_failed({field: "This date or time does not exist."}) from None
