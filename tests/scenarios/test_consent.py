"""Consent: an owner lets an app act, gets sent back to it, and takes it back."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from scopegate.gateway.access import consent
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.errors import ApiError
from scopegate.handlers.exchange.exchange_scopes import READ, SCOPES, TRADE
from scopegate.schemas.app_messages import is_target
from scopegate.schemas.scopes import Scopes
from scopegate.testing import MemoryClient, World

BACK = "https://app.example.com/back"
CONSENT = {"consent": 1, "returns_to": "https://app.example.com"}


def query(app: App, **more: str) -> str:
    return urlencode({"app_id": app.id, **more})


async def allow(owner: MemoryClient, asked: str, loginids: list[str], *scopes: str) -> str:
    """Allow it; the address that the owner is sent to."""
    reply = await owner.ask(
        {**CONSENT, "query": asked, "loginids": loginids, "scopes": list(scopes)}
    )
    assert "error" not in reply, reply["error"]
    sent: str = reply["consent"]["redirect_to"]
    return sent


async def test_an_app_gets_what_its_user_gives_and_no_more(world: World) -> None:
    app = await world.app("read", "trade", "admin", name="Chart bot")
    owner = await world.owner()
    asked = query(app, state="x&y=ü", l="EN", brand="")
    shown = (await owner.ask({"consent_request": 1, "query": asked}))["consent_request"]
    assert shown == {
        "app_id": app.id,
        "app_markup_percentage": 0.0,
        "changes": [],
        "expires_at": None,
        "flow": "tokens",
        "name": "Chart bot",
        "owner": "demo@scopegate.invalid",
        "proposed_restrictions": {},
        "restrictions": {},
        "returns_to": "https://app.example.com",
        "scopes": ["read", "trade", "admin"],
        "user_code": "",
    }
    first, second = world.real[0].loginid, world.demo.loginid
    sent = await allow(owner, asked, [second, first], "read", "trade")
    target, _, answer = sent.partition("?")
    assert target == BACK
    pairs = parse_qsl(answer, strict_parsing=True)
    names = ["acct1", "token1", "cur1", "acct2", "token2", "cur2", "state"]
    assert [name for name, _ in pairs] == names
    given = dict(pairs)
    assert (given["acct1"], given["acct2"]) == (first, second)  # the real-style account first
    assert given["cur1"] == given["cur2"] == "USD"
    assert given["state"] == "x&y=ü"
    assert given["token1"].startswith("a1-")

    bot = world.connect(app_id=app.id)
    assert (await bot.authorize(given["token1"]))["scopes"] == ["read", "trade"]
    assert await bot.refused({"api_token": 1}) == "PermissionDenied"
    assert await world.connect().refused({"authorize": given["token1"]}) == "InvalidToken"

    (connected,) = (await owner.ask({"connected_apps": 1}))["connected_apps"]
    assert connected["name"] == "Chart bot"
    assert connected["scopes"] == ["read", "trade"]
    assert connected["loginids"] == sorted([first, second])
    assert connected["live_connections"] == 1
    assert connected["last_used"] is not None

    await bot.ask({"balance": 1, "subscribe": 1})
    revoked = (await owner.ask({"revoke_access": app.id}))["revoke_access"]
    assert revoked == {"app_id": app.id, "name": "Chart bot", "signed_out": 1}
    assert (await bot.next())["error"]["code"] == "InvalidToken"
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
    for token in (given["token1"], given["token2"]):
        assert await bot.refused({"authorize": token}) == "InvalidToken"
    assert (await owner.ask({"connected_apps": 1}))["connected_apps"] == []
    assert await owner.refused({"revoke_access": app.id}) == "InvalidAppID"


async def test_what_an_app_minted_ends_with_the_app(world: World) -> None:
    app = await world.app("read", "admin")
    owner = await world.owner()
    sent = await allow(owner, query(app), [world.demo.loginid], "read", "admin")
    token = dict(parse_qsl(urlsplit(sent).query))["token1"]
    bot = world.connect(app_id=app.id)
    await bot.authorize(token)
    asking = {"api_token": 1, "new_token": "Mine", "new_token_scopes": ["trade"]}
    assert await bot.refused(asking) == "PermissionDenied"
    minted = await bot.ask({**asking, "new_token_scopes": ["read"]})
    (text,) = [one["token"] for one in minted["api_token"]["tokens"] if "*" not in one["token"]]
    other = world.connect(app_id=app.id)
    await other.authorize(text)
    (listed,) = [
        one for one in (await owner.ask({"token_list": 1}))["token_list"] if one["name"] == "Mine"
    ]
    assert listed["made_by"] == app.name
    # An app that may do everything still lets no other app in.
    another = await world.app("read")
    for client in (bot, other):
        request = {**CONSENT, "query": query(another), "loginids": [world.demo.loginid]}
        assert await client.refused({**request, "scopes": ["read"]}) == "PermissionDenied"
    revoked = (await owner.ask({"revoke_access": app.id}))["revoke_access"]
    assert revoked["signed_out"] == 2
    assert await other.refused({"balance": 1}) == "AuthorizationRequired"


async def test_who_registered_an_app_is_told_to_users_alone(world: World) -> None:
    app = await world.app("read")
    stranger = world.connect(at_pages=True)
    request = {"consent_request": 1, "query": query(app)}
    assert (await stranger.ask(request))["consent_request"]["owner"] == ""
    owner = await world.owner()
    told = (await owner.ask(request))["consent_request"]["owner"]
    assert told == "demo@scopegate.invalid"


async def test_an_app_that_another_app_registered_is_shown_as_such(world: World) -> None:
    """An app registers an app in its user's name, who is then asked to allow that."""
    first = await world.app("admin", name="Chart bot")
    bot = world.connect(app_id=first.id)
    await bot.authorize(await world.token("admin", app=first))
    fields = {"name": "Deriv Official", "scopes": ["read"], "redirect_uri": BACK}
    second = (await bot.ask({"app_register": 1, **fields}))["app_register"]["app_id"]
    owner = await world.owner()
    asked = {"consent_request": 1, "query": f"app_id={second}"}
    shown = "demo@scopegate.invalid, through the app Chart bot"
    assert (await owner.ask(asked))["consent_request"]["owner"] == shown
    await allow(owner, f"app_id={second}", [world.demo.loginid], "read")
    connected = (await owner.ask({"connected_apps": 1}))["connected_apps"]
    assert [one["owner"] for one in connected] == ["demo@scopegate.invalid", shown]


async def test_nobody_is_sent_elsewhere_than_they_were_shown(world: World) -> None:
    app = await world.app("read")
    owner = await world.owner()
    shown = (await owner.ask({"consent_request": 1, "query": query(app)}))["consent_request"]
    moved = {"name": app.name, "scopes": ["read"], "redirect_uri": "https://elsewhere.example/x"}
    assert "error" not in await owner.ask({"app_update": app.id, **moved})
    request = {**CONSENT, "query": query(app), "loginids": [world.demo.loginid], "scopes": ["read"]}
    error = (await owner.ask({**request, "returns_to": shown["returns_to"]}))["error"]
    assert error["code"] == "ConsentRefused"
    assert "https://elsewhere.example" in error["message"]
    assert (await owner.ask({"connected_apps": 1}))["connected_apps"] == []


async def test_who_refuses_sends_the_app_an_error(world: World) -> None:
    app = await world.app("read")
    page = world.connect(at_pages=True)  # nobody need sign in to say no
    reply = await page.ask({"consent_refuse": 1, "query": query(app, state="7")})
    sent = urlsplit(reply["consent_refuse"]["redirect_to"])
    assert sent._replace(query="").geturl() == BACK
    assert dict(parse_qsl(sent.query)) == {
        "error": "access_denied",
        "error_description": "The user refused.",
        "state": "7",
    }


async def test_the_same_again_signs_nobody_out_and_anything_else_does(world: World) -> None:
    app = await world.app("read", "trade")
    owner = await world.owner()
    mine = [world.demo.loginid]

    async def device(*scopes: str, loginids: list[str] = mine) -> MemoryClient:
        sent = await allow(owner, query(app), loginids, *scopes)
        bot = world.connect(app_id=app.id)
        await bot.authorize(dict(parse_qsl(urlsplit(sent).query))["token1"])
        return bot

    phone = await device("read", "trade")
    desktop = await device("read", "trade")
    assert "error" not in await phone.ask({"balance": 1})
    less = await device("read")
    for client in (phone, desktop):
        assert await client.refused({"balance": 1}) == "AuthorizationRequired"
    elsewhere = await device("read", loginids=[world.real[0].loginid])
    assert await less.refused({"balance": 1}) == "AuthorizationRequired"
    assert "error" not in await elsewhere.ask({"balance": 1})


async def test_an_app_holds_so_many_tokens_of_an_account(world: World) -> None:
    app = await world.app("read")
    owner = await world.owner()
    given = []
    for _ in range(22):
        sent = await allow(owner, query(app), [world.demo.loginid], "read")
        given.append(dict(parse_qsl(urlsplit(sent).query))["token1"])
    bot = world.connect(app_id=app.id)
    for token in given[:2]:
        assert await bot.refused({"authorize": token}) == "InvalidToken"
    for token in (given[2], given[-1]):
        await bot.authorize(token)


async def test_nothing_may_be_given_that_was_not_asked_for(world: World) -> None:
    app = await world.app("read", "trade")
    stranger = (await world.user("eve@example.com"))[0]
    owner = await world.owner()
    mine = world.demo.loginid
    request = {**CONSENT, "query": query(app, scopes="read"), "loginids": [mine]}
    for change, field in (
        ({"scopes": ["trade"]}, "scopes"),
        ({"scopes": ["read", "admin"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["read"], "loginids": []}, "loginids"),
        ({"scopes": ["read"], "loginids": [mine, stranger.loginid]}, "loginids"),
        ({"scopes": ["read"], "loginids": ["CR1"]}, "loginids"),
    ):
        error = (await owner.ask(request | change))["error"]
        assert error["code"] == "InputValidationFailed"
        assert list(error["details"]) == [field]
    assert (await owner.ask({"connected_apps": 1}))["connected_apps"] == []


async def test_an_app_that_was_deleted_meanwhile_gets_nothing(world: World) -> None:
    app = await world.app("read")
    owner = await world.owner()
    await owner.ask({"app_delete": app.id})
    request = {**CONSENT, "query": query(app), "loginids": [world.demo.loginid]}
    assert await owner.refused({**request, "scopes": ["read"]}) == "InvalidAppID"


# What a link may ask.

APP = App(
    id=7,
    user_id=1,
    name="App",
    scopes=frozenset({READ, TRADE}),
    redirect_uri=BACK,
)
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B


def understood(asked: str, app: App = APP) -> consent.AuthorizationRequest:
    return consent.understand(asked, {app.id: app}.get, Scopes(SCOPES), RestrictionKinds())


@pytest.mark.parametrize(
    ("asked", "scopes"),
    [
        ("app_id=7", {"read", "trade"}),
        ("app_id=7&scopes=", {"read", "trade"}),
        ("app_id=7&scopes=read", {"read"}),
        ("app_id=7&scope=trade", {"trade"}),
        ("app_id=7&scopes=read,trade", {"read", "trade"}),
        ("app_id=7&scopes=read+trade", {"read", "trade"}),
        ("app_id=7&scopes=read%2Ctrade&l=EN&brand=&anything=1&anything=2", {"read", "trade"}),
        (f"app_id=7&redirect_uri={BACK}", {"read", "trade"}),
        ("app_id=7&redirect_uri=&response_type=", {"read", "trade"}),  # empty is left out
    ],
)
def test_a_link_asks_for_scopes(asked: str, scopes: set[str]) -> None:
    assert set(understood(asked).scopes) == scopes


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "app_id=",
        "app_id=8",
        "app_id=-7",
        "app_id=7.0",
        "app_id=\u0667",
        "app_id=7&app_id=7",
        "app_id=8&app_id=7",
        "app_id=7&client_id=8",
        "app_id=7&state=%ff",
        "app_id=7&state=" + "x" * 1025,
        "app_id=7&" + "&".join(f"x{n}=1" for n in range(60)),
    ],
)
def test_a_link_that_cannot_be_trusted_leads_nowhere(asked: str) -> None:
    with pytest.raises(ApiError) as refused:
        understood(asked)
    assert not (refused.value.details or {}).get("back")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ("response_type=token", "unsupported_response_type"),
        ("client_id=7", "invalid_request"),
        (f"code_challenge={CHALLENGE}&code_challenge_method=S256", "invalid_request"),
        ("scope=read&scopes=trade", "invalid_request"),
        ("response_type=code", "invalid_request"),
        (f"response_type=code&code_challenge={CHALLENGE}", "invalid_request"),
        (
            f"response_type=code&code_challenge={CHALLENGE}&code_challenge_method=plain",
            "invalid_request",
        ),
        ("response_type=code&code_challenge=x&code_challenge_method=S256", "invalid_request"),
        ("scopes=read,root", "invalid_scope"),
        ("scopes=admin", "invalid_scope"),
        ("scope=read+payments", "invalid_scope"),
    ],
)
def test_an_app_that_asks_wrongly_may_be_told(asked: str, error: str) -> None:
    with pytest.raises(ApiError) as refused:
        understood(f"app_id=7&state=a%26b&{asked}")
    assert refused.value.details is not None
    sent = urlsplit(refused.value.details["back"])
    assert sent._replace(query="").geturl() == BACK
    told = dict(parse_qsl(sent.query, strict_parsing=True))
    assert told["error"] == error
    assert told["state"] == "a&b"


HOSTILE = [
    "http://app.example.com/back",
    "https://app.example.com/back/",
    "https://app.example.com/Back",
    "https://app.example.com/back?x=1",
    "https://app.example.com/back#x",
    "https://app.example.com/back/../back",
    "https://app.example.com/back%2f",
    "https://app.example.com:443/back",
    "https://APP.example.com/back",
    "https://app.example.com./back",
    "https://app.example.com",
    "https://app.example.com@evil.test/back",
    "https://evil.test/back",
    "https://evil.test#https://app.example.com/back",
    "https://evil.test?https://app.example.com/back",
    "https://evil.test\\@app.example.com/back",
    "https://app.example.com.evil.test/back",
    "https://app.example.com%2eevil.test/back",
    "https://user:pass@app.example.com/back",
    "//evil.test/back",
    "///evil.test/back",
    "/\\evil.test",
    "/back",
    "back",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//https://app.example.com/back",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "blob:https://app.example.com/1",
    "ftp://app.example.com/back",
    "wss://app.example.com/back",
    "http://127.0.0.1.evil.test/",
    "http://localhost.evil.test/",
    "http://localhost@evil.test/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://[::ffff:10.0.0.1]/",
    "https://0x7f.1/",
    "https://256.1.1.1/",
    "https://1.2.3.4.5/",
    "https://09/",
    "https://999999999999/",
    "https://xn--a/",
    "https://xn--/",
    "https://app..example.com/",
    "https://\u0430pp.example.com/back",
    "https://app.example.com/back\r\nLocation: https://evil.test",
    " https://app.example.com/back",
    "https://app.example.com/back ",
    "https://app.example.com/back\x00",
    "https://ap\tp.example.com/back",
]


@pytest.mark.parametrize("target", HOSTILE)
def test_no_link_leads_anywhere_but_to_the_registered_address(target: str) -> None:
    with pytest.raises(ApiError) as refused:
        understood(urlencode({"app_id": 7, "redirect_uri": target}))
    assert "back" not in (refused.value.details or {})


REGISTERED = [
    target for target in HOSTILE if not (target.startswith("https://") and is_target(target))
]


@pytest.mark.parametrize("target", REGISTERED)
async def test_no_such_address_can_be_registered(world: World, target: str) -> None:
    owner = await world.owner()
    request = {"app_register": 1, "name": "Evil", "scopes": ["read"], "redirect_uri": target}
    error = (await owner.ask(request))["error"]
    assert error["code"] in ("InputValidationFailed", "SanityCheckFailed")


def test_most_hostile_addresses_cannot_even_be_registered() -> None:
    assert len(HOSTILE) >= 40
    assert len(REGISTERED) >= 30


@pytest.mark.parametrize("target", ["", "http://app.example.com/back", "javascript:alert(1)"])
def test_an_address_in_the_database_is_looked_at_once_more(target: str) -> None:
    app = App(id=7, user_id=1, name="App", scopes=frozenset(SCOPES), redirect_uri=target)
    with pytest.raises(ApiError, match="it has no redirect_uri"):
        understood("app_id=7", app)


@pytest.mark.parametrize(
    ("registered", "returned"),
    [
        ("https://a.test/in", "https://a.test/in?code=1&state=s"),
        ("https://a.test/in?", "https://a.test/in?code=1&state=s"),
        ("https://a.test/in?x=1", "https://a.test/in?x=1&code=1&state=s"),
        ("http://localhost:3000", "http://localhost:3000?code=1&state=s"),
    ],
)
def test_an_answer_is_added_to_the_registered_address(registered: str, returned: str) -> None:
    app = App(id=7, user_id=1, name="App", scopes=frozenset(SCOPES), redirect_uri=registered)
    assert understood("app_id=7&state=s", app).returned([("code", "1")]) == returned


# Origins.


@pytest.mark.lengthy
async def test_an_app_may_be_bound_to_origins(world: World) -> None:
    app = await world.app("read")
    owner = await world.owner()
    origins = ["https://bot.example.com", "http://localhost:3000"]
    reply = await owner.ask({"app_origins": app.id, "allowed_origins": origins})
    assert reply["app_origins"] == {"app_id": app.id, "allowed_origins": origins}
    elsewhere = world.connect(app_id=app.id, origin="https://evil.test")
    reply = await elsewhere.ask({"time": 1})
    assert reply["error"]["code"] == "InvalidAppID"
    assert "https://evil.test" in reply["error"]["details"]["origin"]
    assert (await elsewhere.ended())[0] == 1008
    for origin in ("null", "http://bot.example.com", "https://bot.example.com:8443"):
        assert await world.connect(app_id=app.id, origin=origin).refused({"time": 1})
    for origin in (*origins, ""):  # a program says nothing of an origin
        assert "error" not in await world.connect(app_id=app.id, origin=origin).ask({"time": 1})
    assert "error" not in await world.connect(app_id=app.id, at_pages=True).ask({"time": 1})

    described = {"name": app.name, "scopes": ["read"], "redirect_uri": BACK}
    await owner.ask({"app_update": app.id, **described})
    kept = (await owner.ask({"app_origins": app.id}))["app_origins"]
    assert kept["allowed_origins"] == origins  # describing it anew changes nothing of that
    reopened = await owner.ask({"app_origins": app.id, "allowed_origins": []})
    assert reopened["app_origins"]["allowed_origins"] == []
    assert "error" not in await world.connect(app_id=app.id, origin="https://evil.test").ask(
        {"time": 1}
    )


async def test_a_live_page_of_an_origin_that_is_refused_now_is_cut_off(world: World) -> None:
    app = await world.app("read")
    page = world.connect(app_id=app.id, origin="https://evil.test")
    assert "error" not in await page.ask({"time": 1})
    await page.authorize(await world.token("read"))
    await page.ask({"balance": 1, "subscribe": 1})
    owner = await world.owner()
    await owner.ask({"app_origins": app.id, "allowed_origins": ["https://bot.example.com"]})
    told = await page.next()  # at once, and not only when it asks for something
    assert told["msg_type"] == "balance"
    assert told["error"]["code"] == "InvalidAppID"
    await world.credit(1)
    assert page.received == []
    assert await page.refused({"time": 1}) == "InvalidAppID"


async def test_the_streams_of_an_app_that_is_deleted_end_with_it(world: World) -> None:
    app = await world.app("read")
    bot = world.connect(app_id=app.id)
    await bot.ask({"ticks": "1HZ100V", "subscribe": 1})
    owner = await world.owner()
    await owner.ask({"app_delete": app.id})
    assert (await bot.next())["error"]["code"] == "InvalidAppID"
    world.clock.advance(3)
    assert bot.received == []


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "bot.example.com",
        "https://bot.example.com/",
        "https://BOT.example.com",
        "https://bot.example.com:443",
        "http://bot.example.com:80",
        "https://bot.example.com/x",
        "https://...",
        "https://" + "x" * 200,
        "null",
        "",
    ],
)
async def test_an_origin_is_written_as_browsers_write_it(world: World, origin: str) -> None:
    app = await world.app("read")
    owner = await world.owner()
    request = {"app_origins": app.id, "allowed_origins": [origin]}
    assert await owner.refused(request) == "InputValidationFailed"


async def test_origins_are_the_owners_alone(world: World) -> None:
    app = await world.app("read")
    stranger = (await world.user("eve@example.com"))[0]
    client = world.connect()
    await client.authorize(await world.token(loginid=stranger.loginid))
    assert await client.refused({"app_origins": app.id, "allowed_origins": []}) == "InvalidAppID"
