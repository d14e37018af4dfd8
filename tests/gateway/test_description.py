"""What machines are told of the calls: it must fit what the gateway takes and answers."""

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
from jsonschema.validators import extend
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from scopegate.composition import declared
from scopegate.gateway.calls.registry import Call, Registry, call
from scopegate.gateway.calls.session import Session
from scopegate.gateway.calls.token_form import holds_token
from scopegate.gateway.web.description import asyncapi, receive_schema, send_schema, servers
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.schemas.fields import OneOrMore, Request, StreamRequest, Text
from scopegate.schemas.published import PUBLISHED
from scopegate.schemas.scopes import Scopes
from scopegate.testing import Client, World
from tests.published.scenes import OFFERED, OWN, SCENES, signed_in
from tests.published.test_examples import STREAMS

OFFICIAL = Path(__file__).parent.parent / "browser/node_modules/@asyncapi/specs/schemas/3.0.0.json"


@cache
def _text(pattern: str) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, Field(pattern=pattern)])


def _pattern(validator: Any, pattern: str, text: Any, schema: Any) -> Iterator[Any]:
    """Python's own expressions know no classes of Unicode, which those of JSON Schema have."""
    if validator.is_type(text, "string"):
        try:
            _text(pattern).validate_python(text)
        except ValidationError:
            yield jsonschema.ValidationError(f"{text!r} does not match {pattern!r}")


Draft2020 = extend(jsonschema.Draft202012Validator, {"pattern": _pattern})
Draft7 = extend(jsonschema.Draft7Validator, {"pattern": _pattern})


@cache
def send(name: str) -> Any:
    return Draft2020(send_schema(OFFERED[name]))


@cache
def receive(name: str) -> Any:
    return Draft2020(receive_schema(OFFERED[name]))


def misfits(validator: Any, instance: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(instance)]


def takes(offered: Call, request: Mapping[str, Any]) -> bool:
    try:
        offered.validate(request)
    except ValidationError:
        return False
    return True


async def asker(world: World, name: str) -> Client:
    """A client who may make this call."""
    return await world.owner() if name in OWN else await signed_in(world, to_make=name)


@cache
def document() -> dict[str, Any]:
    """The document, with a stranger's calls in it, as it travels."""
    registry = declared(["tests.plugins"])
    made = asyncapi(registry, "1.2.3") | {"servers": servers("gateway.example.com", secure=True)}
    travelled: dict[str, Any] = json.loads(json.dumps(made))
    return travelled


@cache
def payload(message: str) -> Any:
    """The payload of one message of the document."""
    pointer = f"#/components/messages/{message}/payload"
    return Draft7({"$ref": pointer, "components": document()["components"]})


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in some JSON."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from parts(part)
    elif isinstance(value, list):
        for part in value:
            yield from parts(part)


# The schemas of single calls.


@pytest.mark.parametrize("name", OFFERED)
def test_a_call_has_examples_that_it_takes(name: str) -> None:
    examples = send(name).schema.get("examples", [])
    assert examples, "give its request an example: model_config, json_schema_extra"
    for example in examples:
        assert takes(OFFERED[name], example)
        assert misfits(send(name), example) == []
        assert misfits(payload(name), example) == []
        assert not holds_token(json.dumps(example))
    if "subscribe" in OFFERED[name].request.model_fields:
        assert examples[0]["subscribe"] == 1
    told = document()["components"]["messages"][name]["examples"]
    assert told == [{"payload": example} for example in examples]


@pytest.mark.parametrize("name", SCENES)
async def test_what_is_asked_and_answered_fits(world: World, name: str) -> None:
    client = await asker(world, name)
    request = await SCENES[name](world, client)
    assert misfits(send(name), request) == []
    assert misfits(payload(name), request) == []
    reply = await client.ask(request | {"passthrough": {"of": "mine"}})
    assert "error" not in reply, reply.get("error")
    for validator in (receive(name), payload(f"{name}_reply")):
        assert misfits(validator, reply) == []
        told = reply["msg_type"]
        assert misfits(validator, {key: reply[key] for key in reply if key != told})
        assert misfits(validator, reply | {told: "nonsense", "passthrough": 1})


@pytest.mark.parametrize("name", SCENES)
async def test_errors_fit(world: World, name: str) -> None:
    client = await asker(world, name)
    request = await SCENES[name](world, client) | {"no_such_field": 1}
    assert misfits(send(name), request)
    reply = await client.ask(request)
    assert reply["error"]["details"] == {"no_such_field": "Unknown field."}
    for validator in (receive(name), payload(f"{name}_reply")):
        assert misfits(validator, reply) == []
        assert misfits(validator, reply | {"error": {"code": "NoMessage"}})
    client.send_text(json.dumps({name: "\0"}).encode())
    insane = await client.next()
    assert insane["msg_type"] == "error"
    assert misfits(receive(name), insane) == []


@pytest.mark.parametrize("stream", STREAMS)
async def test_what_a_stream_tells_later_fits(world: World, stream: str) -> None:
    request, told, cause = STREAMS[stream]
    name = next(iter(request))
    client = await signed_in(world)
    assert misfits(receive(name), await client.ask(request)) == []
    await cause(world)
    later = await client.next()
    assert later["msg_type"] == told
    assert misfits(receive(name), later) == []
    assert misfits(payload(f"{name}_reply"), later) == []


TAKEN: tuple[dict[str, Any], ...] = (
    {"ticks": "R_100"},
    {"ticks": ["R_50", "R_100"]},
    {"set_settings": 1, "first_name": "Zoë", "address_line_1": "1° \u2019s", "phone": None},
    {"set_settings": 1, "feature_flag": {"wallet": 1}},
    {"contract_update": 1, "contract_id": 7, "limit_order": {"stop_loss": None}},
    {"statement": 1, "limit": 999},
    {"ticks_history": "R_100", "end": "latest", "granularity": 3600},
)
REFUSED: tuple[dict[str, Any], ...] = (
    {"ping": 1, "no_such_field": 1},
    {"ping": 2},
    {"ticks": []},
    {"ticks": "R 100"},
    {"ticks": ["R_100", ""]},
    {"ticks_history": "R_100"},
    {"ticks_history": "R_100", "end": "soon"},
    {"ticks_history": "R_100", "end": "latest", "granularity": 61},
    {"ticks_history": "R_100", "end": "latest", "start": None},
    {"ticks_history": "R_100", "end": "latest", "start": -1},
    {"statement": 1, "limit": 1000},
    {"set_settings": 1, "first_name": "R2D2"},
    {"set_settings": 1, "feature_flag": {"purse": 1}},
    {"buy": "1", "price": -1},
    {"buy": "1", "price": 10, "parameters": {"symbol": "R_100"}},
    {"sell": 1, "price": 10**13},
    {"api_token": 1, "new_token": "Bot", "new_token_scopes": ["write"]},
    {"app_register": 1, "name": "!", "scopes": []},
)


@pytest.mark.parametrize("request_", [*TAKEN, *REFUSED], ids=json.dumps)
def test_the_schema_takes_what_the_call_takes(request_: dict[str, Any]) -> None:
    name = next(iter(request_))
    taken = request_ in TAKEN
    assert takes(OFFERED[name], request_) is taken
    assert (misfits(send(name), request_) == []) is taken
    assert (misfits(payload(name), request_) == []) is taken


@pytest.mark.parametrize("name", OFFERED)
def test_every_field_of_a_request_is_described(name: str) -> None:
    schema = send_schema(OFFERED[name])
    described = [schema, *schema.get("$defs", {}).values()]
    fields = [item for part in described for item in part.get("properties", {}).items()]
    assert [field for field, about in fields if not about.keys() & {"description", "$ref"}] == []
    assert next(iter(schema["properties"])) == name


def test_who_may_make_a_call_is_told() -> None:
    for name in PUBLISHED.keys() & OFFERED.keys():
        schema = send_schema(OFFERED[name])
        assert set(schema["auth_scopes"]) == PUBLISHED[name]
        assert schema["auth_required"] == int(bool(PUBLISHED[name]))


class Odd(Request):
    odd: Annotated[Text, Field(pattern=r"^[a-z]-[0-9]$")]


class Wrong(Odd):
    model_config = ConfigDict(json_schema_extra={"examples": [{"odd": "wrong"}, {"odd": "a-1"}]})


class Beats(StreamRequest):
    beats: OneOrMore[Text] = Field(examples=[["slow"]])
    strength: Annotated[int, Field(ge=3)]
    words: Text
    note: Text = ""


class OddReply(TypedDict):
    odd: str


class BeatsReply(TypedDict):
    beats: int


class Strange:
    """Strange calls.

    With more to say.
    """

    @call("odd", needs=None)
    async def odd(self, request: Odd, session: Session) -> OddReply:
        """Say something odd."""
        return {"odd": ""}

    @call("beats", needs=None)
    async def beats(self, request: Beats, session: Session) -> BeatsReply:
        """Beat."""
        return {"beats": 1}


class Stranger:
    """A call with a wrong example."""

    @call("odd", needs=None)
    async def odd(self, request: Wrong, session: Session) -> OddReply:
        """Say something odd."""
        return {"odd": ""}


def registered(handler: object) -> Registry:
    registry = Registry(Scopes(SCOPES))
    registry.add(handler, trusted=False)
    return registry


def test_an_example_is_made_of_what_the_fields_name_and_no_pattern_is_guessed() -> None:
    strange = registered(Strange())
    made = {"beats": ["slow"], "strength": 3, "words": "text", "subscribe": 1}
    assert send_schema(strange["beats"])["examples"] == [made]
    assert "examples" not in send_schema(strange["odd"])
    told = asyncapi(strange, "1")
    assert "examples" not in told["components"]["messages"]["odd"]


def test_an_example_that_the_call_refuses_is_left_out() -> None:
    assert send_schema(registered(Stranger())["odd"])["examples"] == [{"odd": "a-1"}]


# The document of all calls.


@pytest.mark.slow
def test_the_document_is_valid_asyncapi() -> None:
    if not OFFICIAL.is_file():
        missing = f"{OFFICIAL} is not there: run npm ci in tests/browser"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    official = jsonschema.Draft7Validator(json.loads(OFFICIAL.read_text()))
    assert misfits(official, document()) == []
    assert misfits(official, document() | {"channels": {"v3": {"addres": "/"}}})
    assert misfits(official, document() | {"operations": {"ping": {"action": "answer"}}})


def test_every_reference_of_the_document_is_to_something() -> None:
    found = 0
    for part in parts(document()):
        if "$ref" in part:
            assert list(part) == ["$ref"], "what stands beside a reference is lost"
            target: Any = document()
            for step in part["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            found += 1
    assert found > 4 * len(OFFERED)


def test_nothing_of_the_document_is_there_for_nobody() -> None:
    used = {part["$ref"] for part in parts(document()) if "$ref" in part}
    components = document()["components"]
    defined = {f"#/components/{kind}/{name}" for kind in components for name in components[kind]}
    assert defined - used == set()


def test_patterns_are_spelt_as_javascript_reads_them() -> None:
    patterns = {part["pattern"] for part in parts(document()) if type(part.get("pattern")) is str}
    assert patterns
    assert [pattern for pattern in patterns if r"\x{" in pattern or "(?" in pattern] == []


def test_every_call_is_an_operation() -> None:
    told = document()["operations"]
    assert told.keys() == OFFERED.keys() | {"behave", "either", "whisper"}
    for name, offered in OFFERED.items():
        assert told[name]["summary"] == offered.sentence
        assert told[name]["x-needs"] == offered.needs_text
        assert told[name]["x-app-tokens"] is offered.app_tokens
        assert (told[name]["x-idempotency-key"] is None) is (offered.idempotency is None)
        assert told[name]["x-streams"] is ("subscribe" in offered.request.model_fields)
    assert told["paymentagent_create"]["x-needs"] == "admin, not for apps"
    assert told["balance"]["x-scopes"] == ["read", "trading_information"]
    assert told["ping"]["tags"] == [{"name": "General"}]
    tags = {tag["name"]: tag["description"] for tag in document()["info"]["tags"]}
    assert tags["General"] == "Ping, the time, and the limits in force."
    assert tags.keys() == {tag["name"] for about in told.values() for tag in about["tags"]}


def test_a_strangers_calls_are_told_like_our_own() -> None:
    told = document()["operations"]["either"]
    assert told["summary"] == "Answer to readers and payers."
    assert told["tags"] == [{"name": "Second"}]
    assert told["x-needs"] == "read or payments"
    assert told["x-scopes"] == ["read", "payments"]
    [message] = told["messages"]
    assert message == {"$ref": "#/channels/v3/messages/either"}
    assert document()["components"]["messages"]["either"]["examples"] == [
        {"payload": {"either": 1}}
    ]
    [tag] = asyncapi(registered(Strange()), "1")["info"]["tags"]
    assert tag == {"name": "Strange", "description": "Strange calls."}


def test_where_the_gateway_is_told_as_it_was_asked() -> None:
    assert document()["servers"]["gateway"]["host"] == "gateway.example.com"
    assert document()["servers"]["gateway"]["protocol"] == "wss"
    assert servers("127.0.0.1:5555", secure=False)["gateway"]["protocol"] == "ws"
    assert document()["info"]["version"] == "1.2.3"
    [channel] = document()["channels"].values()
    assert channel["address"] == "/websockets/v3"
    assert channel["bindings"]["ws"]["query"]["required"] == ["app_id"]
