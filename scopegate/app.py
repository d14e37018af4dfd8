"""Compose a gateway: its own calls, those of plugins, and what they need, in the right order.

Rules: everything opened here is closed in reverse order; no part gets the gateway itself, only the
services that it asks for by type.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pydantic import BaseModel

from scopegate import demo as demo_user
from scopegate import logs
from scopegate.composition import HANDLERS, PROVIDERS, check_for_gateways, composition_of
from scopegate.connecting import Connect
from scopegate.demo import Demo
from scopegate.faults_of_settings import faults_of
from scopegate.gateway.access import audit, users
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.faults_in_force import Faults
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.mail import Mailer, mailer
from scopegate.gateway.access.users import Residence
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.call_log import CallLog
from scopegate.gateway.calls.counting import (
    PUBLISH_SECONDS,
    ConcurrencyLimiter,
    FailureCounter,
    RateLimiter,
    RequestLimiter,
)
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.handling import Handling, Observer
from scopegate.gateway.calls.limits import LimitsInForce, Profile
from scopegate.gateway.calls.recorded_replies import RecordedReplies
from scopegate.gateway.calls.registry import Registry
from scopegate.gateway.calls.scheduling import Scheduler, Workers
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.gateway.transport.peer import Accept
from scopegate.handlers.gateway.countries import COUNTRIES
from scopegate.handlers.gateway.operator_calls import Operator
from scopegate.handlers.gateway.page_calls import Pages
from scopegate.limits_in_force import limits_in_force
from scopegate.offered import EXCHANGE, store_offered
from scopegate.plugins import Plugin
from scopegate.process_metrics import process_metrics
from scopegate.retention import EVERY, Retention
from scopegate.runtime.clock import Clock
from scopegate.runtime.health import Health
from scopegate.runtime.metrics import LoopLag, Metrics
from scopegate.runtime.siblings import Siblings
from scopegate.runtime.supervisor import supervise
from scopegate.schemas.scopes import Scopes
from scopegate.services import Services
from scopegate.settings import Settings, SettingsError, plugin_settings, warn_of_tables
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.opening import store_at
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot
from scopegate.tracing import tracing

if TYPE_CHECKING:
    from scopegate.worker import Worker

T = TypeVar("T")

log = structlog.get_logger("scopegate.audit")

AUDIT_EVERY = 3600.0
"""Seconds between two lines of the log about the audit trail."""
METRICS = "metrics"
"""The question to another worker process for its number and its metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A composed gateway, as the command line, programs and tests use it."""

    settings: Settings
    store: Store
    bus: Bus
    access: Access
    clock: Clock
    registry: Registry
    demo: Demo | None
    scheduler: Scheduler
    workers: Workers
    requests: RequestLimiter
    metrics: Metrics
    health: Health
    siblings: Siblings
    same_in_workers: Mapping[type, object]
    """The services that several worker processes get from the first (`Plugin.same_in_workers`)."""
    connect: Accept
    services: Services
    plugins: frozenset[str]
    """The names of its plugins."""

    def service(self, kind: type[T]) -> T:
        """Return a service or a handler by its type. Raises `KeyError` if there is none."""
        return self.services[kind]


@asynccontextmanager
async def compose(
    settings: Settings,
    clock: Clock | None = None,
    mail: Mailer | None = None,
    *,
    plugins: Iterable[Plugin] | None = None,
    omit: Iterable[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    worker: "Worker | None" = None,
) -> AsyncIterator[Running]:
    """Run a gateway with everything but a listener until the block ends.

    `clock` replaces the running clock, and `mail` the mailer from the settings. `plugins` defaults
    to those of `scopegate serve`; `options` holds the settings of plugins by plugin name. `worker`
    is what the parent process of several gives it. Raises `StoreError`, `SettingsError` or
    `DeclarationError` if the gateway cannot start.
    """
    if settings.residence not in COUNTRIES:
        raise SettingsError(
            f"residence: {settings.residence!r} is not a two-letter country code, such as id or gb"
        )
    if settings.workers > 1 and worker is None:
        raise SettingsError(
            "workers: only `scopegate serve` starts several processes; leave the setting out"
        )
    left_out = [*omit, *settings.omit_call]
    composition = composition_of(plugins, settings.handlers, settings.without, left_out)
    registry = composition.check()  # a wrong declaration is reported before a file is created
    if EXCHANGE not in {plugin.name for plugin in composition.plugins}:
        settings.refuse_market()
    own = _settings_of(settings, composition.plugins, options or {})
    start = None if worker is None else worker.start
    given: dict[type, object] = {} if start is None else {**start.services}
    if clock is not None:
        given[Clock] = clock
    if mail is not None:
        given[Mailer] = mail
    begun_at = time.time()
    level = logs.level_of(settings.log_level)
    async with AsyncExitStack() as stack:
        store = await _opened(settings, composition.plugins, worker, stack)
        siblings = store.siblings if worker is None else worker.siblings
        joins = bool(siblings.present)
        if joins and worker is None:
            check_for_gateways(composition.plugins)
        workers, held, bus = Workers(store.computes), ConcurrencyLimiter(), Bus()
        metrics, health = Metrics(), Health()
        stack.callback(workers.close)
        profile = settings.profile()
        limits = limits_in_force(profile, settings.requests())
        services = Services(
            [*PROVIDERS, *(each for plugin in composition.plugins for each in plugin.services)],
            {
                Bus: bus,
                ConcurrencyLimiter: held,
                Health: health,
                LimitsInForce: LimitsInForce(
                    [*limits, *(each for plugin in composition.plugins for each in plugin.limits)]
                ),
                Metrics: metrics,
                Profile: profile,
                Residence: Residence(settings.residence),
                Scopes: registry.scopes,
                Settings: settings,
                Siblings: siblings,
                Store: store,
                Workers: workers,
                **own,
                **given,
            },
        )
        call_log = None
        if level <= logging.INFO:
            call_log = CallLog(services[Scopes], every=level <= logging.DEBUG)
        observers: list[Observer] = [] if call_log is None else [call_log]
        if settings.traces_to is not None:
            observers.append(stack.enter_context(tracing(settings.traces_to)))
        handling = Handling(observers)
        services.add(Handling, handling)
        services.add(Registry, registry)
        mail_server = settings.mail_server()
        if mail is None and (mail_server is not None or settings.letters_in_log):
            services.add(Mailer, await stack.enter_async_context(mailer(mail_server)))
        await stack.enter_async_context(services)
        made: dict[type, object] = {}
        for handler in (
            *HANDLERS,
            *(each for plugin in composition.plugins for each in plugin.handlers),
        ):
            made[handler] = await services.make(handler)
        registry.bind(made.__getitem__)
        for handler, one in made.items():
            services.add(handler, one)
        access: Access = await services.get(Access)
        accounts: Accounts = await services.get(Accounts)
        now: Clock = await services.get(Clock)
        # The first writes: a start that fails before them leaves an empty database.
        if start is None:
            await store.write(
                lambda transaction: store_offered(
                    transaction,
                    services[Scopes],
                    [plugin.name for plugin in composition.plugins],
                )
            )
        await access.start()
        if start is None:
            await store.write(lambda transaction: users.settle(transaction, settings.residence))
        further = [rule for plugin in composition.plugins for rule in plugin.retention]
        retention = Retention(store, now, further)
        services.add(Retention, retention)
        limiter, requests = RateLimiter(profile), RequestLimiter(settings.requests())
        unknown_apps = FailureCounter().share(siblings, "unknown apps")
        lag = LoopLag()
        keeping = [supervise("access", access.run)]
        keeping.append(supervise("retention", partial(_purge, retention, siblings)))
        keeping.append(supervise("loop lag", lag.run))
        if level <= logging.INFO:
            keeping.append(supervise("audit", partial(_log_audit, store, siblings)))
        if not siblings.alone:
            held.share(siblings)
            limiter.share(siblings)
            requests.share(siblings)
            keeping.append(supervise("limits", partial(_publish_counts, limiter, requests)))
        stack.push_async_callback(_finish, keeping, access)
        for plugin in composition.plugins:
            for background in plugin.background:
                await services.enter(background)
        if start is None:
            # Others may have begun to serve since then, unless one process has the database alone.
            began = math.inf if siblings.alone or worker is not None else begun_at
            demo = await demo_user.settle(
                store, settings, accounts, services[Scopes], joins=joins, began=began
            )
        else:
            demo = start.demo
        if demo is not None and settings.demo_at_pages:
            services[Pages].show_demo(demo.accounts[0].loginid, demo.token)
        if settings.operator_token is not None:
            services[Operator].admit(settings.operator_token.get_secret_value())
            keeping.append(supervise("operator page", services[Operator].run))
        injected: Faults = await services.get(Faults)
        if settings.faults_allowed:
            kinds: FaultKinds = await services.get(FaultKinds)
            await injected.start(faults_of(settings, kinds, registry))
            if settings.fault:
                log.warning("connections have the faults of the settings", faults=settings.fault)
        elif settings.fault:
            raise SettingsError("fault: others can connect, so set allow_faults too")
        scheduler = Scheduler(others_wait=store.waits_for_loop)
        dispatcher = Dispatcher(
            registry,
            bus,
            limiter,
            held,
            used=access.records.used,
            refused=access.records.refused,
            refusal=access.refusal,
            unknown_apps=unknown_apps,
            handling=handling,
            replies=RecordedReplies(store),
            catch_up=None if siblings.alone else store.catch_up,
        )
        connect = Connect(
            dispatcher,
            scheduler,
            access,
            limiter,
            held,
            settings.any_app_id,
            store.catch_up,
            call_log,
            injected.refresh if injected.of_settings else None,
        )
        health.add(lambda: None if (fault := store.fault()) is None else str(fault))
        for source in (health, connect, scheduler, handling, access, store, lag):
            metrics.add("scopegate", source.metrics)
        metrics.add("process", partial(process_metrics, begun_at))
        siblings.on(METRICS, lambda *_: (siblings.number, metrics.collect()))
        yield Running(
            settings=settings,
            store=store,
            bus=bus,
            access=access,
            clock=now,
            registry=registry,
            demo=demo,
            scheduler=scheduler,
            workers=workers,
            requests=requests,
            metrics=metrics,
            health=health,
            siblings=siblings,
            same_in_workers={
                kind: await services.get(kind)
                for plugin in composition.plugins
                for kind in plugin.same_in_workers
            },
            connect=connect,
            services=services,
            plugins=frozenset(plugin.name for plugin in composition.plugins),
        )


def _settings_of(
    settings: Settings, plugins: Iterable[Plugin], options: Mapping[str, Mapping[str, Any]]
) -> dict[type, BaseModel]:
    """Return the settings of each plugin that has any, by their class. Raises `SettingsError`."""
    plugins = list(plugins)
    unknown = options.keys() - {each.name for each in plugins if each.settings is not None}
    if unknown:
        raise SettingsError(f"{min(unknown)}: no plugin has settings of this name")
    if settings.from_surroundings:
        warn_of_tables([plugin.name for plugin in plugins if plugin.settings is not None])
    return {
        plugin.settings: plugin_settings(
            plugin.name,
            plugin.settings,
            options.get(plugin.name, {}),
            from_surroundings=settings.from_surroundings,
        )
        for plugin in plugins
        if plugin.settings is not None
    }


async def _opened(
    settings: Settings,
    plugins: tuple[Plugin, ...],
    worker: "Worker | None",
    stack: AsyncExitStack,
) -> Store:
    def check(reader: Snapshot) -> None:
        for plugin in plugins:
            if plugin.check is not None:
                plugin.check(reader)

    folders = {each.name: each.migrations for each in plugins if each.migrations is not None}
    if worker is None:
        store: Store = store_at(settings.location, check, folders)
    else:
        from scopegate.store.shared import SharedStore  # Linux only

        assert isinstance(settings.location, Path)  # noqa: S101 - `serve` starts no others
        store = SharedStore(
            settings.location,
            check,
            folders,
            sharing=worker.sharing,
            number=worker.siblings.number,
        )
    await store.open()
    stack.push_async_callback(store.close)
    return store


async def _finish(keeping: list[asyncio.Task[None]], access: Access) -> None:
    for task in keeping:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)
    with contextlib.suppress(StoreUnavailableError):  # already logged; the stop continues
        await access.records.flush()


async def _purge(retention: Retention, siblings: Siblings) -> None:
    while True:
        await asyncio.sleep(EVERY)
        if siblings.is_first:
            await retention.purge()


async def _log_audit(store: Store, siblings: Siblings) -> None:
    """Log the head of the audit trail at the start and every hour.

    Only a copy outside of the database shows that somebody has written a new trail.
    """
    while True:
        if siblings.is_first:
            number, digest = await store.read(audit.head)
            log.info("the audit trail", records=number, digest=digest)
        await asyncio.sleep(AUDIT_EVERY)


async def _publish_counts(limiter: RateLimiter, requests: RequestLimiter) -> None:
    while True:
        await asyncio.sleep(PUBLISH_SECONDS)
        limiter.publish()
        requests.publish()
