"""An owner's tokens: made, shown once, bounded, used, deleted."""

import re
import time

from scopegate.gateway.access import token_uses, tokens
from scopegate.gateway.calls import token_form
from scopegate.testing import Client, World
from tests.conftest import Connected


async def owner(world: World, *scopes: str) -> Client:
    client = world.connect()
    await client.authorize(await world.token(*scopes))
    return client


def named(reply: dict, name: str) -> dict:
    (found,) = [t for t in reply["api_token"]["tokens"] if t["display_name"] == name]
    return found


async def test_a_new_token_is_shown_whole_once(connected: Connected) -> None:
    client = await connected.connect()
    await client.authorize(await connected.world.token("admin", "read"))
    made = await client.ask({"api_token": 1, "new_token": "Bot", "new_token_scopes": ["read"]})
    assert made["api_token"]["new_token"] == 1
    whole = named(made, "Bot")["token"]
    assert re.fullmatch(r"[A-Za-z0-9]{15,32}", whole)
    others = [t["token"] for t in made["api_token"]["tokens"] if t["display_name"] != "Bot"]
    assert others
    assert all("*" in shown for shown in others)

    listed = named(await client.ask({"api_token": 1}), "Bot")
    assert listed["token"] == token_form.masked(whole)
    assert listed["scopes"] == ["read"]
    assert listed["valid_for_ip"] == ""
    assert listed["last_used"] == ""

    bot = await connected.connect()
    assert (await bot.authorize(whole))["scopes"] == ["read"]
    await bot.ask({"balance": 1})
    assert named(await client.ask({"api_token": 1}), "Bot")["last_used"] != ""


async def test_either_form_deletes_a_token(world: World) -> None:
    client = await owner(world, "admin", "read")
    for form in (str, token_form.masked):
        made = await client.ask({"api_token": 1, "new_token": "Bot", "new_token_scopes": ["read"]})
        whole = named(made, "Bot")["token"]
        reply = await client.ask({"api_token": 1, "delete_token": form(whole)})
        assert reply["api_token"]["delete_token"] == 1
        assert reply["echo_req"]["delete_token"] == "<not shown>"
        assert "Bot" not in [t["display_name"] for t in reply["api_token"]["tokens"]]
        assert await world.connect().refused({"authorize": whole}) == "InvalidToken"
    assert await client.refused({"api_token": 1, "delete_token": "abc"}) == "APITokenError"


async def test_a_token_cannot_make_one_that_may_do_more(world: World) -> None:
    client = await owner(world, "admin", "read")
    request = {"api_token": 1, "new_token": "More", "new_token_scopes": ["read", "payments"]}
    reply = await client.ask(request)
    assert reply["error"]["code"] == "PermissionDenied"
    assert "payments" in reply["error"]["message"]
    assert "More" not in str(await client.ask({"api_token": 1}))


async def test_names_are_distinct_and_numbers_bounded(world: World) -> None:
    client = await owner(world, "admin")
    request = {"api_token": 1, "new_token": "One", "new_token_scopes": ["admin"]}
    await client.ask(request)
    assert await client.refused(request) == "APITokenError"
    made = len((await client.ask({"api_token": 1}))["api_token"]["tokens"])
    # The demo token of this start is among them.
    for number in range(100 - made):
        assert "error" not in await client.ask({**request, "new_token": f"Token {number}"})
    assert await client.refused({**request, "new_token": "Beyond"}) == "TooManyTokens"


async def test_a_token_bound_to_an_address_works_from_there_alone(world: World) -> None:
    client = world.connect(address="10.1.1.1")
    await client.authorize(await world.token("admin", "read"))
    made = await client.ask(
        {
            "api_token": 1,
            "new_token": "Bound",
            "new_token_scopes": ["read"],
            "valid_for_current_ip_only": 1,
        }
    )
    bound = named(made, "Bound")
    assert bound["valid_for_ip"] == "10.1.1.1"
    await world.connect(address="10.1.1.1").authorize(bound["token"])
    assert await world.connect(address="10.1.1.2").refused({"authorize": bound["token"]}) == (
        "InvalidToken"
    )


async def test_secrets_are_never_echoed(world: World) -> None:
    client = world.connect()
    token = await world.token("read")
    typo = token[:-1] + ("a" if token[-1] != "a" else "b")
    reply = await client.ask({"authorize": token, "passthrough": {"mine": f"is {token}!"}})
    assert token not in str(reply)
    assert reply["echo_req"]["authorize"] == "<not shown>"
    assert reply["passthrough"] == {"mine": "is <not shown>!"}
    reply = await client.ask({"authorize": "MULTI", "tokens": [token, typo]})
    assert typo not in str(reply)
    assert reply["echo_req"]["tokens"] == "<not shown>"
    # Wherever a token turns up, as a key and in an error's text too.
    reply = await client.ask({"ping": 1, token: [token], "passthrough": {"k": [{"t": token}]}})
    assert reply["error"]["code"] == "InputValidationFailed"
    assert token not in str(reply)
    reply = await client.ask({"ticks": token})
    assert token not in str(reply)
    reply = await client.ask({"secret_answer": "the cat", "get_settings": 1})
    assert "the cat" not in str(reply)


async def test_several_accounts_on_one_connection(connected: Connected) -> None:
    world = connected.world
    client = await connected.connect()
    demo, (first, second) = world.demo, world.real
    tokens = [
        await world.token("read", loginid=demo.loginid),
        await world.token("trade", loginid=first.loginid),
        await world.token("read", loginid=second.loginid),
    ]
    reply = await client.ask({"authorize": "MULTI", "tokens": tokens})
    assert reply["authorize"]["loginid"] == demo.loginid
    await world.credit(500, second.loginid)
    assert (await client.ask({"balance": 1}))["balance"]["loginid"] == demo.loginid
    reply = await client.ask({"balance": 1, "loginid": second.loginid})
    assert reply["balance"]["balance"] == 10005.0
    reply = await client.ask({"balance": 1, "loginid": first.loginid})
    assert reply["error"]["code"] == "PermissionDenied"
    reply = await client.ask({"balance": 1, "loginid": "CR123"})
    assert reply["error"]["code"] == "InputValidationFailed"
    assert list(reply["error"]["details"]) == ["loginid"]
    # Signing in again replaces all of it.
    await client.authorize(tokens[2])
    assert (await client.ask({"balance": 1}))["balance"]["loginid"] == second.loginid


async def test_tokens_of_two_users_do_not_go_together(world: World) -> None:
    stranger = (await world.user("ada@example.com"))[0]
    tokens = [await world.token("read"), await world.token("read", loginid=stranger.loginid)]
    client = world.connect()
    assert await client.refused({"authorize": "MULTI", "tokens": tokens}) == "InvalidToken"
    assert await client.refused({"balance": 1}) == "AuthorizationRequired"
    assert await client.refused({"authorize": "MULTI"}) == "InputValidationFailed"


async def test_wrong_tokens_are_slowed_and_right_ones_pass(world: World) -> None:
    client = world.connect(address="10.9.9.9")
    codes = [await client.refused({"authorize": f"wrong{number}"}) for number in range(7)]
    assert codes == ["InvalidToken"] * 5 + ["RateLimit"] * 2
    await client.authorize(await world.token("read"))
    other = world.connect(address="10.9.9.8")
    assert await other.refused({"authorize": "wrong"}) == "InvalidToken"


async def test_logout_ends_the_grant_and_its_streams(connected: Connected) -> None:
    client = await connected.connect()
    assert (await client.ask({"logout": 1}))["logout"] == 1
    await client.authorize(await connected.world.token("read"))
    await client.ask({"balance": 1, "subscribe": 1})
    ticks = await client.ask({"ticks": "1HZ100V", "subscribe": 1})
    assert (await client.ask({"logout": 1}))["logout"] == 1
    assert await client.refused({"balance": 1}) == "AuthorizationRequired"
    await connected.world.credit(100)
    connected.world.clock.advance(1)
    told = await client.next()
    assert told["subscription"] == ticks["subscription"]
    await client.ask({"ping": 1})
    assert client.received == []


async def test_sign_ins_are_remembered_where_asked_for(world: World) -> None:
    client = world.connect(address="10.0.0.7", language="ID")
    await client.ask({"authorize": await world.token("read"), "add_to_login_history": 1})
    await client.ask({"authorize": await world.token("read")})
    (record,) = (await client.ask({"login_history": 1}))["login_history"]
    assert record["action"] == "login"
    assert record["ip"] == "10.0.0.7"
    assert record["language"] == "ID"
    assert record["status"] == 1
    assert (await client.ask({"login_history": 1, "limit": 0}))["login_history"] == []


async def test_every_use_of_a_token_is_counted_by_call_and_address(world: World) -> None:
    client = world.connect(address="10.0.0.7")
    await client.authorize(await world.token("read"))
    for _ in range(3):
        await client.ask({"balance": 1})
    await client.refused({"topup_virtual": 1})
    await world.gateway.access.records.flush()

    def read(reader: tokens.Transaction) -> list[tuple[str, str, int]]:
        listed = tokens.listed(reader, world.demo.loginid)
        rows = token_uses.listed(reader, listed[-1].id)
        return sorted((row["call"], row["address"], row["uses"]) for row in rows)

    assert await world.gateway.store.read(read) == [
        ("authorize", "10.0.0.7", 1),
        ("balance", "10.0.0.7", 3),
        ("topup_virtual", "10.0.0.7", 1),  # refused, because the token lacks the scope
    ]


async def test_two_tokens_of_one_account_do_not_go_together(world: World) -> None:
    client = world.connect()
    tokens = [await world.token("read"), await world.token("admin")]
    reply = await client.ask({"authorize": "MULTI", "tokens": tokens})
    assert reply["error"]["details"] == {"tokens": "Two of these tokens are for the same account."}
    client.leave()
    assert world.gateway.access._live == {}


async def test_what_a_bound_token_makes_is_bound_as_well(world: World) -> None:
    client = world.connect(address="10.1.1.1")
    await client.authorize(await world.token("admin", "read"))
    request = {"api_token": 1, "new_token_scopes": ["admin", "read"]}
    made = await client.ask({**request, "new_token": "Bound", "valid_for_current_ip_only": 1})
    await client.authorize(named(made, "Bound")["token"])
    free = named(await client.ask({**request, "new_token": "Free"}), "Free")
    assert free["valid_for_ip"] == "10.1.1.1"
    assert await world.connect(address="8.8.8.8").refused({"authorize": free["token"]}) == (
        "InvalidToken"
    )


async def test_making_and_deleting_in_one_request_is_all_or_nothing(world: World) -> None:
    client = await owner(world, "admin", "read")
    request = {"api_token": 1, "new_token": "Ghost", "new_token_scopes": ["read"]}
    assert await client.refused({**request, "delete_token": "nope"}) == "APITokenError"
    assert "Ghost" not in str(await client.ask({"api_token": 1}))
    made = await client.ask(request)
    mask = token_form.masked(named(made, "Ghost")["token"])
    reply = await client.ask({**request, "new_token": "Heir", "delete_token": mask})
    assert reply["api_token"]["new_token"] == reply["api_token"]["delete_token"] == 1
    names = [t["display_name"] for t in reply["api_token"]["tokens"]]
    assert "Heir" in names
    assert "Ghost" not in names


async def test_passthrough_keeps_its_own_names(world: World) -> None:
    passthrough = {"authorize": "step 1", "tokens": 3}
    reply = await world.connect().ask({"authorize": "wrong", "passthrough": passthrough})
    assert reply["passthrough"] == passthrough
    assert reply["echo_req"]["authorize"] == "<not shown>"


# Tokens that are made with tokens.


async def minted(client: Client, name: str, *scopes: str) -> str:
    """The text of a token that the client makes with the one it is signed in with."""
    asked = {"api_token": 1, "new_token": name, "new_token_scopes": list(scopes)}
    text: str = named(await client.ask(asked), name)["token"]
    return text


async def listed(owner: Client) -> dict[str, dict]:
    """The owner's tokens by name, as the pages list them."""
    return {one["name"]: one for one in (await owner.ask({"token_list": 1}))["token_list"]}


async def test_children_of_a_token_end_with_it(connected: Connected) -> None:
    world = connected.world
    root = await world.token("admin", "read")
    program = await connected.connect()
    await program.authorize(root)
    child = await minted(program, "Child", "admin", "read")
    other = await connected.connect()
    await other.authorize(child)
    grandchild = await minted(other, "Grandchild", "read")
    reader = await connected.connect()
    await reader.authorize(grandchild)
    for client in (program, other, reader):
        await client.ask({"balance": 1, "subscribe": 1})

    owner = await world.owner()
    shown = await listed(owner)
    assert shown["Grandchild"]["parent"] == {
        "loginid": world.demo.loginid,
        "name": "Child",
        "token": shown["Child"]["token"],
    }
    assert shown["Child"]["parent"]["token"] == token_form.masked(root)
    # The published list has no room for it.
    assert "parent" not in named(await program.ask({"api_token": 1}), "Child")

    mask = token_form.masked(root)
    assert "error" not in await owner.ask({"api_token": 1, "delete_token": mask})
    # From that reply on nothing of the family holds.
    for client, text in ((program, root), (other, child), (reader, grandchild)):
        assert (await client.next())["error"]["code"] == "InvalidToken"
        assert await client.refused({"balance": 1}) == "AuthorizationRequired"
        assert await client.refused({"authorize": text}) == "InvalidToken"
    assert {"Child", "Grandchild"}.isdisjoint(await listed(owner))


async def test_deleting_a_child_leaves_its_parent_and_its_sibling(world: World) -> None:
    client = await owner(world, "admin", "read")
    first, second = await minted(client, "First", "read"), await minted(client, "Second", "read")
    await client.ask({"api_token": 1, "delete_token": token_form.masked(first)})
    assert await world.connect().refused({"authorize": first}) == "InvalidToken"
    await world.connect().authorize(second)
    assert "error" not in await client.ask({"balance": 1})


async def test_a_sign_in_is_no_parent(world: World) -> None:
    page = await world.owner()
    text = await minted(page, "From the page", "read", "admin")
    assert (await listed(page))["From the page"]["parent"] is None
    await page.ask({"sign_out": 1})
    client = world.connect()
    await client.authorize(text)
    assert "error" not in await client.ask({"balance": 1})
    # A demo user signs in anew, and the token is still there.
    assert "From the page" in await listed(await world.owner())


async def test_an_account_opened_with_a_token_has_a_child_of_it(world: World) -> None:
    root = await world.token("admin", "read")
    client = world.connect()
    await client.authorize(root)
    opened = (await client.ask({"new_account_real": 1, "currency": "USD"}))["new_account_real"]
    bot = world.connect()
    await bot.authorize(opened["oauth_token"])
    page = await world.owner()
    [shown] = [
        one
        for one in (await page.ask({"token_list": 1}))["token_list"]
        if one["loginid"] == opened["client_id"]
    ]
    assert shown["parent"]["token"] == token_form.masked(root)
    assert shown["parent"]["loginid"] == world.demo.loginid
    await page.ask({"api_token": 1, "delete_token": token_form.masked(root)})
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"


async def test_a_child_ends_when_the_time_of_its_parent_is_up(world: World) -> None:
    def set_end(transaction: tokens.Transaction) -> None:
        transaction.execute(
            "UPDATE tokens SET expires_at = ? WHERE id = ?", ends_at, grant.token_id
        )

    client = world.connect()
    root = await world.token("admin", "read")
    await client.authorize(root)
    grant = client._connection.session.grants[world.demo.loginid]
    ends_at = time.time() + 3600
    await world.gateway.store.write(set_end)
    child = await minted(client, "Child", "read")
    bot = world.connect()
    await bot.authorize(child)
    ends_at = time.time() - 1
    await world.gateway.store.write(set_end)
    await world.gateway.store.write(tokens.end_expired)
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
    assert await bot.refused({"authorize": child}) == "InvalidToken"


async def test_a_child_keeps_to_the_time_of_its_parent(world: World) -> None:
    """Nobody has noticed yet that the parent's time is up: the child is over all the same."""
    client = world.connect()
    await client.authorize(await world.token("admin", "read"))
    grant = client._connection.session.grants[world.demo.loginid]
    await world.gateway.store.write(
        lambda transaction: transaction.execute(
            "UPDATE tokens SET expires_at = ? WHERE id = ?", time.time() + 3600, grant.token_id
        )
    )
    child = await minted(client, "Child", "read")
    await world.gateway.store.write(
        lambda transaction: transaction.execute("UPDATE tokens SET expires_at = expires_at - 7200")
    )
    assert await world.connect().refused({"authorize": child}) == "InvalidToken"
    assert "Child" not in await listed(await world.owner())
