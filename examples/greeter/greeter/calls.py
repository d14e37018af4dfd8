"""One call, `greet`: its request, its reply, who may make it, and what it does."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from scopegate import READ, AccountRequest, ApiError, Clock, Session, Text, call


class Greet(AccountRequest):
    """Asks to be greeted by name."""

    greet: Annotated[Text, Field(max_length=40)] = Field(description="Who is to be greeted.")


class GreetReply(TypedDict):
    greet: str
    loginid: str


class Greeter:
    """Greetings."""

    def __init__(self, clock: Clock) -> None:
        # A constructor asks for what it needs by type.
        self._clock = clock

    @call("greet", needs=READ)
    async def greet(self, request: Greet, session: Session) -> GreetReply:
        """Greet somebody in the name of an account.

        The greeting depends on the market's time of day.
        """
        if not request.greet.strip():
            raise ApiError("NobodyThere", "There is nobody to greet: send a name.")
        hour = int(self._clock.now()) // 3600 % 24
        words = "Good morning" if hour < 12 else "Good day"
        return {"greet": f"{words}, {request.greet}.", "loginid": session.grant.loginid}
