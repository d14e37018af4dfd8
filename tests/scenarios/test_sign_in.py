"""Signing in at the gateway's own pages: who can, what it is good for, and how it ends."""

import time
from typing import Any

import orjson
import pytest
from argon2 import PasswordHasher
from websockets.asyncio.client import connect
from websockets.typing import Origin

from scopegate import testing
from scopegate.exchange.ledger import Ledger
from scopegate.gateway.access import passwords, users
from scopegate.gateway.calls.errors import ENDED_BY_OPERATOR
from scopegate.listening import listen
from scopegate.store.errors import StoreError
from scopegate.testing import Client, MemoryClient, World
from tests.served import SocketClient

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"


def wrong(number: int) -> dict:
    return {"sign_in": 1, "email": EMAIL, "password": f"wrong {number}"}


RIGHT = {"sign_in": 1, "email": EMAIL, "password": PASSWORD}


@pytest.fixture
async def ada(world: World) -> World:
    await world.user(EMAIL, password=PASSWORD)
    return world


async def signed_in(world: World) -> tuple[MemoryClient, list[str]]:
    """A page at which Ada has signed in, and the tokens of that sign-in."""
    page = world.connect(at_pages=True)
    body = (await page.ask(RIGHT))["sign_in"]
    held = [account["token"] for account in body["accounts"]]
    assert "error" not in await page.ask({"authorize": "MULTI", "tokens": held})
    return page, held


async def test_a_password_signs_in_to_all_accounts_with_every_scope(ada: World) -> None:
    page = ada.connect(at_pages=True)
    reply = await page.ask({**RIGHT, "email": " Ada@Example.com "})
    body = reply["sign_in"]
    assert reply["echo_req"]["password"] == "<not shown>"
    assert body["email"] == EMAIL
    assert [account["is_virtual"] for account in body["accounts"]] == [1, 0]
    assert abs(body["expires_at"] - time.time() - 12 * 3600) < 60
    held = [account["token"] for account in body["accounts"]]
    authorized = (await page.ask({"authorize": "MULTI", "tokens": held}))["authorize"]
    assert authorized["scopes"] == ["read", "trade", "payments", "admin", "trading_information"]
    for account in body["accounts"]:
        balance = await page.ask({"balance": 1, "loginid": account["loginid"]})
        assert balance["balance"]["loginid"] == account["loginid"]
    (latest, *_) = (await page.ask({"login_history": 1}))["login_history"]
    assert latest["action"] == "login"
    assert latest["status"] == 1


async def test_its_tokens_open_nothing_but_the_gateways_own_pages(ada: World) -> None:
    _, held = await signed_in(ada)
    for client in (
        ada.connect(),
        ada.connect(origin="http://evil.test"),
        ada.connect(origin="null"),
    ):
        for token in held:
            error = (await client.ask({"authorize": token}))["error"]
            assert error["code"] == "InvalidToken"
            assert "pages" in error["details"]["sign_in"]


async def test_they_are_not_among_the_owners_tokens(ada: World) -> None:
    page, _ = await signed_in(ada)
    assert (await page.ask({"api_token": 1}))["api_token"]["tokens"] == []
    assert (await page.ask({"token_list": 1}))["token_list"] == []


async def test_signing_out_ends_it_on_every_page_that_it_is_used_on(ada: World) -> None:
    page, held = await signed_in(ada)
    second = ada.connect(at_pages=True)
    await second.ask({"authorize": "MULTI", "tokens": held})
    await second.ask({"balance": 1, "subscribe": 1})
    elsewhere, _ = await signed_in(ada)
    assert (await page.ask({"sign_out": 1}))["sign_out"] == 1
    assert (await second.next())["error"]["code"] == "InvalidToken"
    assert await page.refused({"balance": 1}) == "AuthorizationRequired"
    assert await second.refused({"authorize": held[0]}) == "InvalidToken"
    assert "error" not in await elsewhere.ask({"balance": 1})  # another sign-in is another's


async def test_a_sign_in_ends_by_itself(ada: World, monkeypatch: pytest.MonkeyPatch) -> None:
    page, held = await signed_in(ada)
    later = time.time() + 12 * 3600 + 1
    monkeypatch.setattr(time, "time", lambda: later)
    fresh = ada.connect(at_pages=True)
    assert await fresh.refused({"authorize": held[0]}) == "InvalidToken"
    # What writes reads it again; live connections are told within a second.
    assert await page.refused({"account_reset": 1}) == "AuthorizationRequired"
    stream = await page.ask({"balance": 1, "subscribe": 1})
    assert stream["subscription"]
    assert (await page.next())["error"]["code"] == "InvalidToken"
    assert await page.refused({"balance": 1}) == "AuthorizationRequired"


async def test_a_password_that_was_changed_while_it_was_checked_is_the_old_one(
    ada: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ada.connect(at_pages=True)
    check = passwords.Attempt.is_right
    kept = passwords.hash_password("another one")

    async def slowly(*arguments: Any) -> bool:
        right = await check(*arguments)
        await ada.gateway.store.write(lambda job: users.set_password(job, EMAIL, kept))
        return right

    monkeypatch.setattr(passwords.Attempt, "is_right", slowly)
    assert await page.refused(RIGHT) == "InvalidCredentials"


async def test_a_user_has_so_many_sign_ins_at_once(world: World) -> None:
    pages = [await world.owner() for _ in range(22)]
    for ended in pages[:2]:
        assert await ended.refused({"balance": 1}) == "AuthorizationRequired"
    for holds in (pages[2], pages[-1]):
        assert "error" not in await holds.ask({"balance": 1})


@pytest.mark.parametrize("email", ["Ärin@example.com", "ADA@Example.COM"])
async def test_an_address_is_one_in_whatever_letters(world: World, email: str) -> None:
    await world.user(email, password=PASSWORD)
    with pytest.raises(StoreError, match="already"):
        await world.user(email.lower())
    for written in (email, email.lower(), email.upper(), f" {email} "):
        page = world.connect(at_pages=True)
        request = {"sign_in": 1, "email": written, "password": PASSWORD}
        assert "error" not in await page.ask(request)


async def test_many_at_once_are_told_to_come_again_and_lose_no_attempt(ada: World) -> None:
    most = passwords.AT_A_TIME + passwords.MAX_WAITING
    pages = [ada.connect(at_pages=True, address=f"203.0.113.{n}") for n in range(most + 5)]
    for number, page in enumerate(pages):
        request = {"sign_in": 1, "email": f"{number}@example.com", "password": "x"}
        page.send_text(orjson.dumps(request))
    replies = [(await page.next())["error"] for page in pages]
    assert [reply["code"] for reply in replies].count("InvalidCredentials") == most
    assert "Try again in a few seconds." in replies[-1]["message"]


async def test_another_password_ends_every_sign_in(ada: World) -> None:
    page, _ = await signed_in(ada)
    kept = passwords.hash_password("another one")
    await ada.gateway.store.write(lambda job: users.set_password(job, EMAIL, kept))
    assert await page.refused({"balance": 1}) == "AuthorizationRequired"
    assert await page.refused(RIGHT) == "InvalidCredentials"


@pytest.mark.parametrize(
    "request_",
    [
        wrong(0),
        {**RIGHT, "email": "nobody@example.com"},
        {**RIGHT, "email": "demo@scopegate.invalid"},  # has no password
        {**RIGHT, "password": PASSWORD + " "},
        {**RIGHT, "password": PASSWORD.upper()},
    ],
)
async def test_what_is_wrong_is_told_in_one_way(ada: World, request_: dict) -> None:
    page = ada.connect(at_pages=True)
    assert (await page.ask(request_))["error"] == {
        "code": "InvalidCredentials",
        "message": "The e-mail address or the password is wrong.",
    }


async def test_what_is_wrong_costs_one_hash_whoever_it_names(
    ada: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the time of a refusal would say whether the address is known."""
    hashed: list[str] = []

    class Counting(PasswordHasher):
        def hash(self, *given: Any, **more: Any) -> str:
            hashed.append("hash")
            return super().hash(*given, **more)

        def verify(self, *given: Any) -> Any:
            hashed.append("verify")
            return super().verify(*given)

    weak = Counting(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", lambda: weak)
    await ada.user("bob@example.com", password=PASSWORD)
    await ada.gateway.store.write(lambda job: users.disable(job, "bob@example.com"))
    for email in (EMAIL, "nobody@example.com", "demo@scopegate.invalid", "bob@example.com"):
        hashed.clear()
        page = ada.connect(at_pages=True, address="203.0.113.7")
        request = {"sign_in": 1, "email": email, "password": "wrong"}
        assert await page.refused(request) == "InvalidCredentials"
        assert len(hashed) == 1, email


async def test_a_locked_out_user_is_told_no_more_than_anybody(ada: World) -> None:
    page, _ = await signed_in(ada)
    await ada.gateway.store.write(lambda job: users.disable(job, EMAIL))
    assert (await page.ended())[0] == ENDED_BY_OPERATOR
    assert await ada.connect(at_pages=True).refused(RIGHT) == "InvalidCredentials"


async def test_an_address_that_tries_many_passwords_waits(ada: World) -> None:
    page = ada.connect(at_pages=True, address="203.0.113.9")
    for number in range(passwords.FROM_AN_ADDRESS):
        assert await page.refused(wrong(number)) == "InvalidCredentials"
    error = (await page.ask(RIGHT))["error"]
    assert error["code"] == "RateLimit"
    assert "Wait a minute" in error["message"]
    # Another account from there fares no better, the owner elsewhere is not kept out.
    assert await page.refused({**RIGHT, "email": "eve@example.com"}) == "RateLimit"
    await signed_in(ada)


async def test_an_account_that_many_try_waits(ada: World) -> None:
    for number in range(passwords.AT_AN_ACCOUNT):
        page = ada.connect(at_pages=True, address=f"203.0.113.{number}")
        assert await page.refused(wrong(number)) == "InvalidCredentials"
    page = ada.connect(at_pages=True, address="203.0.113.200")
    assert await page.refused(wrong(0)) == "RateLimit"


async def test_who_signed_in_from_there_before_is_kept_out_by_nobody_elsewhere(ada: World) -> None:
    """An app that is told its user's address could try passwords from many networks, for ever."""
    await ada.connect(at_pages=True, address="2001:db8:1:2::1").ask(RIGHT)
    # Where an app has signed in with its token, the owner has not.
    app = await ada.app("read")
    bot = ada.connect(app_id=app.id, address="203.0.113.200")
    own = await ada.gateway.store.read(lambda reader: users.by_email(reader, EMAIL)["id"])
    [account, *_] = await ada.gateway.service(Ledger).accounts(own)
    await bot.authorize(await ada.token("read", loginid=account.loginid, app=app))
    await ada.gateway.access.records.flush()
    for number in range(passwords.AT_AN_ACCOUNT):
        page = ada.connect(at_pages=True, address=f"203.0.113.{number}")
        assert await page.refused(wrong(number)) == "InvalidCredentials"
    home = ada.connect(at_pages=True, address="2001:db8:1:2::9")
    assert "error" not in await home.ask(RIGHT)
    assert await ada.connect(at_pages=True, address="203.0.113.200").refused(RIGHT) == "RateLimit"
    # From there as many passwords are tried as from any address.
    for number in range(passwords.FROM_AN_ADDRESS):
        assert await home.refused(wrong(number)) == "InvalidCredentials"
    assert await home.refused(RIGHT) == "RateLimit"


async def test_attempts_at_once_are_no_way_around(ada: World) -> None:
    pages = [ada.connect(at_pages=True) for _ in range(12)]
    for number, page in enumerate(pages):
        page.send_text(f'{{"sign_in":1,"email":"{EMAIL}","password":"{number}"}}'.encode())
    replies = [(await page.next())["error"]["code"] for page in pages]
    assert replies.count("InvalidCredentials") == passwords.FROM_AN_ADDRESS
    assert replies.count("RateLimit") == 12 - passwords.FROM_AN_ADDRESS


async def test_who_signs_in_rightly_is_never_slowed(ada: World) -> None:
    for _ in range(passwords.FROM_AN_ADDRESS + 2):
        await signed_in(ada)


async def test_an_address_of_ipv6_is_its_network(ada: World) -> None:
    for number in range(passwords.FROM_AN_ADDRESS):
        page = ada.connect(at_pages=True, address=f"2001:db8:1:2::{number}")
        assert await page.refused(wrong(number)) == "InvalidCredentials"
    assert await ada.connect(at_pages=True, address="2001:db8:1:2::f").refused(RIGHT) == "RateLimit"
    neighbour = ada.connect(at_pages=True, address="2001:db8:1:3::1")
    assert "error" not in await neighbour.ask(RIGHT)


async def test_wrong_attempts_stand_in_the_owners_login_history(ada: World) -> None:
    await ada.connect(at_pages=True).refused(wrong(1))
    page, _ = await signed_in(ada)
    history = (await page.ask({"login_history": 1}))["login_history"]
    assert sorted(record["status"] for record in history) == [0, 1]


async def test_the_demo_user_signs_in_without_a_password(world: World) -> None:
    page = world.connect(at_pages=True)
    info = (await page.ask({"page_info": 1}))["page_info"]
    assert info["demo"]["loginid"] == world.demo.loginid
    client = world.connect()
    assert (await client.authorize(info["demo"]["token"]))["loginid"] == world.demo.loginid
    assert [words["scope"] for words in info["scopes"]] == (
        ["read", "trade", "payments", "admin", "trading_information"]
    )
    body = (await page.ask({"sign_in_demo": 1}))["sign_in_demo"]
    assert [account["loginid"] for account in body["accounts"]] == (
        [world.demo.loginid, *(account.loginid for account in world.real)]
    )


async def test_nobody_is_let_in_as_the_demo_user_from_elsewhere() -> None:
    """Behind a proxy the gateway is on loopback, and everybody's page is its own."""

    async def is_nobody(page: MemoryClient) -> bool:
        told = (await page.ask({"page_info": 1}))["page_info"]["demo"]
        return told is None and await page.refused({"sign_in_demo": 1}) == "PermissionDenied"

    async with testing.world() as world:
        assert await is_nobody(world.connect(at_pages=True, address="203.0.113.9"))
        assert await is_nobody(world.connect(at_pages=True, proxied=True))
        named = {"origin": "https://trade.example.com", "host": "trade.example.com"}
        assert await is_nobody(world.connect(**named))
    for settings in (
        {"trusted_proxy": ("127.0.0.1/32",)},
        {"host": "0.0.0.0", "limits": "open"},  # noqa: S104 - not bound
    ):
        async with testing.world(**settings) as world:
            assert await is_nobody(world.connect(at_pages=True)), settings
    async with testing.world(allowed_host=("trade.example.com",)) as world:  # with `demo`
        page = world.connect(at_pages=True)
        assert "error" not in await page.ask({"sign_in_demo": 1})


@pytest.mark.parametrize(
    "header",
    [
        *("X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port"),
        *("Forwarded", "Via", "X-Real-IP", "CF-Connecting-IP", ""),
    ],
)
async def test_whatever_a_proxy_says_of_itself_makes_it_one(world: World, header: str) -> None:
    async with listen(world.gateway) as port:
        url = f"ws://127.0.0.1:{port}/websockets/v3?app_id=1089"
        said = {header: "https"} if header else {}
        async with connect(
            url, origin=Origin(f"http://127.0.0.1:{port}"), additional_headers=said
        ) as socket:
            page = SocketClient(world.gateway.registry, socket)
            reply = await page.ask({"sign_in_demo": 1})
            assert ("error" in reply) == bool(header)
            await page.aclose()


async def test_an_owner_oversees_tokens_and_what_was_done_with_them(world: World) -> None:
    owner = await world.owner()
    made = await owner.ask(
        {
            "api_token": 1,
            "new_token": "Bot",
            "new_token_scopes": ["read"],
            "loginid": world.real[0].loginid,
        }
    )
    (token,) = [one["token"] for one in made["api_token"]["tokens"]]
    bots: list[Client] = [world.connect(address="192.0.2.7") for _ in range(2)]
    for bot in bots:
        await bot.authorize(token)
        await bot.ask({"balance": 1})
    shown = [
        one for one in (await owner.ask({"token_list": 1}))["token_list"] if one["name"] == "Bot"
    ]
    assert len(shown) == 1
    assert shown[0]["token"] == "*" * 24 + token[-4:]
    assert shown[0]["loginid"] == world.real[0].loginid
    assert shown[0]["live_connections"] == 2
    assert shown[0]["last_used_from"] == "192.0.2.7"
    assert abs(shown[0]["last_used"] - time.time()) < 60

    uses = (await owner.ask({"activity": 1}))["activity"]
    mine = [use for use in uses if use["name"] == "Bot"]
    assert {(use["call"], use["times"], use["from"], use["kind"]) for use in mine} == {
        ("authorize", 2, "192.0.2.7", "token"),
        ("balance", 2, "192.0.2.7", "token"),
    }
    assert not any(use["kind"] == "page" for use in uses)
    everything = (await owner.ask({"activity": 1, "own_pages": 1, "limit": 500}))["activity"]
    assert {use["call"] for use in everything if use["kind"] == "page"} >= {"token_list"}


async def test_activity_has_the_outcome_of_the_calls(world: World) -> None:
    """Errors are counted, with the code of the latest; also where the token lacks the scope."""
    owner = await world.owner()
    bot = world.connect(address="192.0.2.7")
    await bot.authorize(await world.token("read", "trade"))
    await bot.ask({"balance": 1})
    for request in ({"sell": 1, "price": 0}, {"sell": 1}, {"buy": "1", "price": 1}):
        assert "error" in await bot.ask(request)
    assert (await bot.ask({"topup_virtual": 1}))["error"]["code"] == "TopupVirtualError"
    assert (await bot.ask({"api_token": 1}))["error"]["code"] == "PermissionDenied"
    uses = (await owner.ask({"activity": 1}))["activity"]
    found = {use["call"]: (use["times"], use["refused"], use["last_error"]) for use in uses}
    assert found["balance"] == (1, 0, None)
    assert found["sell"] == (2, 2, "InputValidationFailed")
    assert found["buy"] == (1, 1, "InputValidationFailed")
    assert found["topup_virtual"] == (1, 1, "TopupVirtualError")
    assert found["api_token"] == (1, 1, "PermissionDenied")

    await bot.ask({"sell": 1, "price": 0})
    await bot.ask({"balance": 1})
    uses = (await owner.ask({"activity": 1}))["activity"]
    found = {use["call"]: (use["times"], use["refused"], use["last_error"]) for use in uses}
    assert found["sell"] == (3, 3, "ContractNotFound")
    assert found["balance"] == (2, 0, None)


async def test_activity_counts_a_call_for_several_accounts_once_for_each_token(
    world: World,
) -> None:
    """Also for the connection's own token, and with the outcome for that account."""
    owner = await world.owner()
    token, reader = await world.token("trade"), await world.token("read")
    bot = world.connect()
    await bot.authorize(token)
    reply = await bot.ask(
        {
            "sell_contract_for_multiple_accounts": 1,
            "shortcode": "CALL_R_100_19.54_1700000000_1700000300_S0P_0",
            "price": 0,
            "tokens": [token, reader],
        }
    )
    assert "error" not in reply
    uses = (await owner.ask({"activity": 1}))["activity"]
    found = [
        (use["times"], use["refused"], use["last_error"])
        for use in uses
        if use["call"] == "sell_contract_for_multiple_accounts"
    ]
    assert sorted(found) == [(1, 1, "NoOpenPosition"), (1, 1, "PermissionDenied")]


async def test_a_page_learns_which_users_there_are(world: World) -> None:
    page = world.connect(at_pages=True)
    assert (await page.ask({"page_info": 1}))["page_info"]["users"] == "demo"
    await world.user("ada@example.com")
    assert (await page.ask({"page_info": 1}))["page_info"]["users"] == "others"


async def test_an_account_is_reset_whatever_it_holds(world: World) -> None:
    owner = await world.owner()
    for change in (250, -99_000):
        await world.credit(change)
        body = (await owner.ask({"account_reset": 1}))["account_reset"]
        assert body == {"balance": 10_000.0, "currency": "USD", "loginid": world.demo.loginid}
    other = (await owner.ask({"account_reset": 1, "loginid": world.real[1].loginid}))[
        "account_reset"
    ]
    assert other["loginid"] == world.real[1].loginid
