"""A call of a plugin that does what `ping` does, to be measured beside it."""

from typing_extensions import TypedDict

from scopegate import One, Request, Session, call


class PluginPing(Request):
    """Asks for a sign of life."""

    plugin_ping: One


class PluginPong(TypedDict):
    """`pong`."""

    plugin_ping: str


class PluginCalls:
    """Liveness."""

    @call("plugin_ping", needs=None)
    async def plugin_ping(self, request: PluginPing, session: Session) -> PluginPong:
        """Answer `pong`."""
        return {"plugin_ping": "pong"}
