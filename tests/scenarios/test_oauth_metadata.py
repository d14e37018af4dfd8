"""What OAuth clients discover of the gateway (RFC 8414), and do with it."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from scopegate.gateway.web.oauth_metadata import METADATA
from scopegate.testing import World
from tests.oauth_flows import BACK, VERIFIER, Flow, app_flow


@pytest.fixture
async def flow(world: World) -> AsyncIterator[Flow]:
    async with app_flow(world, "read", "trade") as made:
        yield made


async def test_a_client_library_finds_it_valid(flow: Flow) -> None:
    """The library insists on https, which a proxy in front of the gateway provides."""
    document = await flow.metadata(**{"X-Forwarded-Proto": "https"})
    port = urlsplit(flow.base).port
    assert document["issuer"] == f"https://127.0.0.1:{port}"
    AuthorizationServerMetadata(document).validate()


async def test_every_endpoint_of_it_answers(flow: Flow) -> None:
    document = await flow.metadata()
    assert document["issuer"] == flow.base
    addresses = {name: url for name, url in document.items() if name.endswith("_endpoint")}
    async with httpx2.AsyncClient(trust_env=False) as client:
        for name, url in addresses.items():
            assert url.startswith(flow.base + "/")
            method = "GET" if name == "authorization_endpoint" else "POST"
            assert (await client.request(method, url)).status_code in (400, 401), name


async def test_the_issuer_is_the_one_that_redirects_name(flow: Flow) -> None:
    brought = await flow.allowed(flow.asked())
    document = await flow.metadata(Host=urlsplit(brought["iss"]).netloc)
    assert document["issuer"] == brought["iss"]
    assert document["authorization_response_iss_parameter_supported"] is True


@pytest.mark.parametrize(
    ("host", "scheme", "issuer"),
    [
        ("LOCALHOST", "http", "http://localhost"),
        ("localhost:80", "http", "http://localhost"),
        ("localhost:443", "https", "https://localhost"),
        ("localhost:8443", "https", "https://localhost:8443"),
        ("localhost", "ftp", "http://localhost"),
    ],
)
async def test_the_issuer_is_an_origin_as_browsers_write_it(
    flow: Flow, host: str, scheme: str, issuer: str
) -> None:
    document = await flow.metadata(Host=host, **{"X-Forwarded-Proto": scheme})
    assert document["issuer"] == issuer


async def test_a_foreign_name_is_no_issuer(flow: Flow) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get(flow.base + METADATA, headers={"Host": "evil.test"})
    assert response.status_code == 421


async def test_it_is_only_read(flow: Flow) -> None:
    response = await flow.post(METADATA)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


async def test_a_client_library_gets_tokens_from_what_it_discovers(flow: Flow) -> None:
    document = await flow.metadata()
    assert "none" in document["token_endpoint_auth_methods_supported"]
    async with AsyncOAuth2Client(
        client_id=str(flow.app.id),
        redirect_uri=BACK,
        code_challenge_method=document["code_challenge_methods_supported"][0],
        token_endpoint_auth_method="none",
        trust_env=False,
    ) as client:
        url, state = client.create_authorization_url(
            document["authorization_endpoint"], code_verifier=VERIFIER
        )
        brought = await flow.allowed(urlsplit(url).query, "read")
        token = await client.fetch_token(
            document["token_endpoint"],
            authorization_response=f"{BACK}?{urlencode(brought)}",
            code_verifier=VERIFIER,
            state=state,
        )
    bot = flow.world.connect(app_id=flow.app.id)
    assert (await bot.authorize(token["access_token"]))["scopes"] == ["read"]
