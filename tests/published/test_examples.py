"""What is offered, held against the published schemas: they must lie where the variable says.

Nothing of them is copied here, since they carry no licence: without the variable the tests skip.
With it they never do: a directory without the 137 calls fails them all.
"""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema.validators import extend
from pydantic import ValidationError

from scopegate.exchange.desk import Desk
from scopegate.gateway.calls.registry import Call, problems_of
from scopegate.schemas.published import ALSO_FIELDS, PUBLISHED
from scopegate.testing import Client, World
from tests.published.scenes import (
    FAMILIES,
    OFFERED,
    PRODUCTS,
    RISE,
    SCENES,
    Request,
    Scene,
    as_it_is,
    bought,
    of_family,
    signed_in,
)
from tests.published.test_validation import NULLABLE

VARIABLE = "SCOPEGATE_PUBLISHED_SCHEMAS"
BOTH = sorted(PUBLISHED.keys() & OFFERED.keys())

FILLED_IN: Mapping[str, tuple[str, ...]] = {
    "app_delete": ("app_delete",),
    "app_get": ("app_get",),
    "app_markup_details": ("app_id", "client_loginid", "date_from", "date_to"),
    "app_markup_statistics": ("date_from", "date_to"),
    "app_update": ("app_update",),
    "authorize": ("authorize",),
    "buy": ("buy",),
    "buy_contract_for_multiple_accounts": ("buy_contract_for_multiple_accounts", "tokens"),
    "cancel": ("cancel",),
    "cashier": ("verification_code",),
    "contract_update": ("contract_id",),
    "copy_start": ("copy_start",),
    "copy_stop": ("copy_stop",),
    "copytrading_statistics": ("trader_id",),
    "contract_update_history": ("contract_id",),
    "forget": ("forget",),
    "new_account_virtual": ("verification_code",),
    "paymentagent_transfer": ("transfer_to",),
    "paymentagent_withdraw": ("paymentagent_loginid", "verification_code"),
    "proposal_open_contract": ("contract_id",),
    "revoke_oauth_app": ("revoke_oauth_app",),
    "sell": ("sell",),
    "sell_contract_for_multiple_accounts": ("shortcode", "tokens"),
    "set_self_exclusion": ("exclude_until", "timeout_until"),
    "transfer_between_accounts": ("account_from", "account_to"),
}
"""The fields of an example that hold an id, a token or a day to come: the scene has a real one."""

BODIES = {"ticks": "tick", "ticks_history": "history"}
"""Where the object of the reply has another name than the call."""

LISTS = {
    "app_markup_details": "transactions",
    "app_markup_statistics": "breakdown",
    "api_token": "tokens",
    "buy_contract_for_multiple_accounts": "result",
    "contracts_for": "available",
    "contracts_for_company": "available",
    "copytrading_list": "traders",
    "copytrading_statistics": "monthly_profitable_trades",
    "paymentagent_list": "list",
    "economic_calendar": "events",
    "portfolio": "contracts",
    "profit_table": "transactions",
    "sell_contract_for_multiple_accounts": "result",
    "statement": "transactions",
    "ticks_history": "prices",
}
"""The lists and maps within a body that must not be empty, or their items would not be checked."""

RESULTS = {"buy_contract_for_multiple_accounts", "sell_contract_for_multiple_accounts"}
"""The calls that answer for each of several accounts: none of them may have failed."""

IMPOSSIBLE: Mapping[str, frozenset[str]] = {
    # An item of `account_list` must have a `broker_code`, and may have `broker` but no other.
    "account_list": frozenset({"broker_code"}),
}
"""What a published reply requires and forbids at once: nothing fits it, so that is not required."""

MAY_BE_ZERO = {"set_account_currency"}
"""The bodies whose 0 says that nothing had to be done."""

OTHER_FIELDS: Mapping[str, frozenset[str]] = {}
"""Fields that only one of the published request and ours has, by call. Say why in a comment."""

OTHER_VALUES: Mapping[tuple[str, str], str] = {
    ("buy", "parameters"): "numbers have bounds here, so that all are exact",
    ("buy", "subscribe"): "0 means not subscribing, here as elsewhere",
    ("buy_contract_for_multiple_accounts", "parameters"): "every type of `buy` is understood",
    ("portfolio", "contract_type"): "every type of `buy` is understood",
    ("profit_table", "contract_type"): "every type of `buy` is understood",
    ("proposal", "basis"): "`multiplier`, which published clients say of a lookback",
    ("proposal", "limit_order"): "our schema names the null of an absent order, which is refused",
    ("exchange_rates", "subscribe"): "0 means not subscribing, here as elsewhere",
    ("proposal", "subscribe"): "0 means not subscribing, here as elsewhere",
    ("proposal_open_contract", "subscribe"): "0 means not subscribing, here as elsewhere",
    ("ticks", "subscribe"): "0 is sent by a published web app and means not subscribing",
    ("ticks_batch", "market"): "`own`, the market of the symbols of files",
    ("ticks_batch", "subscribe"): "0 means not subscribing, here as elsewhere",
    ("ticks_history", "subscribe"): "0 is sent by a published web app and means not subscribing",
    ("ticks_history", "adjust_start_time"): "0 is the default, and may as well be said",
}
"""The fields that take more values than are published, and why."""


@dataclass(frozen=True)
class Published:
    """One call as it is published, but for what is `IMPOSSIBLE`."""

    send: dict[str, Any]
    receive: dict[str, Any]
    example: dict[str, Any]


@pytest.fixture(scope="module")
def published() -> Mapping[str, Published]:
    """The published schemas of all calls."""
    directory = os.environ.get(VARIABLE)
    if directory is None:
        pytest.skip(f"{VARIABLE} does not say where the published schemas are")
    found = {}
    impossible: dict[str, frozenset[str]] = {}
    for folder in sorted(Path(directory).glob("*")):
        files = [folder / f"{part}.json" for part in ("send", "receive", "example")]
        if all(file.is_file() for file in files):
            send, receive, example = (json.loads(file.read_text()) for file in files)
            dropped: set[str] = set()
            found[folder.name] = Published(send, possible(receive, dropped), example)
            if dropped and folder.name in BOTH:
                impossible[folder.name] = frozenset(dropped)
    assert len(found) == 137, f"{VARIABLE}={directory} has {len(found)} of the 137 calls"
    assert impossible == IMPOSSIBLE
    return found


# The patterns are Perl's. Python's `re` lacks the classes of Unicode, and `\x{}`.


@cache
def _letters() -> str:
    """All letters, as ranges for a character class."""
    codes = (n for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n))[0] == "L")
    runs = groupby(enumerate(codes), lambda pair: pair[1] - pair[0])
    ranges = ([code for _, code in run] for _, run in runs)
    return "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in ranges)


def _python_pattern(pattern: str) -> str:
    pattern = re.sub(r"(?<![\[\w'])\\p\{L\}(?=\[)", rf"[{_letters()}]", pattern)  # in no class
    pattern = pattern.replace(r"\p{L}", _letters()).replace(r"\p{Nd}", r"\d")
    return re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), pattern)


def _pattern(validator: Any, pattern: str, text: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(text, "string") and not re.search(_python_pattern(pattern), text):
        yield jsonschema.ValidationError(f"{text!r} does not match {pattern!r}")


Draft4 = extend(jsonschema.Draft4Validator, {"pattern": _pattern})


def misfits(schema: Mapping[str, Any], instance: Any) -> list[str]:
    """What of the instance does not fit the schema; empty when all does."""
    return [f"{error.json_path}: {error.message}" for error in Draft4(schema).iter_errors(instance)]


BODILESS = {"paymentagent_create"}
"""The calls whose published reply has nothing but its head."""


def check_reply(receive: Mapping[str, Any], reply: Mapping[str, Any], body: str) -> None:
    """Fail unless it is no error, has its body, and fits all that is published of it."""
    assert "error" not in reply, reply["error"]
    assert reply[body] or (body in MAY_BE_ZERO and reply[body] == 0)
    assert reply["msg_type"] == body
    # An object for which nothing is published fits as well: that alone would prove nothing.
    assert body in receive["properties"] or body in BODILESS
    assert misfits(receive, reply) == []


def possible(schema: Any, dropped: set[str]) -> Any:
    """The schema without what it requires and forbids at once; those names go to `dropped`."""
    if isinstance(schema, list):
        return [possible(part, dropped) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: possible(part, dropped) for key, part in schema.items()}
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        lost = set(schema.get("required", ())) - schema.get("properties", {}).keys()
        if lost:
            dropped |= lost
            made["required"] = [name for name in schema["required"] if name not in lost]
    return made


# The table.


def test_the_table_is_the_published_one(published: Mapping[str, Published]) -> None:
    scopes = {name: set(call.send.get("auth_scopes", ())) for name, call in published.items()}
    assert scopes == PUBLISHED
    for name, call in published.items():
        assert bool(call.send["auth_required"]) == bool(PUBLISHED[name]), name


def test_the_names_that_are_fields_too_are_the_published_ones(
    published: Mapping[str, Published],
) -> None:
    also = {
        name: (call.send["properties"].keys() & published.keys()) - {name}
        for name, call in published.items()
    }
    assert {name: fields for name, fields in also.items() if fields} == ALSO_FIELDS


# The examples.


async def filled_in(
    example: Mapping[str, Any], name: str, world: World, client: Client
) -> dict[str, Any]:
    """The example, with a real id in place of one that never was here."""
    scene = await SCENES[name](world, client)
    return {**example, **{field: scene[field] for field in FILLED_IN.get(name, ())}}


@pytest.mark.parametrize("name", BOTH)
async def test_the_example_is_answered_as_published(
    world: World, published: Mapping[str, Published], name: str
) -> None:
    client = await signed_in(world, to_make=name)
    request = await filled_in(published[name].example, name, world, client)
    assert misfits(published[name].send, request) == []
    reply = await client.ask(request)
    body = BODIES.get(name, name)
    check_reply(published[name].receive, reply, body)
    if name in LISTS:
        assert reply[body][LISTS[name]]
    if name in RESULTS:
        assert [result for result in reply[body]["result"] if "code" in result] == []


def test_the_examples_are_counted(published: Mapping[str, Published]) -> None:
    print(f"{len(BOTH)} of {len(published)} published examples are held to their replies")  # noqa: T201 - shown with -rA
    stale = (FILLED_IN.keys() | BODIES.keys() | LISTS.keys() | OTHER_FIELDS.keys()) - set(BOTH)
    assert not stale


# The same calls in other forms than their examples.


async def a_shown_token_to_delete(world: World, client: Client) -> Request:
    listed = (await client.ask({"api_token": 1}))["api_token"]["tokens"]
    return {"api_token": 1, "delete_token": listed[-1]["token"]}


async def several_tokens(world: World, client: Client) -> Request:
    tokens = [await world.token(loginid=account.loginid) for account in world.real]
    return {"authorize": "MULTI", "tokens": [await world.token(), *tokens]}


async def a_real_style_token(world: World, client: Client) -> Request:
    return {"authorize": await world.token(loginid=world.real[0].loginid)}


async def another_account(world: World, client: Client) -> Request:
    return {"balance": 1, "account": world.real[0].loginid}


async def an_app_that_was_used(world: World, client: Client) -> Request:
    app = await world.app("read")
    visitor = world.connect(app_id=app.id)
    await visitor.authorize(await world.token("read", app=app))
    return {"oauth_apps": 1}


async def signed_out(world: World, client: Client) -> Request:
    await client.ask({"logout": 1})
    return {"payout_currencies": 1}


async def an_account_without_a_currency(world: World, client: Client) -> Request:
    opened = (await client.ask({"new_account_real": 1}))["new_account_real"]
    await client.authorize(opened["oauth_token"])
    return {"set_account_currency": "EUR"}


FORMS: Mapping[str, tuple[str, str, Scene]] = {
    "a currency settled": (
        "set_account_currency",
        "set_account_currency",
        an_account_without_a_currency,
    ),
    "another demo account": (
        "new_account_virtual",
        "new_account_virtual",
        as_it_is(new_account_virtual=1),
    ),
    "one's own keys of countries": (
        "residence_list",
        "residence_list",
        as_it_is(residence_list=1, query=["text", "value"]),
    ),
    "a company's demo accounts": (
        "landing_company_details",
        "landing_company_details",
        as_it_is(landing_company_details="virtual", country="id"),
    ),
    "all that is known of a symbol": (
        "active_symbols",
        "active_symbols",
        as_it_is(active_symbols="full"),
    ),
    "tokens": ("api_token", "api_token", as_it_is(api_token=1)),
    "a token deleted": ("api_token", "api_token", a_shown_token_to_delete),
    "a bare app": (
        "app_register",
        "app_register",
        as_it_is(app_register=1, name="Bare", scopes=["read"]),
    ),
    "several accounts": ("authorize", "authorize", several_tokens),
    "a real-style account": ("authorize", "authorize", a_real_style_token),
    "balances": ("balance", "balance", as_it_is(balance=1, account="all")),
    "another balance": ("balance", "balance", another_account),
    "several kinds": ("forget_all", "forget_all", as_it_is(forget_all=["ticks", "candles"])),
    "a used app": ("oauth_apps", "oauth_apps", an_app_that_was_used),
    "what an account lacks to be an agent's": (
        "paymentagent_details",
        "paymentagent_details",
        as_it_is(paymentagent_details=1),
    ),
    "a rate with its spread": (
        "exchange_rates",
        "exchange_rates",
        as_it_is(exchange_rates=1, base_currency="EUR", target_currency="BTC", include_spread=1),
    ),
    "currencies for strangers": ("payout_currencies", "payout_currencies", signed_out),
    "nothing set": ("set_settings", "set_settings", as_it_is(set_settings=1)),
    "a bare statement": ("statement", "statement", as_it_is(statement=1)),
    "several symbols": ("ticks", "tick", as_it_is(ticks=["R_10", "R_25"])),
    "candles": (
        "ticks_history",
        "candles",
        as_it_is(ticks_history="R_50", end="latest", count=5, style="candles", granularity=300),
    ),
    "today": ("trading_times", "trading_times", as_it_is(trading_times="today")),
    "the status": ("website_status", "website_status", as_it_is(website_status=1, subscribe=1)),
}


@pytest.mark.parametrize("form", FORMS)
async def test_other_forms_are_answered_as_published_too(
    world: World, published: Mapping[str, Published], form: str
) -> None:
    name, body, scene = FORMS[form]
    client = await signed_in(world, to_make=name)
    if name == "forget_all":
        await client.ask({"ticks": "R_50", "subscribe": 1})
    request = await scene(world, client)
    assert misfits(published[name].send, request) == []
    check_reply(published[name].receive, await client.ask(request), body)


@pytest.mark.parametrize("contract_type", PRODUCTS)
async def test_a_contract_is_told_as_published_from_its_offer_to_its_end(
    world: World, published: Mapping[str, Published], contract_type: str
) -> None:
    """Types without a fixed payout have fields of their own in the replies."""
    client, parameters = await signed_in(world), PRODUCTS[contract_type]
    asked = {"proposal": 1, **parameters}
    assert misfits(published["proposal"].send, asked) == []
    quoted = await client.ask(asked)
    check_reply(published["proposal"].receive, quoted, "proposal")
    bought = await client.ask({"buy": quoted["proposal"]["id"], "price": 1_000})
    check_reply(published["buy"].receive, bought, "buy")
    number = bought["buy"]["contract_id"]
    for _ in range(4):
        told = await client.ask({"proposal_open_contract": 1, "contract_id": number})
        check_reply(published["proposal_open_contract"].receive, told, "proposal_open_contract")
        world.clock.advance(1)
    sold = await client.ask({"sell": number, "price": 0})
    check_reply(published["sell"].receive, sold, "sell")
    told = await client.ask({"proposal_open_contract": 1, "contract_id": number})
    check_reply(published["proposal_open_contract"].receive, told, "proposal_open_contract")
    table = await client.ask({"profit_table": 1, "description": 1})
    check_reply(published["profit_table"].receive, table, "profit_table")
    [row] = table["profit_table"]["transactions"]
    assert row["shortcode"] == bought["buy"]["shortcode"]


async def test_settings_come_back_as_published(
    world: World, published: Mapping[str, Published]
) -> None:
    client = await signed_in(world)
    more: Request = {"first_name": "Zoë", "last_name": "O'Neil", "date_of_birth": "1985-12-10"}
    more |= {"residence": "gb", "citizen": "gb", "feature_flag": {"wallet": 1}}
    told = published["set_settings"].example | more
    assert misfits(published["set_settings"].send, told) == []
    assert (await client.ask(told))["set_settings"] == 1
    reply = await client.ask({"get_settings": 1})
    check_reply(published["get_settings"].receive, reply, "get_settings")
    assert reply["get_settings"]["first_name"] == "Zoë"


# Every type of contracts.


@pytest.mark.parametrize("contract_type", FAMILIES)
async def test_a_contract_of_every_type_is_told_as_published(
    world: World, published: Mapping[str, Published], contract_type: str
) -> None:
    """Offered and bought, before and after its entry, when it has ended, and in both lists."""
    client, parameters = await signed_in(world), of_family(contract_type)

    async def fits(call: str, **more: Any) -> Request:
        request = {call: 1, **more}
        if parameters.get("basis") != "multiplier":  # which is not in the schema, as it was once
            assert misfits(published[call].send, request) == []
        reply = await client.ask(request)
        check_reply(published[call].receive, reply, call)
        body: Request = reply[call]
        return body

    await fits("proposal", **parameters)
    buying = {"buy": "1", "price": 1_000, "parameters": parameters}
    reply = await client.ask(buying)
    check_reply(published["buy"].receive, reply, "buy")
    number = reply["buy"]["contract_id"]
    for seconds in (0, 2, 300):
        world.clock.advance(seconds)
        await world.gateway.service(Desk).settled()
        told = await fits("proposal_open_contract", contract_id=number)
        assert told["contract_type"] == contract_type
        assert (told["status"] == "open") == (seconds < 300) or told["exit_tick_time"]
        if told["status"] == "open":
            held = (await fits("portfolio"))["contracts"]
            assert [row["contract_id"] for row in held] == [number]
    closed = (await fits("profit_table", description=1))["transactions"]
    assert [row["contract_id"] for row in closed] == [number]


# What streams tell later.


async def time_passes(world: World) -> None:
    world.clock.advance(2)


async def money_arrives(world: World) -> None:
    await world.credit(250)


async def something_is_bought(world: World) -> None:
    await bought(world, RISE)


async def money_leaves(world: World) -> None:
    await world.credit(-250)


_CANDLES = {"ticks_history": "R_50", "end": "latest", "count": 5, "style": "candles"}
STREAMS: Mapping[str, tuple[Request, str, Callable[[World], Awaitable[None]]]] = {
    "ticks": ({"ticks": "R_50", "subscribe": 1}, "tick", time_passes),
    "history": (
        {"ticks_history": "R_50", "end": "latest", "count": 5, "subscribe": 1},
        "tick",
        time_passes,
    ),
    "a market": (
        {"ticks_batch": 1, "market": "cryptocurrency", "subscribe": 1},
        "ticks_batch",
        time_passes,
    ),
    "candles": (_CANDLES | {"subscribe": 1}, "ohlc", time_passes),
    "balance": ({"balance": 1, "subscribe": 1}, "balance", money_arrives),
    "balances": ({"balance": 1, "account": "all", "subscribe": 1}, "balance", money_arrives),
    "deposits": ({"transaction": 1, "subscribe": 1}, "transaction", money_arrives),
    "proposals": ({"proposal": 1, "subscribe": 1, **RISE}, "proposal", time_passes),
    "contracts": (
        {"proposal_open_contract": 1, "subscribe": 1},
        "proposal_open_contract",
        something_is_bought,
    ),
    "a purchase": (
        {"buy": 1, "price": 100, "parameters": RISE, "subscribe": 1},
        "proposal_open_contract",
        time_passes,
    ),
    "withdrawals": ({"transaction": 1, "subscribe": 1}, "transaction", money_leaves),
    "a rate": (
        {
            "exchange_rates": 1,
            "base_currency": "BTC",
            "target_currency": "USD",
            "subscribe": 1,
        },
        "exchange_rates",
        time_passes,
    ),
}
NAMELESS = {"exchange_rates", "ticks_batch"}
"""Streams whose objects carry no id, or that tell a list."""
SILENT = {"website_status"}
"""Streams on which nothing happens while a gateway runs."""


@pytest.mark.parametrize("stream", STREAMS)
async def test_what_a_stream_tells_later_is_as_published(
    world: World, published: Mapping[str, Published], stream: str
) -> None:
    request, told, cause = STREAMS[stream]
    name = next(iter(request))
    client = await signed_in(world)
    first = await client.ask(request | {"passthrough": {"of": "mine"}})
    assert misfits(published[name].receive, first) == []
    await cause(world)
    later = await client.next()
    assert "error" not in later
    assert later["msg_type"] == told
    assert later["subscription"] == first["subscription"]
    assert later["req_id"] == first["req_id"]
    assert later["passthrough"] == {"of": "mine"}
    if told not in NAMELESS:
        assert later[told]["id"] == later["subscription"]["id"]
    # What a purchase goes on with is described where such messages are asked for.
    assert misfits(published.get(told, published[name]).receive, later) == []
    if told == "ohlc":
        return  # a growing candle is told of nowhere in the schemas
    described = published["ticks"] if told == "tick" else published[told]
    check_reply(described.receive, later, told)


def test_every_stream_that_is_offered_is_among_these() -> None:
    streaming = {name for name in BOTH if "subscribe" in OFFERED[name].request.model_fields}
    assert streaming == {next(iter(request)) for request, _, _ in STREAMS.values()} | SILENT


# What requests may hold.


def refuses(call: Call, field: str, value: Any) -> bool:
    """Whether our request finds fault with this value of this field, whatever else it misses."""
    tried = [f"{field}.{key}" for key in value] if isinstance(value, dict) else [field]
    try:
        call.validate({field: value})
    except ValidationError as invalid:
        paths = problems_of(invalid)
        return any(f"{path}.".startswith(f"{place}.") for path in paths for place in tried)
    return False


def values_of(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Any]:
    """The values that a schema of a field names: of enumerations, the bounds, and null."""
    if "$ref" in schema:
        found: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    yield from schema.get("enum", [])
    yield from (schema[word] for word in ("const", "minimum", "maximum") if word in schema)
    if "null" in schema.get("type", ()):
        yield None
    if "items" in schema:
        yield from ([value] for value in values_of(schema["items"], root))
    for name, part in schema.get("properties", {}).items():
        yield from ({name: value} for value in values_of(part, root))
    for part in [*schema.get("oneOf", ()), *schema.get("anyOf", ())]:
        yield from values_of(part, root)


@pytest.mark.parametrize("name", BOTH)
def test_our_request_has_the_published_fields(
    published: Mapping[str, Published], name: str
) -> None:
    fields = OFFERED[name].request.model_fields
    theirs = set(published[name].send["properties"])
    assert theirs ^ fields.keys() == OTHER_FIELDS.get(name, frozenset())
    required = {field for field, about in fields.items() if about.is_required()}
    assert required == set(published[name].send["required"])


@pytest.mark.parametrize("name", BOTH)
def test_our_request_takes_the_published_values(
    published: Mapping[str, Published], name: str
) -> None:
    call, send = OFFERED[name], published[name].send
    refused = [
        (field, value)
        for field, schema in send["properties"].items()
        for value in values_of(schema, send)
        if refuses(call, field, value)
    ]
    assert refused == []


def test_published_values_are_tried_at_all(published: Mapping[str, Published]) -> None:
    """`values_of` finds something of every kind, or the test above proves nothing."""
    found = {
        (name, field): list(values_of(schema, published[name].send))
        for name in BOTH
        for field, schema in published[name].send["properties"].items()
    }
    assert "candles" in found["forget_all", "forget_all"]
    assert ["candles"] in found["forget_all", "forget_all"]
    assert {"wallet": 1} in found["set_settings", "feature_flag"]
    nullable = {key for key, values in found.items() if None in values}
    assert nullable == {(name, field) for name, fields in NULLABLE.items() for field in fields}
    assert {0, 999} <= set(found["statement", "limit"])
    assert all(found[name, name] for name in BOTH if published[name].example[name] == 1)


def test_our_requests_take_no_values_beyond_the_published_but_these(
    published: Mapping[str, Published],
) -> None:
    wider = set()
    for name in BOTH:
        ours, theirs = OFFERED[name].request.model_json_schema(), published[name].send
        for field, schema in ours["properties"].items():
            described = {
                "definitions": theirs.get("definitions", {}),
                **theirs["properties"].get(field, {}),
            }
            described.pop("required", None)  # a value is tried by itself, without its neighbours
            for value in values_of(schema, ours):
                if value is not None and misfits(described, value):
                    wider.add((name, field))
    assert wider == OTHER_VALUES.keys()
