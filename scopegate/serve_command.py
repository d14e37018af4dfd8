"""The commands `serve` and `calls`, which need the whole gateway.

Rules:
- Standard output has only what a script needs; everything else goes to standard error.
- What only one of them needs (numpy, the feed, the handlers) is imported when it runs.
"""

import asyncio
import contextlib
import gc
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import structlog
from pydantic_core import PydanticUndefined

from scopegate import admin, logs
from scopegate.runtime.garbage import GarbageCollector
from scopegate.settings import Settings, SettingsError, load
from scopegate.store.errors import StoreError
from scopegate.store.files import check_file

if TYPE_CHECKING:
    from scopegate.framework import Gateway

SWITCH_INTERVAL = 0.0005
"""Seconds for which a computing thread may delay the event loop; Python's default is 0.005."""

_FLAGS = {"tls_self_signed", "any_app_id", "demo", "compression", "log_letters"}
_STOPS = (signal.SIGTERM, signal.SIGINT)
_REPEATED = {"trusted_proxy", "allowed_host", "handlers", "without", "omit_call"}

log = structlog.get_logger("scopegate.serve")


def _serve_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every setting, with the setting's description as its help."""
    for name, field in reversed(Settings.fields_by_name().items()):
        flag = "--" + name.replace("_", "-")
        default = field.default
        shown = "" if default in (None, (), False, PydanticUndefined) else f" [default: {default}]"
        text = f"{field.description}{shown}"
        if name in _FLAGS:
            command = click.option(flag, is_flag=True, default=None, help=text)(command)
        elif name in _REPEATED:
            command = click.option(flag, multiple=True, help=f"{text} May be repeated.")(command)
        elif name == "limits":
            command = click.option(flag, type=click.Choice(["open", "deriv"]), help=text)(command)
        else:
            command = click.option(flag, metavar="VALUE", help=text)(command)
    return command


@click.command()
@click.argument("target", required=False, metavar="[MODULE:GATEWAY]")
@_serve_options
def serve(target: str | None, **options: Any) -> None:
    """Serve the API and the pages until interrupted.

    By default this serves the paper exchange; MODULE:GATEWAY serves your own gateway instead.

    Every option is also an environment variable (SCOPEGATE_PORT) and a line of the settings file
    (port = 5555 in scopegate.toml, or in the file that SCOPEGATE_SETTINGS names).
    """
    from scopegate.gateway.calls.registry import DeclarationError

    gc.disable()  # nothing that a start creates is garbage
    logs.set_up()
    _allow_many_connections()
    sys.setswitchinterval(SWITCH_INTERVAL)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    try:
        gateway = _named(target)
        settings = load(**given) if gateway is None else gateway.settings(**given)
        with _runner() as runner, contextlib.suppress(asyncio.CancelledError):
            runner.run(_serve(settings, gateway))  # cancelled if a signal arrived during the start
    except (SettingsError, StoreError, DeclarationError) as problem:
        admin.fail(problem)
    finally:
        gc.enable()


def _named(target: str | None) -> "Gateway | None":
    """Return the gateway that `target` names, or `None`; the working directory is searched too."""
    _find_modules_here()
    if target is None:
        return None
    from scopegate.framework import named

    return named(target)


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:  # not available on this platform: the standard loop works too, slower
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(settings: Settings, own: "Gateway | None") -> None:
    stopped = asyncio.Event()
    serving = asyncio.current_task()
    starting = True
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for number in _STOPS:  # a second signal ends the process at once
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stopped.set()
        if starting and serving is not None:
            serving.cancel()

    for number in _STOPS:
        loop.add_signal_handler(number, stop)
    # In parallel with the imports: for a large database, each takes a fraction of a second.
    checked = loop.run_in_executor(None, check_file, settings.db)
    from scopegate import local_ca
    from scopegate.app import compose
    from scopegate.framework import Serving
    from scopegate.gateway.access import users
    from scopegate.listening import listen, tls_context

    tls = tls_context(settings)
    await checked
    composed = compose(settings) if own is None else own.composed(settings)
    async with composed as gateway, listen(gateway, tls) as port:
        starting = False
        gateway.store.use_process()
        listening = Serving(gateway, port, tls is not None)
        lines = [f"listening on {listening.websocket_url}", f"page         {listening.url}/"]
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
                f"token        {gateway.demo.token}"
                "  (demo account, all scopes, until the next start)"
            )
        if await gateway.store.read(users.present) == "none":
            path = shlex.quote(str(settings.db.resolve()))
            lines.append(
                "users        none yet: create one with"
                f" `scopegate user create --email you@example.com --db {path}`"
            )
        _say("\n".join(lines))
        collector = GarbageCollector()
        collector.start()
        gc.enable()
        try:
            await stopped.wait()
        finally:
            collector.stop()


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


def _find_modules_here() -> None:
    """Find modules in the working directory too, for `--handlers`, after all installed ones."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)


def _allow_many_connections() -> None:
    """Allow as many open files as possible: each client is one, and many systems start at 1,024."""
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@click.command()
@click.argument("target", required=False, metavar="[MODULE:GATEWAY]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--handlers", multiple=True, help="Module with your own calls. May be repeated.")
@click.option("--without", multiple=True, help="Plugin to leave out, such as exchange.")
@click.option("--omit-call", multiple=True, help="Call to leave out. May be repeated.")
def calls(target: str | None, as_json: bool, **options: tuple[str, ...]) -> None:
    """List every call, the scopes that it needs and what it does.

    The environment variables and the settings file of `serve` apply here too.
    """
    from scopegate.composition import declared
    from scopegate.gateway.calls.registry import DeclarationError

    try:
        gateway = _named(target)
        given: dict[str, Any] = {name: value for name, value in options.items() if value}
        settings = load(**given) if gateway is None else gateway.settings(**given)
        offered = declared(
            settings.handlers,
            plugins=None if gateway is None else gateway.plugins,
            without=settings.without,
            omit=[*settings.omit_call, *(() if gateway is None else gateway.omit)],
        )
    except (DeclarationError, SettingsError) as problem:
        admin.fail(problem)
    if as_json:
        rows = [
            {
                "call": found.name,
                "group": found.group,
                "needs": list(found.scopes_in_order),
                "needs_login": found.needs_login,
                "app_tokens": found.app_tokens,
                "standing": None if found.audience is None else found.audience.value,
                "sentence": found.sentence,
            }
            for found in offered
        ]
        click.echo(json.dumps(rows))
        return
    admin.table(
        [(found.name, found.needs_text, found.sentence) for found in offered],
        ("call", "needs", "what it does"),
    )
