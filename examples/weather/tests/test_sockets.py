"""Tests of the gateway over a real socket, with a token, and a refused call."""

import json
from pathlib import Path
from typing import Any

from weather import gateway
from weather.stub import Stub
from websockets.asyncio.client import ClientConnection, connect


async def ask(socket: ClientConnection, request: dict[str, Any]) -> dict[str, Any]:
    await socket.send(json.dumps(request))
    reply: dict[str, Any] = json.loads(await socket.recv())
    return reply


async def test_a_client_signs_in_and_asks(tmp_path: Path, upstream: Stub) -> None:
    upstream.weather["Oslo"] = {"place": "Oslo", "degrees": 4.5, "sky": "rain"}
    own = gateway.with_settings(weather={"url": upstream.url})
    async with (
        own.serving(port=0, db=tmp_path / "weather.db") as serving,
        connect(f"{serving.websocket_url}?app_id=1089") as socket,
    ):
        signed_in = await ask(socket, {"authorize": serving.demo_token})
        assert signed_in["authorize"]["scopes"] == ["forecasts", "places", "read", "admin"]
        assert "balance" not in signed_in["authorize"]
        assert (await ask(socket, {"place_add": "Oslo"}))["place_add"] == 1
        assert (await ask(socket, {"forecast": "Oslo"}))["forecast"]["sky"] == "rain"
        unknown = await ask(socket, {"ticks": "R_100"})
        assert unknown["error"]["code"] == "UnrecognisedRequest"
