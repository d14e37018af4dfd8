"""A plugin's call that does what `ping` does, to be compared with it."""

from typing_extensions import TypedDict

from scopegate import One, Plugin, Request, Session, call


class PluginPing(Request):
    """Request a `pong`."""

    plugin_ping: One


class PluginPong(TypedDict):
    """The reply, `pong`."""

    plugin_ping: str


class PluginCalls:
    """Liveness."""

    @call("plugin_ping", needs=None)
    async def plugin_ping(self, request: PluginPing, session: Session) -> PluginPong:
        """Answer `pong`."""
        return {"plugin_ping": "pong"}


PLUGIN = Plugin(name="bench", handlers=(PluginCalls,), several_workers=True)
