"""Requests that are not quite right: the field at fault is named, and the connection lives.

And those that are right in another notation: only what `wire.md` names is taken for something else.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from scopegate.gateway.calls.registry import Call, problems_of
from scopegate.testing import Client, World
from tests.published.scenes import OFFERED, SCENES, Request, owner_and_operator

FIELDS = [(name, field) for name, call in OFFERED.items() for field in call.request.model_fields]

WRONG: Mapping[str, tuple[str, ...]] = {
    "integer": ("true", '" 1 "', '"1_000"', '"1e3"', "1.5", '"1.0"', '"x"', '""', "[]"),
    "number": ("true", '" 1 "', '"1_000"', '"1e3"', '"0x1"', '"NaN"', '"x"', '""', "[]"),
    "string": ("true", "false", '{"a": 1}', "[]", '["a"]'),
    "array": ("true", '{"a": 1}', "[true]", "[null]", "[[]]"),
    "object": ("true", "1", '"x"', "[]", "[{}]"),
}
"""JSON, by the type that is wanted, that must not be taken for it."""

NULLABLE = {
    "new_account_real": {"calling_country_code", "citizen", "phone"},
    "set_self_exclusion": {
        "exclude_until",
        "max_30day_deposit",
        "max_30day_losses",
        "max_30day_turnover",
        "max_7day_deposit",
        "max_7day_losses",
        "max_7day_turnover",
        "max_balance",
        "max_deposit",
        "max_losses",
        "max_open_bets",
        "max_turnover",
        "session_duration_limit",
        "timeout_until",
    },
    "set_settings": {
        "address_line_2",
        "calling_country_code",
        "citizen",
        "phone",
        "preferred_language",
        "residence",
    },
}
"""The published fields that may be null, by call. Everywhere else it is no value."""

NUMBERS = (0, 1, 2, 20, 60, 12345, -1, 1.5)
"""Of these every field that wants a number takes one."""


def kind_of(call: Call, field: str) -> str:
    """The JSON type that a field wants."""
    schema = call.request.model_json_schema()
    wanted = schema["properties"][field]
    wanted = next(part for part in wanted.get("anyOf", [wanted]) if part.get("type") != "null")
    if "$ref" in wanted:
        wanted = schema["$defs"][wanted["$ref"].rsplit("/", 1)[-1]]
    kind: str = wanted["type"]
    return kind


async def answer_to(client: Client, request: Mapping[str, Any], field: str, value: str) -> Any:
    """The reply to a request in which the field holds this JSON; without a `req_id` of our own."""
    client.send_text(orjson.dumps({**request, field: orjson.Fragment(value)}))
    return await client.next()


def names(reply: Mapping[str, Any], field: str) -> bool:
    """Whether the reply refuses the request because of this field, and of no other."""
    error = reply.get("error", {})
    details = error.get("details", {})
    return (
        error.get("code") == "InputValidationFailed"
        and {path.split(".")[0] for path in details} == {field}
        and error["message"] == "Input validation failed: " + ", ".join(details)
        and all(details.values())
    )


async def scenes(world: World) -> list[tuple[str, Request]]:
    """A right request for every call that is offered."""
    owner = await owner_and_operator(world)
    return [(name, await SCENES[name](world, owner)) for name in OFFERED]


async def test_an_unknown_field_is_named(world: World) -> None:
    client = await owner_and_operator(world)
    asked = 0
    for name, request in await scenes(world):
        reply = await client.ask({**request, "no_such_field": 1})
        assert reply["error"] == {
            "code": "InputValidationFailed",
            "message": "Input validation failed: no_such_field",
            "details": {"no_such_field": "Unknown field."},
        }, name
        assert reply["msg_type"] == name
        assert (await client.ask({"ping": 1}))["ping"] == "pong"
        asked += 1
    assert asked == len(OFFERED)


async def test_a_missing_field_is_named(world: World) -> None:
    client = await owner_and_operator(world)
    asked = 0
    for name, request in await scenes(world):
        for field, about in OFFERED[name].request.model_fields.items():
            if about.is_required() and field != name:
                reply = await client.ask({key: request[key] for key in request if key != field})
                assert names(reply, field), (name, field, reply)
                asked += 1
    assert asked >= 6  # two apps' names and scopes, an end, a subscribe


@pytest.mark.lengthy
async def test_a_wrong_type_is_refused_and_the_field_named(world: World) -> None:
    client = await owner_and_operator(world)
    taken = []
    asked = set()
    for name, request in await scenes(world):
        for field in OFFERED[name].request.model_fields:
            for value in WRONG[kind_of(OFFERED[name], field)]:
                reply = await answer_to(client, request, field, value)
                if not names(reply, field):
                    taken.append((name, field, value, reply.get("error")))
                asked.add((name, field))
            assert (await client.ask({"ping": 1}))["ping"] == "pong"
    assert taken == []
    assert asked == set(FIELDS)
    print(f"wrong types of {len(asked)} fields of {len(OFFERED)} calls are refused")  # noqa: T201 - shown with -rA


async def test_null_is_no_value(world: World) -> None:
    client = await owner_and_operator(world)
    taken = []
    for name, request in await scenes(world):
        for field in OFFERED[name].request.model_fields.keys() - NULLABLE.get(name, set()):
            reply = await answer_to(client, request, field, "null")
            if not names(reply, field):
                taken.append(f"{name}.{field}")
    assert taken == []


@pytest.mark.parametrize(
    ("name", "field"),
    [(name, field) for name, fields in NULLABLE.items() for field in sorted(fields)],
)
async def test_null_is_taken_where_it_is_published(world: World, name: str, field: str) -> None:
    client = await owner_and_operator(world)
    reply = await client.ask({**await SCENES[name](world, client), field: None})
    assert reply.get(name), reply


async def test_what_lies_deeper_is_named_by_its_path(world: World) -> None:
    client = await owner_and_operator(world)
    settings = {"set_settings": 1}
    for request, path in (
        (settings | {"feature_flag": {"no_such_field": 1}}, "feature_flag.no_such_field"),
        (settings | {"feature_flag": {"wallet": True}}, "feature_flag.wallet"),
        ({"ticks": ["R_50", True]}, "ticks.1"),
        ({"forget_all": ["ticks", "tock"]}, "forget_all.1"),
        ({"active_symbols": "brief", "barrier_category": ["asian", 1]}, "barrier_category.1"),
        ({"app_register": 1, "name": "Mine", "scopes": ["read", "write"]}, "scopes.1"),
    ):
        error = (await client.ask(request))["error"]
        assert error["code"] == "InputValidationFailed"
        assert error["details"].keys() == {path}


# What is taken for something else.


def understood(call: Call, request: Request, field: str, value: Any) -> Any:
    """What a field is understood as when it holds this value, or the problem that it then has."""
    try:
        return getattr(call.validate({**request, field: value}), field)
    except ValidationError as invalid:
        return problems_of(invalid)


@pytest.mark.lengthy
async def test_digits_in_a_string_are_the_number_and_a_number_is_its_digits(world: World) -> None:
    useful = set()
    for name, request in await scenes(world):
        for field in OFFERED[name].request.model_fields:
            kind = kind_of(OFFERED[name], field)
            for number in NUMBERS if kind in ("integer", "number", "string") else ():
                as_number = understood(OFFERED[name], request, field, number)
                as_text = understood(OFFERED[name], request, field, str(number))
                assert as_number == as_text, (name, field, number)
                assert type(as_number) is type(as_text)
                if not isinstance(as_number, dict):
                    useful.add((kind, name, field))
    # Every number was understood both ways, and of the strings those that digits can fill.
    numbers = {key for key in FIELDS if kind_of(OFFERED[key[0]], key[1]) in ("integer", "number")}
    assert {(name, field) for kind, name, field in useful if kind != "string"} == numbers
    assert ("string", "ticks_history", "end") in useful
    assert ("string", "set_settings", "phone") in useful


def the_other_way(value: Any) -> Any:
    """A number as its digits, and digits as their number; anything else as it is."""
    if type(value) in (int, float):
        return str(value)
    return int(value) if type(value) is str and value.isdecimal() else value


@pytest.mark.lengthy
async def test_a_message_written_the_other_way_is_answered_the_same(world: World) -> None:
    """`{"ping": "1"}` is sent by a published web app, a numeric `end` by the JavaScript client."""
    changed = set()
    for name, scene in SCENES.items():
        client = await owner_and_operator(world)
        request = await scene(world, client)
        written = {key: the_other_way(value) for key, value in request.items()}
        reply = await client.ask(written | {"req_id": 77})
        assert "error" not in reply, (name, reply["error"])
        shown = {
            key: "<not shown>" if key in world.gateway.registry.secret_fields else value
            for key, value in written.items()
        }
        assert reply["echo_req"] == shown | {"req_id": 77}  # as it was sent, unless it is secret
        if written != request:
            changed.add(name)
    assert {"ping", "set_settings", "statement", "ticks_history"} <= changed


async def test_req_id_comes_back_as_a_number(world: World) -> None:
    client = world.connect()
    client.send_text(b'{"ping":1,"req_id":"41"}')
    reply = await client.next()
    assert reply["ping"] == "pong"
    assert reply["req_id"] == 41
    assert reply["echo_req"]["req_id"] == "41"
