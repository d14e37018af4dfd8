"""`Gateway`: your own gateway in code. `scopegate serve module:gateway` serves it too."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scopegate.app import Running, compose
from scopegate.composition import declared
from scopegate.gateway.calls.registry import DeclarationError, Registry
from scopegate.listening import listen
from scopegate.plugins import Plugin, imported
from scopegate.settings import Settings, load
from scopegate.tls import tls_of

if TYPE_CHECKING:
    from scopegate.worker import Worker


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that listens."""

    running: Running
    port: int
    tls: bool

    @property
    def url(self) -> str:
        """The address of its pages, such as `http://127.0.0.1:5555`."""
        host = self.running.settings.host
        shown = f"[{host}]" if ":" in host else host
        return f"http{'s' if self.tls else ''}://{shown}:{self.port}"

    @property
    def websocket_url(self) -> str:
        """The WebSocket address without `app_id`, such as `ws://127.0.0.1:5555/websockets/v3`."""
        return f"ws{self.url.removeprefix('http')}/websockets/v3"

    @property
    def demo_token(self) -> str | None:
        """The demo user's token with all scopes, until the next start; `None` without that user."""
        return None if self.running.demo is None else self.running.demo.token


class Gateway:
    """A gateway made of plugins, with the calls of every gateway and those of the plugins.

    There is no exchange unless `scopegate.PAPER_EXCHANGE` is among the plugins. `omit` names calls
    to leave out; a plugin may then offer its own call of that name. `settings` are those of
    `scopegate serve` (`port=5600`, `db="weather.db"`, `limits="deriv"`); a mapping under a plugin's
    name holds that plugin's settings (`weather={"url": …}`). Options, the environment and the
    settings file override them.
    """

    def __init__(self, *plugins: Plugin, omit: Iterable[str] = (), **settings: Any) -> None:
        self._names = {plugin.name for plugin in plugins if plugin.settings is not None}
        self.plugins = plugins
        self.omit = frozenset([omit] if isinstance(omit, str) else omit)
        self.options: Mapping[str, Mapping[str, Any]] = {
            name: value for name, value in settings.items() if self._is_own(name, value)
        }
        self.defaults = {
            name: value for name, value in settings.items() if not self._is_own(name, value)
        }

    def _is_own(self, name: str, value: object) -> bool:
        """Return whether this is a mapping with the settings of a plugin."""
        return name in self._names and isinstance(value, Mapping)

    def settings(self, **options: Any) -> Settings:
        """Return the settings of a start with these options. Raises `SettingsError`."""
        return load(self.defaults, **options)

    def with_settings(self, **settings: Any) -> "Gateway":
        """Return the same gateway with these settings changed."""
        mine = {**self.defaults, **self.options}
        for name, value in settings.items():
            mine[name] = {**mine.get(name, {}), **value} if name in self._names else value
        return Gateway(*self.plugins, omit=self.omit, **mine)

    @asynccontextmanager
    async def serving(self, **options: Any) -> AsyncIterator[Serving]:
        """Serve in the running event loop until the block ends; `options` are further settings.

        A mapping under the name of a plugin holds settings of that plugin.

        Signals, logging, garbage collection and uvloop are left to your program. Raises
        `SettingsError`, `StoreError` or `DeclarationError` if the gateway cannot start.
        """
        own = {
            each: options.pop(each) for each in list(options) if self._is_own(each, options[each])
        }
        settings = self.settings(**options)
        tls = tls_of(settings)
        gateway = self.with_settings(**own)
        async with gateway.composed(settings) as running, listen(running, tls) as port:
            yield Serving(running, port, tls is not None)

    def composed(
        self, settings: Settings, *, worker: "Worker | None" = None
    ) -> AbstractAsyncContextManager[Running]:
        """Run the gateway without a listener, with exactly these settings; raises as `serving`.

        `worker` is what the parent process of several gives it.
        """
        return compose(
            settings, plugins=self.plugins, omit=self.omit, options=self.options, worker=worker
        )

    def declared(self, modules: Iterable[str] = (), *, without: Collection[str] = ()) -> Registry:
        """Return every call without running a gateway. Raises `DeclarationError`."""
        return declared(modules, plugins=self.plugins, without=without, omit=self.omit)


def named(target: str) -> Gateway:
    """Return the gateway that `module:name` names; `name` defaults to `gateway`.

    Raises `DeclarationError` if there is none.
    """
    module, _, name = target.partition(":")
    found = getattr(imported(module), name or "gateway", None)
    if not isinstance(found, Gateway):
        raise DeclarationError(
            f"{target} is not a Gateway: write `gateway = Gateway(…)` in {module}, and serve"
            f" {module}:gateway"
        )
    return found
