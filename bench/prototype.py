"""A gateway reduced to what every call needs, as a measure of what plain Python can do.

It frames, parses, finds the call, validates, checks a scope, runs a handler and encodes the reply
with its echo. It has no limits, no search for secrets, no counts of uses, no turns between clients,
no back-pressure, no close handshake and no fragments; its balance is a constant.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask

_TEXT = 0x81
_FILLERS = 60
"""Further calls, as many as a gateway has."""

Message = dict[str, Any]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    req_id: int | None = None
    passthrough: dict[str, Any] | None = None


class _Ping(_Request):
    ping: Literal[1]


class _Balance(_Request):
    balance: Literal[1]


class _Filler(_Request):
    filler: Literal[1]


class _Call(NamedTuple):
    name: str
    validate: Callable[[Message], BaseModel]
    scope: str
    handle: Callable[[BaseModel], Coroutine[Any, Any, Any]]


async def _pong(_request: BaseModel) -> str:
    return "pong"


async def _balance(_request: BaseModel) -> Message:
    return {"balance": 10_000.0, "currency": "USD", "loginid": "VRTC9000001"}


def _call(name: str, request: type[BaseModel], scope: str, handle: Any) -> _Call:
    return _Call(name, request.__pydantic_validator__.validate_python, scope, handle)


_CALLS = {
    call.name: call
    for call in (
        *(_call(f"filler_{number}", _Filler, "read", _pong) for number in range(_FILLERS)),
        _call("ping", _Ping, "", _pong),
        _call("balance", _Balance, "read", _balance),
    )
}


class Prototype(asyncio.Protocol):
    """One connection, which has the scope `read`."""

    def __init__(self) -> None:
        self._scopes = {"read"}
        self._handshake: ServerProtocol | None = ServerProtocol(logger=logging.getLogger("none"))
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, which is a uvloop transport."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer the frames in these bytes in one write."""
        if self._handshake is not None:
            self._shake_hands(self._handshake, data)
            return
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        out: list[bytes] = []
        position, size = 0, len(data)
        while size - position >= 6:
            length = data[position + 1] - 0x80
            end = position + 6 + length
            if data[position] != _TEXT or not 0 <= length < 126:
                self._transport.close()
                return
            if end > size:
                break
            text = apply_mask(data[position + 6 : end], data[position + 2 : position + 6])
            out.append(_framed(self._answer(text)))
            position = end
        self._buffer = data[position:]
        if out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _shake_hands(self, handshake: ServerProtocol, data: bytes) -> None:
        handshake.receive_data(data)
        for event in handshake.events_received():
            if isinstance(event, Request):
                handshake.send_response(handshake.accept(event))
                self._transport.write(b"".join(handshake.data_to_send()))
                self._handshake = None

    def _answer(self, text: bytes) -> bytes:
        message = orjson.loads(text)
        call = next(_CALLS[key] for key in message if key in _CALLS)
        request = call.validate(message)
        if call.scope and call.scope not in self._scopes:
            raise PermissionError(call.scope)
        try:
            call.handle(request).send(None)
        except StopIteration as returned:
            reply = {"echo_req": message, "msg_type": call.name, call.name: returned.value}
        if (req_id := message.get("req_id")) is not None:
            reply["req_id"] = req_id
        return orjson.dumps(reply)


def _framed(text: bytes) -> bytes:
    length = len(text)
    if length < 126:
        return bytes((_TEXT, length)) + text
    return bytes((_TEXT, 126)) + length.to_bytes(2, "big") + text
