"""The command `serve`.

Rules:
- Standard output has only what a script needs; everything else goes to standard error.
- What it needs (numpy, the feed, the handlers) is imported when it runs.
"""

import asyncio
import contextlib
import gc
import os
import shlex
import signal
import sys
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from scopegate import logs
from scopegate.commands.common import fail
from scopegate.commands.setting_options import chosen, with_settings
from scopegate.runtime.garbage import GarbageCollector
from scopegate.settings import Settings, SettingsError
from scopegate.store.errors import StoreError, unusable
from scopegate.store.files import check_file, lock
from scopegate.store.opening import check
from scopegate.store.sqlite import SqliteStore
from scopegate.tls import Tls, log_nothing_to_reload, tls_of

if TYPE_CHECKING:
    from scopegate.app import Running
    from scopegate.framework import Gateway
    from scopegate.worker import Worker

SWITCH_INTERVAL = 0.0001
"""Seconds for which a computing thread may delay the event loop; Python's default is 0.005."""

_STOPS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("scopegate.serve")


@click.command()
@with_settings
def serve(target: str | None, **options: Any) -> None:
    """Serve the API and the pages until interrupted.

    By default this serves the paper exchange; MODULE:GATEWAY serves your own gateway instead.

    Every option is also an environment variable (SCOPEGATE_PORT) and a line of the settings file
    (port = 5555 in scopegate.toml, or in the file that SCOPEGATE_SETTINGS names).
    """
    from scopegate.gateway.calls.registry import DeclarationError

    gc.disable()  # nothing that a start creates is garbage
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the certificate is not loaded yet
    logs.set_up()
    _allow_many_connections()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        gateway, settings = chosen(target, options)
        logs.set_up(settings.log_level, settings.log_format)
        if settings.workers > 1:
            sys.exit(_serve_by_workers(settings, gateway))
        _run(_serve(settings, gateway))
    except (SettingsError, StoreError, DeclarationError) as problem:
        fail(problem)
    finally:
        gc.enable()


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:  # not available on this platform: the standard loop works too, slower
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def _run(serving: Coroutine[Any, Any, None]) -> None:
    """Run this until it ends, or is cancelled because a signal arrived during the start."""
    with _runner() as runner, contextlib.suppress(asyncio.CancelledError):
        runner.run(serving)


def _serve_by_workers(settings: Settings, own: "Gateway | None") -> int:
    """Serve by several processes, of which this is the parent; return the exit code."""
    if sys.platform != "linux":
        raise SettingsError("workers: several worker processes need Linux; leave the setting out")
    path = settings.location
    if not isinstance(path, Path):
        raise SettingsError(
            "workers: several worker processes need an SQLite database; leave the setting out"
        )
    check_file(path)
    # All that workers need is imported here: they share the memory.
    from scopegate.app import compose  # noqa: F401
    from scopegate.composition import check_for_workers, composition_of
    from scopegate.gateway.calls.registry import DeclarationError
    from scopegate.prefork import Parent, listeners

    plugins = None if own is None else own.plugins
    check_for_workers(composition_of(plugins, settings.handlers, settings.without, ()).plugins)
    tls = tls_of(settings)
    try:
        lock(path)  # until the last worker has ended
    except OSError as problem:
        raise unusable(path, problem) from problem

    def serve_here(worker: "Worker") -> int:
        try:
            _run(_serve_as_worker(settings, own, worker, tls))
        except (SettingsError, StoreError, DeclarationError) as problem:
            click.echo(f"Error: {problem}", err=True)
            return 1
        return 0

    opened = listeners(settings.host, settings.port, settings.workers)
    reload = None if _at_terminal() else lambda: _reload(tls)
    return Parent(opened, serve_here, _say, reload).run()


def _at_terminal() -> bool:
    """Whether SIGHUP means that the terminal has gone, in which this process was started."""
    return sys.stdin is not None and sys.stdin.isatty()


class _Stop:
    """The end of serving: cancels the current task if the start is not over."""

    def __init__(self) -> None:
        self._starting = asyncio.current_task()
        self._asked = asyncio.Event()

    def __call__(self) -> None:
        self._asked.set()
        if self._starting is not None:
            self._starting.cancel()

    async def wait(self) -> None:
        """Wait for it, once the start is over; garbage is collected meanwhile."""
        self._starting = None
        collector = GarbageCollector()
        collector.start()
        gc.enable()
        try:
            await self._asked.wait()
        finally:
            collector.stop()


async def _serve(settings: Settings, own: "Gateway | None") -> None:
    stop = _Stop()
    loop = asyncio.get_running_loop()

    def stop_at_signal() -> None:
        for number in stops:  # a second signal ends the process at once
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop()

    stops = (*_STOPS, signal.SIGHUP) if _at_terminal() else _STOPS
    for number in stops:
        loop.add_signal_handler(number, stop_at_signal)
    # In parallel with the imports: for a large database, each takes a fraction of a second.
    checked = loop.run_in_executor(None, check, settings.location)
    from scopegate.listening import listen

    tls = tls_of(settings)
    if not _at_terminal():
        loop.add_signal_handler(signal.SIGHUP, _reload_and_log, tls)
    await checked
    async with _composed(settings, own) as gateway, listen(gateway, tls) as port:
        if isinstance(gateway.store, SqliteStore) and not settings.market:
            gateway.store.use_process()  # it has no files of own markets
        _say("\n".join(await _lines(gateway, port, tls)))
        await stop.wait()


async def _serve_as_worker(
    settings: Settings, own: "Gateway | None", worker: "Worker", tls: Tls | None
) -> None:
    stop = _Stop()
    await worker.connect(stop, lambda: _reload_and_log(tls))
    from scopegate.listening import listen
    from scopegate.worker import Start

    async with (
        _composed(settings, own, worker) as gateway,
        listen(gateway, tls, worker.listeners) as port,
    ):
        lines = await _lines(gateway, port, tls)
        worker.ready(Start(gateway.demo, gateway.same_in_workers, lines))
        await stop.wait()


def _reload(tls: Tls | None) -> bool:
    """Load the certificate again; return whether there is one to use for new connections."""
    if tls is not None:
        return tls.reload()
    log_nothing_to_reload()
    return False


def _reload_and_log(tls: Tls | None) -> None:
    if _reload(tls):
        log.warning("new connections get the reloaded certificate")


def _composed(
    settings: Settings, own: "Gateway | None", worker: "Worker | None" = None
) -> AbstractAsyncContextManager["Running"]:
    from scopegate.app import compose

    if own is not None:
        return own.composed(settings, worker=worker)
    return compose(settings, worker=worker)


async def _lines(gateway: "Running", port: int, tls: Tls | None) -> list[str]:
    """Return what the operator sees once the gateway serves."""
    from scopegate import local_ca
    from scopegate.framework import Serving
    from scopegate.gateway.access import users

    serving, settings = Serving(gateway, port, tls is not None), gateway.settings
    lines = [f"listening on {serving.websocket_url}", f"page         {serving.url}/"]
    if settings.workers > 1:
        lines.append(f"workers      {settings.workers}")
    if settings.tls_self_signed:
        lines.append(
            f"authority    {local_ca.certificate_file(settings.db).resolve()}"
            "  (clients that trust it trust this gateway)"
        )
    if gateway.demo is not None:
        lines += [
            f"account      {account.loginid}  {account.in_words}".rstrip()
            for account in gateway.demo.accounts
        ]
        lines.append(
            f"token        {gateway.demo.token}  (demo account, all scopes, until the next start)"
        )
    if await gateway.store.read(users.present) == "none":
        where = shlex.quote(gateway.store.location)
        lines.append(
            "users        none yet: create one with"
            f" `scopegate user create --email you@example.com --store {where}`"
        )
    return lines


def _say(text: str) -> None:
    """Print a text. If that fails, as on a full disk, log a warning and go on serving."""
    try:
        click.echo(text)
        sys.stdout.flush()
    except OSError as problem:
        log.warning("cannot write to standard output", why=str(problem))
        # Otherwise the rest of the text would fail again when the process ends.
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())


def _allow_many_connections() -> None:
    """Allow as many open files as possible: each client is one, and many systems start at 1,024."""
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
