"""Faults that the cases must find: each plants one in the transport of this process."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol

from scopegate.gateway.transport import peer as peer_module
from scopegate.gateway.transport.peer import Peer
from tests.conformance import autobahn
from tests.conformance.autobahn import FAST, LIBRARY, FramePath


def unmasks_nothing(patch: pytest.MonkeyPatch) -> None:
    """Whole text frames are taken as they are; only the transport's own path is affected."""
    patch.setattr(peer_module, "apply_mask", lambda data, mask: data)


def ignores_reserved_bits(patch: pytest.MonkeyPatch) -> None:
    """A whole text frame is read, whatever its reserved bits."""
    only_text = Peer._only_text
    patch.setattr(
        Peer,
        "_only_text",
        lambda self, data: only_text(self, bytes((data[0] & 0x8F,)) + data[1:] if data else data),
    )


def takes_parts_for_messages(patch: pytest.MonkeyPatch) -> None:
    """The first fragment of a message that comes alone is taken for the whole of it."""
    only_text = Peer._only_text
    patch.setattr(
        Peer,
        "_only_text",
        lambda self, data: only_text(self, bytes((data[0] | 0x80,)) + data[1:] if data else data),
    )


def answers_pings_with_nothing(patch: pytest.MonkeyPatch) -> None:
    """A pong does not hold what its ping held."""
    send_frame = Protocol.send_frame

    def sent(self: Protocol, frame: Frame) -> None:
        send_frame(self, Frame(Opcode.PONG, b"") if frame.opcode is Opcode.PONG else frame)

    patch.setattr(Protocol, "send_frame", sent)


def forgets_fragments_at_a_ping(patch: pytest.MonkeyPatch) -> None:
    """A ping between fragments drops those before it."""
    handle = Peer._frame

    def handled(self: Peer, frame: Frame) -> None:
        if frame.opcode is Opcode.PING and self._fragments is not None:
            self._fragments = []
        handle(self, frame)

    patch.setattr(Peer, "_frame", handled)


def takes_any_bytes_for_text(patch: pytest.MonkeyPatch) -> None:
    """UTF-8 is not checked."""
    patch.setattr(autobahn, "check_utf8", lambda text: None)


@dataclass(frozen=True)
class Mutant:
    """A fault, and a case that shows it."""

    plant: Callable[[pytest.MonkeyPatch], None]
    path: FramePath
    case: str


MUTANTS = (
    Mutant(unmasks_nothing, FAST, "1.1.2"),
    Mutant(ignores_reserved_bits, FAST, "3.1"),
    Mutant(takes_parts_for_messages, FAST, "6.4.1"),
    Mutant(answers_pings_with_nothing, LIBRARY, "2.2"),
    Mutant(forgets_fragments_at_a_ping, LIBRARY, "5.6"),
    Mutant(takes_any_bytes_for_text, LIBRARY, "6.3.1"),
)
