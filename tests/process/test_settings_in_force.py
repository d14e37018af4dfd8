"""Which setting wins: an option, over the environment, over the settings file, over the default."""

import socket
from pathlib import Path

from tests.served import Served

FILE = """
port = {port}
limits = "open"
general_per_minute = 11
outcome_per_minute = 12
pricing_per_minute = 13
handlers = ["greetings"]
"""

GREETINGS = '''
from typing_extensions import TypedDict

from scopegate.handlers.exchange.exchange_scopes import READ
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.schemas.fields import Request, Text


class Greet(Request):
    greet: Text


class Greeting(TypedDict):
    greet: str


class Greeter:
    """Greetings."""

    @call("greet", needs=READ)
    async def greet(self, request: Greet, session: Session) -> Greeting:
        """Say hello."""
        return {"greet": f"Hello, {request.greet}"}
'''


async def test_an_option_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "greetings.py").write_text(GREETINGS)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as also_taken,
    ):
        # Would either of these win over the option `--port 0`, it could not listen.
        (tmp_path / "scopegate.toml").write_text(FILE.format(port=taken.getsockname()[1]))
        settings = {
            "SCOPEGATE_PORT": str(also_taken.getsockname()[1]),
            "SCOPEGATE_LIMITS": "deriv",
            "SCOPEGATE_OUTCOME_PER_MINUTE": "22",
            "SCOPEGATE_PRICING_PER_MINUTE": "23",
        }
        served = Served(tmp_path, "--pricing-per-minute", "33", settings=settings)
    with served:
        async with served.connected() as client:
            status = (await client.ask({"website_status": 1}))["website_status"]
            limits = status["api_call_limits"]
            assert limits["max_requests_pricing"]["minutely"] == 33
            assert limits["max_requests_outcome"]["minutely"] == 22
            assert limits["max_requestes_general"]["minutely"] == 11
            # Where nobody says a number it is that of the profile, which the environment chose.
            assert limits["max_requests_pricing"]["hourly"] == 14_400

            assert await client.refused({"greet": "Ada"}) == "AuthorizationRequired"
            await client.authorize(served.token)
            assert (await client.ask({"greet": "Ada"}))["greet"] == "Hello, Ada"
