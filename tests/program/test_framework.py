"""A gateway of one's own: without the exchange, with declared scopes, settings and services."""

import copy
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
import structlog
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from scopegate import (
    ADMIN,
    PAPER_EXCHANGE,
    READ,
    AccountRequest,
    Accounts,
    DeclarationError,
    Gateway,
    Grant,
    One,
    Plugin,
    Request,
    Risk,
    Scope,
    Session,
    SettingsError,
    Snapshot,
    Store,
    StoreError,
    call,
)
from scopegate.app import compose
from scopegate.composition import declared
from scopegate.exchange.ledger import Ledger
from scopegate.gateway.access.apps import App
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.faults import Asked, Effect, Fault, Sent
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.plugins import _plugins_in as plugins_in
from scopegate.runtime.clock import HandClock
from scopegate.schemas.scopes import Scopes
from scopegate.settings import chosen, plugin_settings
from scopegate.testing import NOON, Mailbox, MemoryClient, Scene, World, scene
from tests.served import over_sockets

SEE = Scope("garden:see", "See what grows in your garden.")
DIG = Scope("garden:dig", "Plant and remove things in your garden.", risk=Risk.MEDIUM)
SELL = Scope("garden:sell", "Sell your garden.", risk=Risk.HIGH)


class Look(AccountRequest):
    """Looks at the garden."""

    look: One


class Looked(TypedDict):
    look: str


class Dig(AccountRequest):
    """Plants something."""

    dig: One


class Dug(TypedDict):
    dig: int


class Sell(AccountRequest):
    """Sells the garden."""

    sell_garden: One


class Sold(TypedDict):
    sell_garden: int


class Garden:
    """A garden."""

    @call("look", needs=(SEE, DIG))
    async def look(self, request: Look, session: Session) -> Looked:
        """Tell what grows."""
        return {"look": "roses"}

    @call("dig", needs=DIG)
    async def dig(self, request: Dig, session: Session) -> Dug:
        """Plant something."""
        return {"dig": 1}

    @call("sell_garden", needs=SELL)
    async def sell(self, request: Sell, session: Session) -> Sold:
        """Sell it."""
        return {"sell_garden": 1}


GARDEN = Plugin(name="garden", handlers=(Garden,), scopes=(SEE, DIG, SELL))
GATEWAY = Gateway(GARDEN)


# Without the exchange.


async def owner(world: Scene) -> tuple[MemoryClient, list[dict[str, Any]]]:
    """The demo user at the pages, and their accounts as the page was told them."""
    client = world.connect(at_pages=True)
    accounts = (await client.ask({"sign_in_demo": 1}))["sign_in_demo"]["accounts"]
    await client.ask({"authorize": "MULTI", "tokens": [each["token"] for each in accounts]})
    return client, accounts


async def test_sessions_tokens_apps_consent_and_revocation_work_without_the_exchange() -> None:
    async with scene(GATEWAY) as world:
        page, accounts = await owner(world)
        assert [sorted(each) for each in accounts] == [["loginid", "token"]]
        app = await world.app("garden:see", "garden:dig", name="Mower")
        asked = await page.ask({"consent_request": 1, "query": f"app_id={app.id}"})
        assert asked["consent_request"]["scopes"] == ["garden:see", "garden:dig"]
        given = await page.ask(
            {
                "consent": 1,
                "query": f"app_id={app.id}",
                "loginids": [world.loginid],
                "scopes": ["garden:see"],
                "returns_to": app.returns_to,
            }
        )
        redirect = given["consent"]["redirect_to"]
        assert f"acct1={world.loginid}&token1=" in redirect
        assert "cur1" not in redirect
        client = world.connect(app_id=app.id)
        signed_in = await client.authorize(redirect.split("token1=")[1])
        assert sorted(signed_in) == [
            *("account_list", "country", "email", "fullname", "loginid", "preferred_language"),
            *("scopes", "user_id"),
        ]
        assert signed_in["account_list"] == [{"loginid": world.loginid}]
        assert signed_in["scopes"] == ["garden:see"]
        assert (await client.ask({"look": 1}))["look"] == "roses"
        denied = await client.ask({"dig": 1})
        assert denied["error"]["message"] == "Permission denied, requires garden:dig scope."
        [connected] = (await page.ask({"connected_apps": 1}))["connected_apps"]
        assert (connected["name"], connected["live_connections"]) == ("Mower", 1)
        revoked = await page.ask({"revoke_access": app.id})
        assert revoked["revoke_access"]["signed_out"] == 1
        assert await client.refused({"look": 1}) == "AuthorizationRequired"


async def test_only_its_own_calls_are_there() -> None:
    offered = {each.name for each in GATEWAY.declared()}
    assert {"ping", "time", "limits", "authorize", "api_token", "look", "dig"} <= offered
    assert not offered & {"balance", "buy", "ticks", "website_status", "get_settings"}
    async with scene(GATEWAY) as world:
        client = world.connect()
        reply = await client.ask({"ticks": "R_100"})
        assert reply["error"]["code"] == "UnrecognisedRequest"
        names = {each["name"] for each in (await client.ask({"limits": 1}))["limits"]}
        assert "tokens" in names
        assert "open_positions" not in names


class Water(Request):
    """Waters the garden."""

    water: One


class Weed(Request):
    """Weeds the garden."""

    weed: One


class Done(TypedDict):
    done: str


class Tool:
    """Calls that others inherit."""

    name = "hose"

    @call("water", needs=None)
    async def water(self, request: Water, session: Session) -> Done:
        """Water the garden."""
        return {"done": self.name}

    @classmethod
    @call("weed", needs=None)
    async def weed(cls, request: Weed, session: Session) -> Done:
        """Weed the garden."""
        return {"done": cls.__name__}


class Can(Tool):
    """A tool of another name."""

    def __init__(self) -> None:
        self.name = "can"


async def test_calls_are_inherited_and_belong_to_objects_or_classes() -> None:
    async with scene(Gateway(Plugin(name="tools", handlers=(Can,)))) as world:
        client = world.connect()
        assert (await client.ask({"water": 1}))["done"] == "can"
        assert (await client.ask({"weed": 1}))["done"] == "Can"


def test_no_market_and_no_numpy_are_loaded(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from scopegate import Gateway

async def main():
    async with Gateway().serving(port=0, db="x.db") as serving:
        assert serving.url.startswith("http://127.0.0.1:"), serving.url
        loaded = [name for name in sys.modules if name.split(".")[0] == "numpy"]
        loaded += [name for name in sys.modules if "heartbeat" in name or "exchange.feed" in name]
        print(loaded)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


async def test_an_account_from_before_the_exchange_becomes_one_of_it(tmp_path: Path) -> None:
    async with compose(
        chosen(db=tmp_path / "x.db", port=0), HandClock(NOON), plugins=[GARDEN]
    ) as running:
        before = Scene(running, HandClock(NOON), Mailbox())
        loginid, token = before.loginid, await before.token("garden:see")
    clock = HandClock(NOON)
    settings = chosen(db=tmp_path / "x.db", port=0, start=repr(NOON), seed="test")
    async with compose(settings, clock, plugins=[PAPER_EXCHANGE, GARDEN]) as running:
        world = await World.around(running, clock, Mailbox())
        client = world.connect()
        signed_in = await client.authorize(token)
        assert signed_in["loginid"] == loginid
        assert (signed_in["currency"], signed_in["balance"]) == ("USD", 10_000)
        assert (await client.ask({"look": 1}))["look"] == "roses"
        assert await running.service(Ledger).balance(loginid)


# Scopes.


async def test_pages_tokens_and_descriptions_show_what_is_declared() -> None:
    async with scene(GATEWAY) as world:
        page, _ = await owner(world)
        told = (await page.ask({"page_info": 1}))["page_info"]["scopes"]
        assert [(each["scope"], each["danger"]) for each in told] == [
            *(("garden:see", 0), ("garden:dig", 1), ("garden:sell", 2)),
            *(("read", 0), ("admin", 3)),
        ]
        assert told[0]["words"] == told[0]["app_words"] == SEE.allows
        made = {"api_token": 1, "new_token": "Spade", "new_token_scopes": ["garden:dig"]}
        assert (await page.ask(made))["api_token"]["tokens"][-1]["scopes"] == ["garden:dig"]
        refused = await page.ask(made | {"new_token_scopes": ["trade"]})
        assert refused["error"]["details"]["new_token_scopes.0"] == (
            "Input should be 'garden:see', 'garden:dig', 'garden:sell', 'read' or 'admin'."
        )


async def test_calls_of_a_high_risk_refuse_tokens_of_apps() -> None:
    async with scene(GATEWAY) as world:
        app = await world.app()
        client = world.connect(app_id=app.id)
        await client.authorize(await world.token(app=app))
        assert (await client.ask({"dig": 1}))["dig"] == 1
        assert await client.refused({"sell_garden": 1}) == "PermissionDenied"
        own = world.connect()
        await own.authorize(await world.token())
        assert (await own.ask({"sell_garden": 1}))["sell_garden"] == 1


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("typo", "needs 'typo', which is not a Scope"),
        ((), "has an empty needs="),
        (Scope("moon", "Fly there."), "needs the scope moon, which this gateway does not declare"),
        ((SEE, "typo"), "needs 'typo', which is not a Scope"),
    ],
    ids=["unknown", "empty", "foreign", "one of two"],
)
def test_a_need_that_is_not_declared_stops_the_start(needs: Any, said: str) -> None:
    class Flights:
        """Flights."""

        @call("look", needs=needs)
        async def look(self, request: Look, session: Session) -> Looked:
            """Look."""
            return {"look": ""}

    plugin = Plugin(name="flights", handlers=(Flights,), scopes=(SEE,))
    with pytest.raises(DeclarationError, match=rf'call "look" \(Flights.look\) {said}'):
        Gateway(plugin).declared()


def test_scopes_are_declared_once_and_those_of_the_gateway_can_be_described_again() -> None:
    other = Plugin(name="other", handlers=(), scopes=(Scope("garden:see", "Something else."),))
    with pytest.raises(DeclarationError, match="scope garden:see is declared by other"):
        Gateway(GARDEN, other).declared()
    own = (
        Scope("read", "See your garden."),
        Scope("admin", "Rename your garden.", risk=Risk.LOW, allows_apps="Rename it."),
    )
    described = Plugin(name="garden", handlers=(Garden,), scopes=(SEE, DIG, SELL, *own))
    scopes = {str(each): each for each in Gateway(described).declared().scopes}
    assert scopes["read"].allows == f"{READ.allows} See your garden."
    assert scopes["admin"].allows_apps == f"{ADMIN.allows_apps} Rename it."
    assert scopes["admin"].risk is Risk.CRITICAL  # no plugin makes it harmless
    assert own[0] == READ  # a scope is its name
    both = {str(each): each for each in Gateway(described, PAPER_EXCHANGE).declared().scopes}
    assert both["read"].allows.endswith("purchase history and sign-ins. See your garden.")
    assert copy.copy(DIG).risk is DIG.risk
    assert copy.deepcopy(DIG).allows == DIG.allows


@pytest.mark.parametrize("name", ["", "Read", "a b", "a,b", "a+b", "1a", "a" * 41])
def test_a_scope_has_a_name_that_fits_everywhere(name: str) -> None:
    with pytest.raises(ValueError, match="not a valid scope name"):
        Scope(name, "Something.")


def test_a_scope_says_what_it_allows() -> None:
    with pytest.raises(ValueError, match="give a sentence"):
        Scope("a", " ")
    with pytest.raises(ValueError, match="declared twice"):
        Scopes([SEE, SEE])


async def test_a_scope_that_is_removed_ends_no_token_and_allows_nothing(tmp_path: Path) -> None:
    settings = chosen(db=tmp_path / "x.db", port=0)
    async with compose(settings, HandClock(NOON), plugins=[GARDEN]) as running:
        before = Scene(running, HandClock(NOON), Mailbox())
        token = await before.token("garden:see", "read")
        app = await before.app("garden:see", "read")

    class Pond:
        """A pond instead of a garden."""

        @call("look", needs=READ)
        async def look(self, request: Look, session: Session) -> Looked:
            """Tell what swims."""
            return {"look": "carps"}

    pond = Plugin(name="pond", handlers=(Pond,))
    async with compose(settings, HandClock(NOON), plugins=[pond]) as running:
        world = Scene(running, HandClock(NOON), Mailbox())
        client = world.connect()
        assert (await client.authorize(token))["scopes"] == ["read"]
        page, _ = await owner(world)
        held = {
            each["name"]: each["scopes"]
            for each in (await page.ask({"token_list": 1}))["token_list"]
        }
        assert held["Test 1"] == ["read", "garden:see"]
        asked = await page.ask({"consent_request": 1, "query": f"app_id={app.id}"})
        assert asked["consent_request"]["scopes"] == ["read"]
    async with compose(settings, HandClock(NOON), plugins=[GARDEN]) as running:
        client = Scene(running, HandClock(NOON), Mailbox()).connect()
        assert (await client.authorize(token))["scopes"] == ["garden:see", "read"]
        assert (await client.ask({"look": 1}))["look"] == "roses"


class Weeds:
    """A garden in which nothing can be planted."""

    @call("look", needs=SEE)
    async def look(self, request: Look, session: Session) -> Looked:
        """Tell what grows."""
        return {"look": "weeds"}


WEEDS = Plugin(name="garden", handlers=(Weeds,), scopes=(SEE,))
"""The garden after a scope was removed: nobody can dig any more."""


async def consented(page: MemoryClient, app: App, loginid: str, *scopes: str) -> dict[str, Any]:
    request = {
        "consent": 1,
        "query": f"app_id={app.id}",
        "loginids": [loginid],
        "scopes": scopes,
        "returns_to": app.returns_to,
    }
    return await page.ask(request)


async def test_a_scope_that_is_removed_changes_no_consent_and_no_app(tmp_path: Path) -> None:
    settings = chosen(db=tmp_path / "x.db", port=0)
    async with compose(settings, HandClock(NOON), plugins=[GARDEN]) as running:
        world = Scene(running, HandClock(NOON), Mailbox())
        app = await world.app("garden:see", "garden:dig", name="Mower")
        digger = await world.app("garden:dig", name="Digger")
        page, _ = await owner(world)
        given = await consented(page, app, world.loginid, "garden:see", "garden:dig")
        token = given["consent"]["redirect_to"].split("token1=")[1]
    async with compose(settings, HandClock(NOON), plugins=[WEEDS]) as running:
        world = Scene(running, HandClock(NOON), Mailbox())
        client = world.connect(app_id=app.id)
        assert (await client.authorize(token))["scopes"] == ["garden:see"]
        page, _ = await owner(world)
        # The same again on a second device: nobody is signed out on the first.
        query = f"app_id={app.id}&scope=garden:see+garden:dig"
        asked = await page.ask({"consent_request": 1, "query": query})
        assert asked["consent_request"]["scopes"] == ["garden:see"]
        assert "consent" in await consented(page, app, world.loginid, "garden:see")
        assert (await client.ask({"look": 1}))["look"] == "weeds"
        # The owner of the app changes something else of it.
        shown = (await page.ask({"app_get": app.id}))["app_get"]
        assert shown["scopes"] == ["garden:see"]
        fields = ("name", "scopes", "redirect_uri")
        changed = {"app_update": app.id, "homepage": "https://example.com/"}
        assert "error" not in await page.ask(changed | {name: shown[name] for name in fields})
        [connected] = (await page.ask({"connected_apps": 1}))["connected_apps"]
        assert connected["needs_consent"] == 0
        # An app that wants nothing else is told so.
        nothing = await page.ask({"consent_request": 1, "query": f"app_id={digger.id}"})
        assert nothing["error"]["message"] == (
            "This gateway offers none of the scopes that Digger asks for."
        )
    async with compose(settings, HandClock(NOON), plugins=[GARDEN]) as running:
        client = Scene(running, HandClock(NOON), Mailbox()).connect(app_id=app.id)
        assert (await client.authorize(token))["scopes"] == ["garden:see", "garden:dig"]


# Calls that are left out.


class Ping(Request):
    """Asks for a sign of life."""

    ping: One


class Echoed(TypedDict):
    ping: str


class Echo:
    """Another ping."""

    @call("ping", needs=None)
    async def ping(self, request: Ping, session: Session) -> Echoed:
        """Answer otherwise."""
        return {"ping": "echo"}


async def test_a_call_is_left_out_or_replaced_by_name() -> None:
    echo = Plugin(name="echo", handlers=(Echo,))
    with pytest.raises(DeclarationError, match=r'"ping" is declared twice.*--omit-call'):
        Gateway(echo).declared()
    async with scene(Gateway(echo, omit=["ping", "time"])) as world:
        client = world.connect()
        assert (await client.ask({"ping": 1}))["ping"] == "echo"
        assert await client.refused({"time": 1}) == "UnrecognisedRequest"
    async with scene(Gateway(), omit_call=["time"]) as world:
        assert await world.connect().refused({"time": 1}) == "UnrecognisedRequest"
    with pytest.raises(DeclarationError, match="there is no call tme to leave out"):
        Gateway(omit=["tme"]).declared()


# Settings, services and background work.


class GardenSettings(BaseModel):
    size: Annotated[int, Field(ge=1)] = 10
    flowers: str = "roses"


class Tools:
    def __init__(self, settings: GardenSettings) -> None:
        self.settings = settings


events: list[str] = []


class Plants:
    """What grows."""

    def __init__(self, tools: Tools, settings: GardenSettings) -> None:
        events.append("made")
        self.settings = settings
        assert tools.settings is settings

    @call("look", needs=None)
    async def look(self, request: Look, session: Session) -> Looked:
        """Tell what grows."""
        return {"look": f"{self.settings.size} {self.settings.flowers}"}


@asynccontextmanager
async def growing(plants: Plants, tools: Tools) -> AsyncIterator[None]:
    events.append("growing")
    yield
    events.append("withered")


PLANTS = Plugin(
    name="plants",
    handlers=(Plants,),
    services=(Tools,),
    background=(growing,),
    settings=GardenSettings,
)


async def test_a_constructor_runs_once_and_background_work_ends_with_the_gateway() -> None:
    events.clear()
    async with scene(Gateway(PLANTS, plants={"size": 3})) as world:
        assert (await world.connect().ask({"look": 1}))["look"] == "3 roses"
    assert events == ["made", "growing", "withered"]


async def test_settings_come_from_the_environment_the_file_and_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scopegate.toml").write_text('[plants]\nsize = 4\nflowers = "tulips"\n')
    monkeypatch.setenv("SCOPEGATE_PLANTS_FLOWERS", "lilies")
    gateway = Gateway(PLANTS, db=tmp_path / "x.db", port=0, plants={"size": 3})
    async with (
        gateway.serving() as serving,
        over_sockets(Scene(serving.running, HandClock(NOON), Mailbox())) as connect,
    ):
        assert (await (await connect()).ask({"look": 1}))["look"] == "4 lilies"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plants]\nsize = 0\n", r"plants.size: .*set it with SCOPEGATE_PLANTS_"),
        ("[plants]\ncolour = 'red'\n", "plants.colour: unknown setting"),
        ("nonsense = 3\n", "nonsense: unknown setting"),
    ],
)
async def test_wrong_settings_stop_the_start_and_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scopegate.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        async with Gateway(PLANTS, port=0).serving():
            pass
    assert not (tmp_path / "scopegate.db").exists()


def missing_service() -> Plugin:
    return Plugin(name="plants", handlers=(Plants,), settings=GardenSettings)


def two_of_a_name() -> Plugin:
    return Plugin(name="garden", handlers=())


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        (missing_service, "Plants asks for tools: Tools, which nothing provides"),
        (two_of_a_name, "two plugins have the name garden"),
        (lambda: Plugin(name="port", settings=GardenSettings), "the gateway has a setting port"),
        (lambda: Plugin(name="My plugin"), "not a valid plugin name"),
        (lambda: Plugin(name="empty", handlers=(Session,)), "Session asks for send"),
    ],
)
async def test_a_plugin_that_cannot_work_stops_the_start_before_there_is_a_database(
    tmp_path: Path, plugin: Callable[[], Plugin], said: str
) -> None:
    with pytest.raises(DeclarationError, match=said):
        async with Gateway(GARDEN, plugin()).serving(port=0, db=tmp_path / "x.db"):
            pass
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_a_table_of_a_plugin_is_there(tmp_path: Path) -> None:
    (tmp_path / "0001_beds.sql").write_text("CREATE TABLE garden_beds (bed TEXT);")
    plugin = Plugin(name="garden", migrations=tmp_path)
    async with scene(Gateway(plugin)) as world:
        await world.gateway.store.write(
            lambda transaction: transaction.execute("INSERT INTO garden_beds VALUES ('one')")
        )
    (tmp_path / "0001_beds.sql").write_text("CREATE TABLE beds (bed TEXT);")
    with pytest.raises(
        StoreError, match="the names of its tables and indexes must begin with garden_"
    ):
        async with scene(Gateway(plugin)):
            pass


async def test_two_gateways_with_other_scopes_serve_in_one_program(tmp_path: Path) -> None:
    async with (
        Gateway(GARDEN).serving(port=0, db=tmp_path / "one.db") as one,
        Gateway().serving(port=0, db=tmp_path / "two.db") as two,
    ):
        assert one.port != two.port
        first = Scene(one.running, HandClock(NOON), Mailbox())
        second = Scene(two.running, HandClock(NOON), Mailbox())
        assert (
            "garden:see"
            in (await first.connect().ask({"authorize": one.demo_token}))["authorize"]["scopes"]
        )
        assert (await second.connect().ask({"authorize": two.demo_token}))["authorize"][
            "scopes"
        ] == ["read", "admin"]


async def test_a_table_of_no_plugin_here_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be misspelt, or of a plugin that another gateway of the program has."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scopegate.toml").write_text("[plnts]\nsize = 3\n")
    with structlog.testing.capture_logs() as logged:
        async with Gateway(PLANTS, port=0).serving():
            pass
    assert {"table": "[plnts]", "file": "scopegate.toml"}.items() <= logged[0].items()


async def test_a_setting_in_code_goes_with_another_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCOPEGATE_SMTP_USER", "ada")
    monkeypatch.setenv("SCOPEGATE_SMTP_PASSWORD", "secret")
    gateway = Gateway(smtp_host="mail.example.com", smtp_from="a@example.com", port=1)
    assert gateway.settings().smtp_user == "ada"
    assert gateway.settings(port=2).port == 2


class Listed(BaseModel):
    names: list[str] = Field(default_factory=list)


def test_a_variable_may_hold_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOPEGATE_PLANTS_NAMES", '["rose", "lily"]')
    made = plugin_settings("plants", Listed, {}, from_surroundings=True)
    assert made.names == ["rose", "lily"]


async def test_settings_of_a_plugin_are_merged_where_it_is_tested_and_served(
    tmp_path: Path,
) -> None:
    gateway = Gateway(PLANTS, plants={"size": 3})
    async with scene(gateway, plants={"flowers": "lilies"}) as world:
        assert (await world.connect().ask({"look": 1}))["look"] == "3 lilies"
    async with gateway.serving(
        port=0, db=tmp_path / "x.db", plants={"flowers": "tulips"}
    ) as serving:
        client = Scene(serving.running, HandClock(NOON), Mailbox()).connect()
        assert (await client.ask({"look": 1}))["look"] == "3 tulips"


async def test_the_sign_in_at_the_pages_has_the_scopes_of_now(tmp_path: Path) -> None:
    settings = chosen(db=tmp_path / "x.db", port=0)
    async with compose(settings, HandClock(NOON), plugins=[]) as running:
        page, accounts = await owner(Scene(running, HandClock(NOON), Mailbox()))
    async with compose(settings, HandClock(NOON), plugins=[GARDEN]) as running:
        page = Scene(running, HandClock(NOON), Mailbox()).connect(at_pages=True)
        signed_in = await page.authorize(accounts[0]["token"])
        assert "garden:sell" in signed_in["scopes"]


# What another gateway, or another plugin, may have done.


def plugin(name: str, **parts: Any) -> Plugin:
    return Plugin(name=name, **parts)


class Never:
    async def __aenter__(self) -> None:
        raise AssertionError("this is no lifetime of a service")


def never() -> Never:
    return Never()


async def coroutine() -> Tools: ...


async def generator() -> AsyncIterator[Tools]:
    yield Tools(GardenSettings())


@asynccontextmanager
async def broken() -> AsyncIterator[Tools]:
    raise LookupError("no key")
    yield


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"handlers": Garden}, "handlers must be a tuple or a list"),
        ({"handlers": (Garden(),)}, "in handlers is not a class"),
        ({"scopes": ("garden:see",)}, "'garden:see' in scopes is not a Scope"),
        ({"scopes": SEE}, "scopes must be a tuple or a list"),
        ({"services": (coroutine,)}, "coroutine is an async function: write @asynccontextmanager"),
        ({"services": (generator,)}, "generator is an async function"),
        ({"services": (5,)}, "5 is neither a class nor a function"),
        ({"background": (generator,)}, "generator is an async function"),
        ({"background": (never,)}, "never is not a background service"),
        ({"settings": GardenSettings()}, "settings must be a class, a pydantic BaseModel"),
        ({"migrations": "migrations"}, "migrations must be a folder"),
        ({"limits": ("x",)}, "'x' in limits is not a Limit"),
        ({"retention": ("x",)}, "'x' in retention is not a Rule"),
        ({"errors": {"x": 1}}, "errors must map classes of exceptions to functions"),
        ({"checks": (generator,)}, "checks must map names to functions"),
        ({"checks": {"Two words": Tools}}, "'Two words' is not a valid name of a check"),
        ({"checks": {5: Tools}}, "5 is not a valid name of a check"),
        ({"checks": {"beds": 5}}, "the check beds must be a function that is not async, not 5"),
        ({"checks": {"beds": coroutine}}, "the check beds must be a function that is not async"),
        ({"checks": {"beds": generator}}, "the check beds must be a function that is not async"),
    ],
)
def test_a_plugin_of_the_wrong_form_is_refused(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        plugin("garden", **parts)


class MoreAccounts(Accounts):
    """Accounts with a plan."""

    def authorized(self, reader: Snapshot, grant: Grant) -> dict[str, Any]:
        return {"plan": "gold", "loginid": "not this one", "fullname": "Ada"}


def more_accounts() -> Accounts:
    return MoreAccounts()


class WithPlan(TypedDict):
    plan: str
    account_list: list[dict[str, str]]
    country: str
    email: str
    fullname: str
    loginid: str
    preferred_language: str
    scopes: list[str]
    user_id: int


class WithPlanReply(TypedDict):
    authorize: WithPlan


async def test_a_plugin_adds_fields_to_authorize_and_replaces_none() -> None:
    plans = plugin("plans", services=(more_accounts,), replies={"authorize": WithPlanReply})
    async with scene(Gateway(plans)) as world:
        signed_in = await world.connect().authorize(await world.token("read"))
        assert (signed_in["plan"], signed_in["fullname"]) == ("gold", "Ada")
        assert signed_in["loginid"] == world.loginid


@pytest.mark.parametrize(
    ("plugins", "said"),
    [
        ((PLANTS, plugin("trees", settings=GardenSettings)), "the same class of settings"),
        (
            (plugin("one", services=(Tools,)), plugin("two", services=(Tools,))),
            "both provide Tools",
        ),
        ((plugin("shop"), plugin("shop_cart")), "neither may begin with the other"),
        ((plugin("smtp", settings=GardenSettings),), "the gateway has a setting smtp_host"),
        ((plugin("one", services=(Store,)),), "one provides Store, which is the gateway's own"),
        ((plugin("one", services=(MoreAccounts,)),), "annotated to return Accounts"),
    ],
)
def test_plugins_that_would_meet_are_refused(plugins: tuple[Plugin, ...], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        Gateway(*plugins).declared()


async def test_a_service_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    gateway = Gateway(
        plugin("plants", handlers=(Plants,), services=(broken,), settings=GardenSettings)
    )
    with pytest.raises(DeclarationError, match="cannot open broken: LookupError: no key"):
        async with gateway.serving(port=0, db=tmp_path / "x.db"):
            pass


async def test_a_service_that_happens_to_be_a_context_manager_is_not_entered() -> None:
    class Holder:
        """Holds it."""

        def __init__(self, held: Never) -> None:
            self.held = held

        @call("look", needs=None)
        async def look(self, request: Look, session: Session) -> Looked:
            """Look."""
            return {"look": type(self.held).__name__}

    async with scene(Gateway(plugin("holder", handlers=(Holder,), services=(never,)))) as world:
        assert (await world.connect().ask({"look": 1}))["look"] == "Never"


def test_of_two_plugins_with_one_call_the_first_can_be_left_out() -> None:
    class Other:
        """Another garden."""

        @call("look", needs=None)
        async def look(self, request: Look, session: Session) -> Looked:
            """Look elsewhere."""
            return {"look": "weeds"}

    other = plugin("other", handlers=(Other,))
    with pytest.raises(DeclarationError, match='"look" is declared twice'):
        Gateway(GARDEN, other).declared()
    assert Gateway(GARDEN, other, omit="look").declared()["look"].group == "Other"
    assert "look" not in Gateway(GARDEN, omit=["look"]).declared()


def test_a_module_that_imports_everything_offers_its_own_calls_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "everything.py").write_text(
        "from scopegate import *\nfrom tests.program.test_framework import Looked, Look\n"
        "class Mine:\n    @call('look', needs=None)\n"
        "    async def look(self, request: Look, session: Session) -> Looked:\n"
        "        'Look.'\n        return {'look': 'mine'}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = declared(["everything"], plugins=[])
    assert "look" in found
    assert "balance" not in found


def test_a_call_is_not_named_like_a_part_of_every_message() -> None:
    class Error(Request):
        error: One

    class Errors:
        """Errors."""

        @call("error", needs=None)
        async def error(self, request: Error, session: Session) -> Looked:
            """Look."""
            return {"look": ""}

    with pytest.raises(DeclarationError, match="every message may have a field of this name"):
        Gateway(plugin("errors", handlers=(Errors,))).declared()


async def test_what_only_the_exchange_has_is_refused_without_it(tmp_path: Path) -> None:
    for options in ({"seed": "a"}, {"start": "2026-01-01"}, {"speed": 2}):
        with pytest.raises(SettingsError, match="needs the paper exchange"):
            async with Gateway().serving(port=0, db=tmp_path / "x.db", **options):
                pass


async def test_settings_of_a_plugin_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nonsense: no plugin has settings"):
        async with scene(Gateway(PLANTS), nonsense={"size": 1}):
            pass
    with pytest.raises(SettingsError, match="margin_touch: needs the paper exchange"):
        async with Gateway().serving(port=0, db=tmp_path / "x.db", margin_touch=0.3):
            pass


def test_a_risk_that_one_plugin_sees_changes_no_call_of_others() -> None:
    risky = plugin("risky", scopes=(Scope("read", "Read your diary.", risk=Risk.HIGH),))
    offered = Gateway(risky).declared()
    assert next(each for each in offered.scopes if each == "read").risk is Risk.HIGH
    assert offered["app_list"].app_tokens


def test_a_scope_of_the_gateway_may_be_named_without_describing_it() -> None:
    named = plugin("named", scopes=(READ,))
    for gateway in (Gateway(named), Gateway(PAPER_EXCHANGE, named)):
        read = next(each for each in gateway.declared().scopes if each == "read")
        assert not read.allows.endswith(READ.allows) or read is READ


def test_modules_need_no_names_that_stay_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what has a namespace of its own, a `Plugin`, has to have a name of its own."""
    text = (
        "from scopegate import *\nfrom tests.program.test_framework import Looked, Look\n"
        "from pydantic import create_model\n"
        "Ask = create_model('Ask', __base__=Request, {name}=(One, ...))\n"
        "class Mine:\n    @call('{name}', needs=None)\n"
        "    async def ask(self, request: Ask, session: Session) -> Looked:\n"
        "        'Look.'\n        return {{'look': 'mine'}}\n"
    )
    for name in ("weather1", "weather1_extra", "exchange"):
        (tmp_path / f"{name}_calls.py").write_text(text.format(name=f"ask_{name}"))
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = ["weather1_calls", "weather1_extra_calls", "exchange_calls"]
    assert "ask_exchange" in declared(modules, plugins=[PAPER_EXCHANGE])


def test_an_entry_point_that_names_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DeclarationError, match="name a Plugin, a module, or a class with calls"):
        plugins_in(GATEWAY, "garden")


class Downpour(Fault):
    """Calls are answered with the weather."""

    kind = "downpour"

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> Effect[Any]:
        return _Downpour(self, strikes, chosen)


class _Downpour(Effect[Downpour]):
    def asked(self, asked: Asked) -> None:
        if self.strikes():
            asked.error = ApiError("Raining", "It rains.")


class Flood(Fault):
    """Something fails."""

    kind = "flood"

    def begin(self, strikes: Callable[[], bool], chosen: random.Random) -> Effect[Any]:
        return _Flood(self, strikes, chosen)


class _Flood(Effect[Flood]):
    def asked(self, asked: Asked) -> None:
        raise LookupError("no gutter")

    def sent(self, sent: Sent) -> None:
        raise LookupError("no gutter")


class GardenFaults(FaultKinds):
    kinds = (*FaultKinds.kinds, Downpour, Flood)


def garden_faults() -> FaultKinds:
    return GardenFaults()


async def test_a_plugin_adds_kinds_of_faults() -> None:
    rainy = Plugin(
        name="rainy", handlers=(Garden,), scopes=(SEE, DIG, SELL), services=(garden_faults,)
    )
    async with scene(Gateway(rainy)) as world:
        client = world.connect()
        await client.authorize(await world.token("admin"))
        kinds = (await client.ask({"fault_kinds": 1}))["fault_kinds"]
        assert {"downpour", "latency"} <= {kind["name"] for kind in kinds}
        assert "spike" not in {kind["name"] for kind in kinds}
        begun = await client.ask({"fault_start": "downpour", "options": {"times": 1}})
        assert begun["fault_start"]["number"] == 1
        client.send_text(b'{"ping": 1}')
        assert (await client.next())["error"]["code"] == "Raining"
        assert (await client.ask({"ping": 1}))["ping"] == "pong"
        with structlog.testing.capture_logs() as lines:
            await client.ask({"fault_start": "flood"})
            assert (await client.ask({"ping": 1}))["ping"] == "pong"
        assert [(line["event"], line["kind"]) for line in lines] == [
            ("a fault failed", "flood")
        ] * 2
