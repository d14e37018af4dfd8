"""A plugin that counts how often it is made."""

from typing_extensions import TypedDict

from scopegate import Clock, One, Request, Session, call

MADE: list[Clock] = []


class Counted(Request):
    """Asks how often it was made."""

    counted: One


class CountedReply(TypedDict):
    counted: int


class Counting:
    """What opens something in its constructor must not be made for nothing."""

    def __init__(self, clock: Clock) -> None:
        MADE.append(clock)

    @call("counted", needs=None)
    async def counted(self, request: Counted, session: Session) -> CountedReply:
        """Tell how often it was made."""
        return {"counted": len(MADE)}
