"""How a composed gateway listens: its address, TLS, and the site that answers HTTP requests."""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import structlog

from scopegate import local_ca
from scopegate.app import METRICS, Running
from scopegate.gateway.access.apps import App
from scopegate.gateway.transport.peer import Listening
from scopegate.gateway.transport.server import Server
from scopegate.gateway.web.metrics_page import MetricsPage, OfProcess
from scopegate.gateway.web.oauth import TokenEndpoint
from scopegate.gateway.web.site import Site
from scopegate.offered import EXCHANGE
from scopegate.settings import Settings, SettingsError

log = structlog.get_logger("scopegate.tls")


@asynccontextmanager
async def listen(
    gateway: Running,
    tls: "Tls | None" = None,
    listeners: Sequence[socket.socket] = (),
) -> AsyncIterator[int]:
    """Listen with TLS or without until the block ends; yields the port.

    `listeners` are sockets that listen already, instead of the address of the settings. Raises
    `SettingsError` if the address cannot be used.
    """
    settings = gateway.settings
    server = Server(
        Listening(
            host=settings.host,
            port=settings.port,
            tls=None if tls is None else tls.context,
            compression=settings.compression,
            trusted_proxies=tuple(ip_network(network) for network in settings.trusted_proxy),
            hosts=settings.hosts(),
            ping_after=settings.ping_after,
        ),
        gateway.connect,
        site(gateway, secure=tls is not None),
        gateway.scheduler,
    )
    try:
        port = await server.start(listeners)
    except OSError as problem:
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port}: {_why(problem)}; choose another"
            " address with --host or --port"
        ) from problem
    try:
        yield port
    finally:
        await server.stop()


def site(gateway: Running, *, secure: bool) -> Site:
    """Return the site that answers HTTP requests; `secure` means over TLS."""

    def app_of(app_id: int) -> App | None:
        gateway.store.catch_up()  # another worker process may just have registered it
        return gateway.access.app(app_id)

    token = gateway.settings.metrics_token
    return Site(
        gateway.registry,
        TokenEndpoint(gateway.store, gateway.registry.scopes),
        app_of=app_of,
        workers=gateway.workers,
        limiter=gateway.requests,
        fault=gateway.health.fault,
        metrics=MetricsPage(
            partial(_metrics, gateway),
            token=None if token is None else token.get_secret_value(),
            is_local=gateway.settings.for_this_machine,
        ),
        has_exchange=EXCHANGE in gateway.plugins,
        has_operator=gateway.settings.operator_token is not None,
        secure=secure,
        # Browsers then insist on TLS for a year: wrong for a certificate that is new at each start.
        keeps_to_tls=secure and gateway.settings.tls_cert is not None,
    )


async def _metrics(gateway: Running) -> list[OfProcess]:
    """Return the metrics of this process, and of the gateway's other worker processes."""
    siblings = gateway.siblings
    if siblings.alone or not siblings.are_workers:
        return [OfProcess("", gateway.metrics.collect())]
    others = await siblings.ask(METRICS, None)
    own = (siblings.number, gateway.metrics.collect())
    return [OfProcess(str(number), metrics) for number, metrics in sorted([own, *others])]


def _why(problem: OSError) -> str:
    """Return the system's message without the text that asyncio adds."""
    return os.strerror(problem.errno) if problem.errno and problem.errno > 0 else str(problem)


class Tls:
    """The TLS context of new connections, and the certificate files that it is made from."""

    def __init__(self, context: ssl.SSLContext, files: tuple[Path, Path] | None = None) -> None:
        """`files` are the certificate chain and the key, where these can be loaded again."""
        self._context = context
        self._files = files

    def context(self) -> ssl.SSLContext:
        """Return the context for a connection that begins now."""
        return self._context

    def reload(self) -> bool:
        """Load the certificate files again, for new connections; return whether that was done.

        If there are no files, or they cannot be used, a line in the log says so, and nothing
        changes.
        """
        if self._files is None:
            log_nothing_to_reload()
            return False
        try:
            # A new context: in the old one, a key that does not fit would replace half of a pair.
            self._context = _context_from(*self._files)
        except SettingsError as problem:
            log.error("the certificate is not reloaded: the old one stays", why=str(problem))
            return False
        return True


def log_nothing_to_reload() -> None:
    """Log that a signal to reload has found no certificate files."""
    log.warning("there is nothing to reload", why="tls_cert and tls_key are not set")


def tls_of(settings: Settings) -> Tls | None:
    """Return the TLS of a gateway, or `None` for plain connections. Raises `SettingsError`."""
    if settings.tls_self_signed:
        names = (settings.host, *settings.allowed_host, "localhost", "127.0.0.1", "::1")
        return Tls(local_ca.context(settings.db, dict.fromkeys(names)))
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    files = (settings.tls_cert, settings.tls_key)
    return Tls(_context_from(*files), files)


def _context_from(chain: Path, key: Path) -> ssl.SSLContext:
    def password() -> str:  # otherwise OpenSSL would wait for one at the terminal
        raise SettingsError(f"tls_key: {key} is encrypted: store the key without a password")

    context = local_ca.server_context()
    try:
        for file in (chain, key):
            file.open().close()  # unlike OpenSSL's, this error names the file
        context.load_cert_chain(chain, key, password)
    except ssl.SSLError as problem:
        why = "one of them is not a whole PEM file of its kind"
        if problem.reason == "KEY_VALUES_MISMATCH":
            why = "the key is not the one of the certificate"
        raise SettingsError(f"tls_cert, tls_key: cannot use {chain} with {key}: {why}") from problem
    except OSError as problem:
        raise SettingsError(f"tls_cert, tls_key: {problem}") from problem
    return context
