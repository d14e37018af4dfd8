"""The servers that Scopegate is compared with; `python -P bench/peers.py NAME` runs one.

Each echoes what it gets on a free port of 127.0.0.1, on uvloop, without compression, otherwise with
its library's defaults, and prints its address in the same form as Scopegate. The prototype answers
instead.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

FASTAPI_WEBSOCKETS = "websockets-sansio"
"""The fastest of uvicorn's WebSocket protocols, and its default."""


def _listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    print(f"listening on ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    return listener


async def websockets_echo() -> None:
    """Run `websockets`' own asyncio server, which returns each message unchanged."""
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, sock=_listen(), compression=None) as server:
        await server.serve_forever()


async def fastapi_echo() -> None:
    """Run FastAPI on uvicorn, which parses each message as JSON and encodes it again."""
    import uvicorn
    from fastapi import FastAPI, WebSocket, WebSocketDisconnect

    app = FastAPI()

    @app.websocket("/")
    async def echo(connection: WebSocket) -> None:
        await connection.accept()
        try:
            while True:
                await connection.send_json(await connection.receive_json())
        except WebSocketDisconnect:
            return

    config = uvicorn.Config(
        app, ws=FASTAPI_WEBSOCKETS, ws_per_message_deflate=False, log_level="error", lifespan="off"
    )
    await uvicorn.Server(config).serve(sockets=[_listen()])


async def picows_echo() -> None:
    """Run picows, whose framing is compiled; it returns each frame unchanged."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

    class Echo(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code())
                transport.disconnect()
            else:
                transport.send(frame.msg_type, frame.get_payload_as_bytes())

    server = await ws_create_server(lambda _request: Echo(), sock=_listen())
    await server.serve_forever()


async def prototype() -> None:
    """Run the gateway path reduced to what every call needs."""
    # The interpreter runs with -P: this folder is not on the path.
    sys.path.append(str(Path(__file__).parent))
    from prototype import Prototype

    server = await asyncio.get_running_loop().create_server(Prototype, sock=_listen())
    await server.serve_forever()


FANOUT_FRAME = 340
"""Bytes of a frame of the fan-out: a tick with its echo and its subscription."""


async def fanout() -> None:
    """Write a frame to every connection at the beginning of each second, in one loop."""
    from websockets.http11 import Request
    from websockets.server import ServerProtocol

    transports: list[asyncio.WriteTransport] = []
    frame = bytes((0x81, 126)) + (FANOUT_FRAME - 4).to_bytes(2, "big") + b" " * (FANOUT_FRAME - 4)

    class Listening(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport
            self.core = ServerProtocol()

        def data_received(self, data: bytes) -> None:
            self.core.receive_data(data)
            for event in self.core.events_received():
                if isinstance(event, Request):
                    self.core.send_response(self.core.accept(event))
                    self.transport.write(b"".join(self.core.data_to_send()))
                    transports.append(self.transport)

        def connection_lost(self, exc: Exception | None) -> None:
            if self.transport in transports:
                transports.remove(self.transport)

    server = await asyncio.get_running_loop().create_server(Listening, sock=_listen())
    async with server:
        while True:
            await asyncio.sleep(1.0 - time.time() % 1.0)
            for transport in transports:
                transport.write(frame)


PEERS: dict[str, Callable[[], Coroutine[None, None, None]]] = {
    "websockets": websockets_echo,
    "fastapi": fastapi_echo,
    "picows": picows_echo,
    "prototype": prototype,
    "fanout": fanout,
}


def main() -> None:
    """Run the server named in the first argument, until it is stopped."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(PEERS[sys.argv[1]]())


if __name__ == "__main__":
    main()
