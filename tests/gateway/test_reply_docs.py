"""What is documented of a reply: a sentence for every field, the error codes, a real example."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from scopegate.gateway.calls.registry import DeclarationError, Registry, call
from scopegate.gateway.calls.session import Session
from scopegate.gateway.calls.token_form import holds_token
from scopegate.gateway.web.description import asyncapi, receive_schema
from scopegate.gateway.web.field_docs import field_docs
from scopegate.gateway.web.reply_example import reply_example
from scopegate.schemas import error_codes
from scopegate.schemas.fields import Request
from scopegate.schemas.scopes import Scopes
from tests.published.scenes import OFFERED


def undescribed(part: Any, path: str = "") -> Iterator[str]:
    """The path of every property of a schema that has no description."""
    if isinstance(part, dict):
        properties = part.get("properties", {})
        for name, field in properties.items() if isinstance(properties, dict) else ():
            if isinstance(field, dict) and "description" not in field and name != "msg_type":
                yield f"{path}.{name}"
        for name, value in part.items():
            yield from undescribed(value, f"{path}.{name}")
    elif isinstance(part, list):
        for value in part:
            yield from undescribed(value, path)


@pytest.mark.parametrize("name", OFFERED)
def test_every_field_of_a_reply_has_a_sentence(name: str) -> None:
    schema = receive_schema(OFFERED[name])
    bodies = [body for body in schema["anyOf"] if body.get("title") != "error"]
    assert list(undescribed([bodies, schema.get("$defs", {})])) == []


@pytest.mark.parametrize("name", OFFERED)
def test_every_call_has_a_real_example_of_its_reply(name: str) -> None:
    example = reply_example(OFFERED[name])
    assert example is not None
    Draft202012Validator(receive_schema(OFFERED[name])).validate(example)
    assert not holds_token(str(example))
    made = asyncapi_of(name)["components"]["messages"][f"{name}_reply"]
    assert made["examples"] == [{"payload": example}]


def asyncapi_of(name: str) -> dict[str, Any]:
    registry = Registry(Scopes(OFFERED[name].scopes and _scopes()))
    registry._calls[name] = OFFERED[name]
    return asyncapi(registry, "1")


def _scopes() -> Any:
    from scopegate.handlers.exchange.exchange_scopes import SCOPES

    return SCOPES


def test_every_call_declares_its_error_codes() -> None:
    assert [name for name, made in OFFERED.items() if made.error_codes is None] == []
    assert OFFERED["ping"].error_codes == error_codes.ANY_CALL
    assert "PriceMoved" in (OFFERED["buy"].error_codes or {})
    assert "AlreadySubscribed" in (OFFERED["ticks"].error_codes or {})
    assert "PermissionDenied" not in (OFFERED["ticks"].error_codes or {})
    unused = error_codes.OF_CALLS.keys() - {
        code for made in OFFERED.values() for code in made.error_codes or {}
    }
    assert unused == set()


class Look(Request):
    look: int


class Base(TypedDict):
    here: int
    """The base's."""


class Looked(Base):
    look: int
    """What was seen,
    on one line."""
    plain: int


class Looking:
    """Looking."""

    @call("look", needs=None, error_codes=("Blinded",))
    async def look(self, request: Look, session: Session) -> Looked:
        """Look."""
        raise NotImplementedError


def test_an_error_code_of_your_own_needs_a_sentence() -> None:
    with pytest.raises(DeclarationError, match="no error code Blinded: give error_codes= a"):
        Registry(Scopes(())).add(Looking, trusted=True)


class LookingOnce:
    """Looking."""

    @call("look", needs=None, error_codes="Blinded")
    async def look(self, request: Look, session: Session) -> Looked:
        """Look."""
        raise NotImplementedError


def test_one_error_code_alone_is_no_list_of_letters() -> None:
    with pytest.raises(DeclarationError, match=r"write \('Blinded',\)"):
        Registry(Scopes(())).add(LookingOnce, trusted=True)


def test_the_docstrings_of_fields_are_read_with_those_of_bases() -> None:
    assert field_docs(Looked) == {"here": "The base's.", "look": "What was seen, on one line."}
    assert field_docs(TypedDict("Made", {"x": int})) == {}
    assert TypeAdapter(Looked).validate_python({"here": 1, "look": 2, "plain": 3})
