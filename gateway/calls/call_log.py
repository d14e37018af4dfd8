"""Logs what clients do: connections, refused messages, writes and, on request, every call.

Rules:
- A line names its connection (`session`) and the number of the message on it (`message`). The line
  about the end of a connection, and one about a handler that failed, name the same.
- Nothing that a client has sent is logged, only the name of the call and the code of the error.
- Refusals are logged at most `REFUSALS_A_SECOND` times a second: clients must not fill the disk.
  The next line has the number of those that were left out.
"""

import time

import structlog

from scopegate.gateway.calls.errors import ApiError, limit_of
from scopegate.gateway.calls.handling import OK, REFUSALS, UNKNOWN
from scopegate.gateway.calls.registry import Call
from scopegate.gateway.calls.session import Session
from scopegate.schemas.scopes import Risk, Scopes

REFUSALS_A_SECOND = 20

log = structlog.get_logger("scopegate.calls")


class CallLog:
    """Logs messages that were answered, and connections that have ended."""

    def __init__(self, scopes: Scopes, *, every: bool) -> None:
        """`every` also logs each call, at the level debug. `scopes` are those of the gateway."""
        self._writing = frozenset(scope for scope in scopes if scope.risk > Risk.LOW)
        self._every = every
        self._second = 0
        self._refusals = 0
        self._left_out = 0

    def __call__(self, session: Session, call: Call | None, seconds: float) -> None:
        """Log one message that was answered; `seconds` is how long it took."""
        error = session.error
        name = UNKNOWN if call is None else call.name
        if error is not None and error.code in REFUSALS:
            self._refused(session, name, error)
        elif error is None and call is not None and call.scopes and call.scopes <= self._writing:
            log.info("a write", **_about(session, name))
        if self._every:
            outcome = OK if error is None else error.code
            log.debug("a call", **_about(session, name), outcome=outcome, seconds=round(seconds, 6))

    def ended(self, session: Session, seconds: float, code: str) -> None:
        """Log that a connection has ended after so many seconds.

        `code` is the close code of the gateway, or client.
        """
        grant = session.first_grant
        log.info(
            "a connection has ended",
            session=session.id,
            address=session.address,
            app=session.app_id,
            account=None if grant is None else grant.loginid,
            seconds=round(seconds, 3),
            messages=session.messages,
            code=code,
        )

    def _refused(self, session: Session, name: str, error: ApiError) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._refusals = second, 0
        self._refusals += 1
        if self._refusals > REFUSALS_A_SECOND:
            self._left_out += 1
            return
        more: dict[str, object] = {}
        if limit := limit_of(error):
            more["limit"] = limit
        if self._left_out:
            more["left_out"], self._left_out = self._left_out, 0
        log.info(
            "a refusal", **_about(session, name), address=session.address, code=error.code, **more
        )


def _about(session: Session, name: str) -> dict[str, object]:
    """Return what every line about a message says."""
    about: dict[str, object] = {"session": session.id, "message": session.messages, "call": name}
    grant = session.acting
    if grant is not None:
        about |= {"account": grant.loginid, "token": grant.token_id}
    return about
