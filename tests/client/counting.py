"""A call that changes something and takes no idempotency key."""

from typing_extensions import TypedDict

from scopegate import One, Request, Session, call

made: list[str] = []
"""The apps that have made it."""


class CountedReply(TypedDict):
    """How often it was made."""

    counted: int


class Counted(Request):
    """Count once."""

    counted: One


class Counting:
    """A call that changes something and takes no idempotency key."""

    @call("counted", needs=None)
    async def counted(self, request: Counted, session: Session) -> CountedReply:
        """Count once more."""
        made.append(str(session.app_id))
        return {"counted": len(made)}
