"""The faults in force in this process, and the connections on which they act.

Rules:
- A fault acts only on connections of its token or authorization whose grants are all for accounts
  that are for tests (`FaultKinds.admits`). Nobody else can see it.
- Faults of the settings act on every connection of clients, or on those of one app, and last as
  long as the settings; those of `put_on` last as long as the connection. The gateway's own pages
  have none.
- Each process sends the others what a fault has counted, so that a client that connects to another
  process goes on where it was. A message that is lost only means that a fault strikes once more.
- Where faults are not allowed, and on a connection without any, there is nothing to look up.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import structlog

from scopegate.gateway.access import stored_faults
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.stored_faults import FaultsEnded, FaultStarted
from scopegate.gateway.access.tokens import TokensEnded
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.faults import Counts, Course, Fault
from scopegate.gateway.calls.injecting import Injector
from scopegate.gateway.calls.session import Session
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.runtime.siblings import Siblings
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.store import Store

FEW = 100
"""The most `times` of a fault whose strikes are sent one by one."""
SHARE_EVERY = 0.05
"""Real seconds between two messages about any other fault."""
COUNTED = "fault counted"
"""The message to other processes with what a fault has counted."""

log = structlog.get_logger("scopegate.faults")


class _Target(NamedTuple):
    """The token or the authorization that a fault is for; the other one is `None`."""

    token_id: int | None
    link_id: int | None


@dataclass(frozen=True, slots=True)
class _InForce:
    number: int
    target: _Target
    course: Course


class _Sharing:
    """Sends the other processes what one fault has counted."""

    def __init__(self, key: str | int, siblings: Siblings) -> None:
        self._key = key
        self._siblings = siblings
        self._strikes = 0
        self._next: asyncio.TimerHandle | None = None
        """When counts can be sent again that are not sent at once."""
        self._is_due = False

    def __call__(self, course: Course) -> None:
        """Send it at once if a few strikes are all that it has, else a few times a second."""
        is_strike = course.counts.strikes > self._strikes
        if is_strike and 0 < (course.fault.times or 0) <= FEW:
            self._send(course)
        elif self._next is None:
            self._send(course)
            self._next = asyncio.get_running_loop().call_later(SHARE_EVERY, self._again, course)
        else:
            self._is_due = True

    def _send(self, course: Course) -> None:
        self._strikes = course.counts.strikes
        self._siblings.send(COUNTED, (self._key, tuple(course.counts)))

    def _again(self, course: Course) -> None:
        self._next = None
        if self._is_due:
            self._is_due = False
            self(course)


class Faults:
    """The faults in force in this process, and the connections on which they act."""

    def __init__(self, store: Store, access: Access, kinds: FaultKinds, siblings: Siblings) -> None:
        self._store = store
        self._access = access
        self._kinds = kinds
        self._siblings = siblings
        self.allowed = False
        """Whether owners may ask for faults."""
        self._changes = 0
        self._in_force: dict[int, _InForce] = {}
        self._of_target: dict[_Target, dict[int, Course]] = {}
        """The same by what they are for, each with its number."""
        self._of_all: list[tuple[int | None, Course]] = []
        """The faults of the settings, each with the app that it is for, if it is for one."""
        self._of_session: dict[Session, list[Course]] = {}
        self._injectors: dict[Session, Injector] = {}

    async def start(self, of_all: Sequence[tuple[int | None, Fault]] = ()) -> None:
        """Allow faults: load those that are stored, and let those of the settings act.

        `of_all` are for every connection of clients, or of the clients of one app.
        """
        self.allowed = True
        self._siblings.on(COUNTED, self._counted)
        self._of_all = [
            (app_id, self._course(f"setting {number}", fault))
            for number, (app_id, fault) in enumerate(of_all)
        ]
        self._store.listen(FaultStarted, self._started)
        self._store.listen(FaultsEnded, self._ended)
        self._store.listen(TokensEnded, self._tokens_ended)
        self._access.on_grants = self.refresh
        while True:
            changes = self._changes
            found = await self._store.read(stored_faults.stored)
            if changes == self._changes:  # else another process has changed some meanwhile
                break
        for each in found:
            self._add(each.number, each.token_id, each.link_id, each.kind, each.options)

    @property
    def of_settings(self) -> bool:
        """Whether the settings have faults, so that every connection has to be looked at."""
        return bool(self._of_all)

    def put_on(self, session: Session, course: Course) -> None:
        """Let a fault act on one connection, whatever account it is for, until it ends."""
        courses = self._of_session.get(session)
        if courses is None:
            courses = self._of_session[session] = []
            session.on_leave(partial(self._left, session))
        courses.append(course)
        self.refresh(session)

    def course(self, number: int) -> Course:
        """Return what a stored fault has done so far in this process. Raises `KeyError`."""
        return self._in_force[number].course

    def strikes(self, number: int) -> int:
        """Return how often a stored fault has struck since the start; 0 if it does not act."""
        return self.course(number).counts.strikes if number in self._in_force else 0

    def take_off(self, session: Session, course: Course) -> None:
        """End a fault of `put_on`; no effect if it does not act."""
        courses = self._of_session.get(session, [])
        if course in courses:
            courses.remove(course)
            self.refresh(session)

    def refresh(self, session: Session) -> None:
        """Let those faults act on a connection that are for it now."""
        courses = self._courses(session)
        injector = self._injectors.get(session)
        if injector is None:
            if not courses or session.closed or session.link is None:
                return
            link = session.link
            injector = Injector(session, link, link.dispatcher, self._end_token)
            self._injectors[session] = injector
            session.on_leave(partial(self._left, session))
        injector.set(courses)

    def _left(self, session: Session) -> None:
        self._of_session.pop(session, None)
        self._injectors.pop(session, None)

    def _courses(self, session: Session) -> list[Course]:
        courses = [course for app_id, course in self._of_all if app_id in (None, session.app_id)]
        if session.at_pages:
            courses = []
        grants = session.grants.values()
        if self._in_force and grants and all(map(self._kinds.admits, grants)):
            found: dict[int, Course] = {}
            for grant in grants:
                found |= self._of_target.get(_Target(grant.token_id, None), {})
                found |= self._of_target.get(_Target(None, grant.link_id), {})
            courses += [course for _, course in sorted(found.items(), key=itemgetter(0))]
        return courses + self._of_session.get(session, [])

    def _refresh_all(self, targets: Set[_Target]) -> None:
        """Refresh the connections of these tokens and authorizations."""
        if not targets:
            return
        for session in list(self._access.sessions):
            for grant in session.grants.values():
                of_grant = {_Target(grant.token_id, None), _Target(None, grant.link_id)}
                if not targets.isdisjoint(of_grant):
                    self.refresh(session)
                    break

    async def _end_token(self, session: Session) -> None:
        """End the token that the current message of a connection acts under, or its first one."""
        grant = session.acting or session.first_grant
        if grant is not None:
            with contextlib.suppress(StoreUnavailableError):  # already logged; the token stays
                await self._access.end_token(grant.token_id)

    def _course(self, key: str | int, fault: Fault) -> Course:
        if self._siblings.alone:
            return Course(fault)
        return Course(fault, _Sharing(key, self._siblings))

    def _counted(self, sender: int, counted: tuple[str | int, tuple[int, int, int]]) -> None:
        key, counts = counted
        for name, course in self._by_key():
            if name == key:
                course.counted_elsewhere(Counts(*counts))

    def _by_key(self) -> Iterable[tuple[str | int, Course]]:
        for number, each in self._in_force.items():
            yield number, each.course
        for place, (_, course) in enumerate(self._of_all):
            yield f"setting {place}", course

    def _started(self, started: FaultStarted) -> None:
        self._changes += 1
        self._add(started.number, started.token_id, started.link_id, started.fault, started.options)
        if started.number in self._in_force:
            self._refresh_all({_Target(started.token_id, started.link_id)})

    def _add(
        self,
        number: int,
        token_id: int | None,
        link_id: int | None,
        kind: str,
        options: Mapping[str, Any],
    ) -> None:
        if number in self._in_force:
            return
        try:
            fault = self._kinds.checked(kind, options)
        except ApiError as problem:  # of a plugin, or a release, that is no longer there
            log.warning("a stored fault is left out", number=number, kind=kind, why=problem.message)
            return
        made = _InForce(number, _Target(token_id, link_id), self._course(number, fault))
        self._in_force[number] = made
        self._of_target.setdefault(made.target, {})[number] = made.course

    def _remove(self, number: int) -> _Target | None:
        """Remove a fault; return what it was for, or `None` if it is not in force."""
        found = self._in_force.pop(number, None)
        if found is None:
            return None
        of_target = self._of_target[found.target]
        del of_target[number]
        if not of_target:
            del self._of_target[found.target]
        return found.target

    def _ended(self, ended: FaultsEnded) -> None:
        self._changes += 1
        self._refresh_all({target for each in ended.numbers if (target := self._remove(each))})

    def _tokens_ended(self, ended: TokensEnded) -> None:
        self._changes += 1
        for token_id in ended.ids:
            for number in list(self._of_target.get(_Target(token_id, None), {})):
                self._remove(number)
