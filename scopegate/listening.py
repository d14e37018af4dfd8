"""How a composed gateway listens: at its address, with a site that answers HTTP requests."""

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network

from scopegate.app import METRICS, Running
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.transport.peer import Listening
from scopegate.gateway.transport.server import Server
from scopegate.gateway.web.metrics_page import MetricsPage, OfProcess
from scopegate.gateway.web.oauth import endpoints
from scopegate.gateway.web.site import Site
from scopegate.offered import EXCHANGE
from scopegate.settings import SettingsError
from scopegate.tls import Tls


@asynccontextmanager
async def listen(
    gateway: Running,
    tls: Tls | None = None,
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

    kinds = gateway.service(RestrictionKinds)
    token = gateway.settings.metrics_token
    return Site(
        gateway.registry,
        endpoints(gateway.store, gateway.access, gateway.registry.scopes, kinds, secure=secure),
        app_of=app_of,
        kinds=kinds,
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
