"""The servers that Scopegate is compared with; `python -P bench/peers.py NAME` runs one.

Each echoes what it gets on a free port of 127.0.0.1, on uvloop, without compression, otherwise with
its library's defaults, and prints its address in the same form as Scopegate. The prototype answers
instead.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

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


PEERS: dict[str, Callable[[], Coroutine[None, None, None]]] = {
    "websockets": websockets_echo,
    "fastapi": fastapi_echo,
    "picows": picows_echo,
    "prototype": prototype,
}


def main() -> None:
    """Run the server named in the first argument, until it is stopped."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(PEERS[sys.argv[1]]())


if __name__ == "__main__":
    main()
