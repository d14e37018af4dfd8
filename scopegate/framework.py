"""`Gateway`: a gateway of one's own, in code. `scopegate serve module:gateway` serves one, too."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from scopegate.app import Running, compose
from scopegate.composition import declared
from scopegate.gateway.calls.registry import DeclarationError, Registry
from scopegate.listening import listen, tls_context
from scopegate.plugins import Plugin, imported
from scopegate.settings import Settings, load


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that listens."""

    running: Running
    port: int
    tls: bool

    @property
    def url(self) -> str:
        """Where its pages are: `http://127.0.0.1:5555`."""
        host = self.running.settings.host
        shown = f"[{host}]" if ":" in host else host
        return f"http{'s' if self.tls else ''}://{shown}:{self.port}"

    @property
    def websocket_url(self) -> str:
        """Where clients connect, but for their `app_id`: `ws://127.0.0.1:5555/websockets/v3`."""
        return f"ws{self.url.removeprefix('http')}/websockets/v3"

    @property
    def demo_token(self) -> str | None:
        """A token of the demo user, with all scopes, until the next start; `None` without one."""
        return None if self.running.demo is None else self.running.demo.token


class Gateway:
    """A gateway made of plugins. It has the calls of every gateway, and theirs.

    There is no exchange unless `scopegate.PAPER_EXCHANGE` is among the plugins. `omit` names calls
    to leave out; a plugin may then have another of that name. `settings` are those of
    `scopegate serve` (`port=5600`, `db="weather.db"`, `limits="deriv"`), and a mapping by a
    plugin's name for its own (`weather={"url": …}`). Options, the environment and the settings
    file win over them.
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
        """Whether these are the settings of a plugin."""
        return name in self._names and isinstance(value, Mapping)

    def settings(self, **options: Any) -> Settings:
        """The settings of a start with these options. Raises `SettingsError`."""
        return load(self.defaults, **options)

    def with_settings(self, **settings: Any) -> "Gateway":
        """The same gateway with other settings, beside those that are not named."""
        mine = {**self.defaults, **self.options}
        for name, value in settings.items():
            mine[name] = {**mine.get(name, {}), **value} if name in self._names else value
        return Gateway(*self.plugins, omit=self.omit, **mine)

    @asynccontextmanager
    async def serving(self, **options: Any) -> AsyncIterator[Serving]:
        """Serve in the running event loop until the block ends; `options` are further settings.

        A mapping by the name of a plugin has settings of that plugin.

        Signals, logging and garbage collection are left to the program. Raises `SettingsError`,
        `StoreError` or `DeclarationError` when it can not start.
        """
        own = {
            each: options.pop(each) for each in list(options) if self._is_own(each, options[each])
        }
        settings = self.settings(**options)
        tls = tls_context(settings)
        gateway = self.with_settings(**own)
        async with gateway.composed(settings) as running, listen(running, tls) as port:
            yield Serving(running, port, tls is not None)

    def composed(self, settings: Settings) -> AbstractAsyncContextManager[Running]:
        """The gateway without a listener, with exactly these settings; raises as `serving`."""
        return compose(settings, plugins=self.plugins, omit=self.omit, options=self.options)

    def declared(self, modules: Iterable[str] = (), *, without: Collection[str] = ()) -> Registry:
        """Every call, without a gateway running. Raises `DeclarationError`."""
        return declared(modules, plugins=self.plugins, without=without, omit=self.omit)


def named(target: str) -> Gateway:
    """The gateway that `module:name` names; the name is `gateway` if it is left out.

    Raises `DeclarationError` where there is none.
    """
    module, _, name = target.partition(":")
    found = getattr(imported(module), name or "gateway", None)
    if not isinstance(found, Gateway):
        raise DeclarationError(
            f"{target} names no Gateway: write `gateway = Gateway(…)` in {module}, and serve"
            f" {module}:gateway"
        )
    return found
