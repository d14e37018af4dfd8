"""An app that asks for consent, and programs that use the OAuth endpoints as it does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2

from scopegate.gateway.access.apps import App
from scopegate.gateway.web.oauth_metadata import METADATA
from scopegate.listening import listen
from scopegate.testing import World

BACK = "https://app.example.com/back"  # what World.app registers
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@dataclass
class Flow:
    """A gateway that listens, and an app of which its demo user is asked."""

    world: World
    app: App
    base: str

    def asked(self, **more: Any) -> str:
        """The query with which the app sends its user."""
        return urlencode(
            {
                "response_type": "code",
                "client_id": self.app.id,
                "redirect_uri": BACK,
                "code_challenge": CHALLENGE,
                "code_challenge_method": "S256",
                **more,
            }
        )

    async def allowed(self, query: str, *scopes: str) -> dict[str, str]:
        """What the user's browser brings back to the app after consent."""
        owner = await self.world.owner()
        request = {
            "consent": 1,
            "query": query,
            "returns_to": "https://app.example.com",
            "loginids": [self.world.real[0].loginid, self.world.demo.loginid],
            "scopes": list(scopes) or ["read"],
        }
        reply = await owner.ask(request)
        target, _, answer = reply["consent"]["redirect_to"].partition("?")
        assert target == BACK
        return dict(parse_qsl(answer, strict_parsing=True))

    async def code(self) -> str:
        return (await self.allowed(self.asked()))["code"]

    async def exchange(self, code: str, /, **change: str | None) -> httpx2.Response:
        """Ask for tokens by hand; a field that is `None` is left out."""
        form: Mapping[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": str(self.app.id),
            "redirect_uri": BACK,
            "code": code,
            "code_verifier": VERIFIER,
            **change,
        }
        sent = {name: value for name, value in form.items() if value is not None}
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.post(f"{self.base}/oauth2/token", data=sent)

    async def post(
        self, path: str, /, headers: Mapping[str, str] | None = None, **form: str | int | None
    ) -> httpx2.Response:
        """Send a form to an endpoint; a field that is `None` is left out."""
        sent = {name: str(value) for name, value in form.items() if value is not None}
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.post(f"{self.base}{path}", data=sent, headers=headers)

    async def metadata(self, **headers: str) -> Any:
        """What the gateway says of its endpoints, to a client that sends these headers."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.get(f"{self.base}{METADATA}", headers=headers)).json()


@asynccontextmanager
async def app_flow(world: World, *scopes: str) -> AsyncIterator[Flow]:
    """A flow of a new app, while the gateway listens."""
    app = await world.app(*scopes)
    async with listen(world.gateway) as port:
        yield Flow(world, app, f"http://127.0.0.1:{port}")


def refused(response: httpx2.Response, error: str, status: int = 400) -> bool:
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert set(body) == {"error", "error_description"}
    return (response.status_code, body["error"]) == (status, error)
