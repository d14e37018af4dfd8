"""Days and moments of the calendar, as requests name them."""

import calendar
import time

from scopegate.gateway.calls.errors import input_validation_failed


def midnight(day: str, field: str) -> int:
    """The moment (UTC) at which a day begins, as epoch seconds; `yyyy-mm-dd`.

    Raises `InputValidationFailed` for the field where there is no such day.
    """
    try:
        return calendar.timegm(time.strptime(day, "%Y-%m-%d"))
    except ValueError:
        raise input_validation_failed({field: "There is no such day."}) from None


def moment(text: str, field: str) -> int:
    """A moment (UTC) as epoch seconds; it is named so, or as `yyyy-mm-dd hh:mm:ss`.

    Raises `InputValidationFailed` for the field where there is no such moment.
    """
    if text.isdecimal():
        return int(text)
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        raise input_validation_failed({field: "There is no such moment."}) from None
