"""Starts a gateway that does not stand hostile messages: `MUTANT serve ...`."""

import itertools
import sys
from collections.abc import Callable
from typing import Any

from scopegate import cli
from scopegate.gateway.calls import dispatch
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.session import Session

_numbers = itertools.count(1)


def shows_secrets() -> None:
    """Tokens in wrong places are sent back."""
    dispatch.masked = lambda message, fields: message


def fails_now_and_then() -> None:
    """A handler fails with some requests."""
    validated = dispatch.validated

    def failing(call: Any, message: Any) -> Any:
        if next(_numbers) % 500 == 0:
            raise KeyError("a bug")
        return validated(call, message)

    dispatch.validated = failing


def _handling(change: Callable[[Session, bytes], bool]) -> None:
    """Let `change` answer a message instead, if it wants to."""
    handle = Dispatcher.handle

    def handled(self: Dispatcher, session: Session, text: bytes) -> Any:
        return None if change(session, text) else handle(self, session, text)

    Dispatcher.handle = handled  # type: ignore[method-assign]


def leaves_messages_out() -> None:
    """One message of two thousand is not answered."""
    _handling(lambda session, text: next(_numbers) % 2_000 == 0)


def answers_no_json() -> None:
    """A number that JSON does not have is sent back."""

    def answered(session: Session, text: bytes) -> bool:
        if b"e+308" in text:
            session.send(b'{"msg_type":"ping","ping":Infinity}')
            return True
        return False

    _handling(answered)


def forgets_nothing() -> None:
    """Every message is kept."""
    kept: list[bytes] = []

    def keep(session: Session, text: bytes) -> bool:
        kept.append(text * 10)
        return False

    _handling(keep)


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        *(shows_secrets, fails_now_and_then, leaves_messages_out, answers_no_json),
        forgets_nothing,
    )
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    cli.main()
