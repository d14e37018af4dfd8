"""Machine-readable descriptions of a registry's calls: JSON Schemas, and an AsyncAPI document.

Rules:
- Everything is derived from what a call declares: request, replies, docstring and needs.
- A request's schema describes what the gateway accepts in its canonical form: it leaves out that
  decimal strings are accepted for numbers, and numbers for strings.
- An example is shown only if the call itself accepts it.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from scopegate.gateway.calls.registry import Call, Registry
from scopegate.gateway.web.field_docs import field_docs
from scopegate.gateway.web.reply_example import reply_example
from scopegate.schemas.declared import Names, with_names
from scopegate.schemas.fields import AccountRequest, Request, StreamRequest, listed, present

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_COMMON = {*Request.model_fields, *AccountRequest.model_fields, *StreamRequest.model_fields}
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}

_HEAD: Schema = {
    "type": "object",
    "description": "The fields of every reply.",
    "properties": {
        "echo_req": {"type": "object", "description": "The request as sent, with secrets masked."},
        "msg_type": {
            "type": "string",
            "description": "The type of the reply, and the name of its body.",
        },
        "req_id": {"type": "integer", "description": "As in the request; absent if it had none."},
        "passthrough": {
            "type": "object",
            "description": "As in the request; absent if it had none.",
        },
    },
    "required": ["echo_req", "msg_type"],
}
_ERROR: Schema = {
    "title": "error",
    "description": "The error of a failed call; the connection stays open.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "The error code, for programs."},
                "message": {"type": "string", "description": "The error text, for people."},
                "details": {"type": "object", "description": "Further details, mostly by field."},
            },
            "required": ["code", "message"],
        }
    },
    "required": ["error"],
}
_SUBSCRIPTION: Schema = {
    "type": "object",
    "description": "The stream that the reply belongs to.",
    "properties": {"id": {"type": "string", "description": "The id for `forget`."}},
    "required": ["id"],
}


def send_schema(call: Call) -> Schema:
    """The JSON Schema of a call's request."""
    [request], definitions = _generated([call.request], "#/$defs/{model}", call.names)
    return {
        **_opening(call, "send"),
        "auth_required": int(call.needs_login),
        "auth_scopes": list(call.scopes_in_order),
        **_request(call, request),
        **({"$defs": definitions} if definitions else {}),
    }


def receive_schema(call: Call) -> Schema:
    """The JSON Schema of every reply to a call, including those of its stream and errors."""
    bodies, definitions = _generated(call.replies, "#/$defs/{model}", call.names)
    return {
        **_opening(call, "receive"),
        **_reply(call, bodies, head=_HEAD, error=_ERROR),
        **({"$defs": definitions} if definitions else {}),
    }


def asyncapi(registry: Registry, version: str) -> Schema:
    """Return the AsyncAPI document of all calls, without the part that `servers` returns.

    Takes a fifth of a second.
    """
    calls = sorted(registry, key=lambda call: call.name)
    types = [type_ for call in calls for type_ in (call.request, *call.replies)]
    generated, definitions = _generated(types, "#/components/schemas/{model}", registry.names)
    schemas = dict(zip(types, generated, strict=True))
    definitions |= {"reply-head": _HEAD, "reply-error": _ERROR}
    messages: Schema = {}
    for call in calls:
        bodies = [schemas[reply] for reply in call.replies]
        head, error = ({"$ref": f"#/components/schemas/reply-{part}"} for part in ("head", "error"))
        messages[call.name] = _message(
            call.name, f"Request of {call.name}", _request(call, schemas[call.request])
        )
        messages[f"{call.name}_reply"] = _message(
            f"{call.name}_reply", f"Reply to {call.name}", _reply(call, bodies, head, error)
        )
        if shown := messages[call.name]["payload"].pop("examples", []):
            messages[call.name]["examples"] = [{"payload": example} for example in shown]
        reply = reply_example(call)
        if reply is not None:
            messages[f"{call.name}_reply"]["examples"] = [{"payload": reply}]
    groups = {call.group: call.group_sentence for call in calls}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Scopegate",
            "version": version,
            "description": "Each message is one JSON object and gets one reply, matched by"
            " `req_id`. With `subscribe`, further replies follow. A decimal string is accepted for"
            " a number, and a number for a string. To sign in, send `authorize` with a token first:"
            " `x-needs` says what a call needs, and any one of `x-scopes` is enough. A call"
            " with `x-app-tokens` false refuses tokens that were issued to an app.",
            "tags": [
                {"name": name, "description": sentence} for name, sentence in sorted(groups.items())
            ],
        },
        "defaultContentType": "application/json",
        "channels": {
            "v3": {
                "address": "/websockets/v3",
                "description": "The WebSocket connection for all calls.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": _BINDING},
            }
        },
        "operations": {call.name: _operation(call) for call in calls},
        "components": {
            "messages": messages,
            "schemas": {name: _draft_7(made) for name, made in sorted(definitions.items())},
            "correlationIds": {"req_id": {"location": "$message.payload#/req_id"}},
            "securitySchemes": {
                "app": {
                    "type": "httpApiKey",
                    "in": "query",
                    "name": "app_id",
                    "description": "The app that connects. It is not a secret and does not sign in:"
                    " send a token with `authorize`.",
                }
            },
        },
    }


def servers(host: str, *, secure: bool) -> Schema:
    """The `servers` of the AsyncAPI document: where the calls are offered."""
    return {
        "gateway": {
            "host": host,
            "protocol": "wss" if secure else "ws",
            "pathname": "/",
            "security": [{"$ref": "#/components/securitySchemes/app"}],
        }
    }


_BINDING: Schema = {
    "method": "GET",
    "query": {
        "type": "object",
        "properties": {
            "app_id": {"type": "integer", "minimum": 1, "description": "A registered app."},
            "l": {"type": "string", "description": "The client's language."},
            "brand": {"type": "string", "description": "Accepted, but has no effect."},
        },
        "required": ["app_id"],
    },
}


def _message(name: str, title: str, payload: Schema) -> Schema:
    return {
        "name": name,
        "title": title,
        "correlationId": {"$ref": "#/components/correlationIds/req_id"},
        "payload": _draft_7(payload),
    }


def _operation(call: Call) -> Schema:
    channel = {"$ref": "#/channels/v3"}
    return {
        "action": "receive",
        "channel": channel,
        "summary": call.sentence,
        "description": _flowing(call.description),
        "tags": [{"name": call.group}],
        "messages": [{"$ref": f"#/channels/v3/messages/{call.name}"}],
        "reply": {
            "channel": channel,
            "messages": [{"$ref": f"#/channels/v3/messages/{call.name}_reply"}],
        },
        "x-needs": call.needs_text,
        "x-scopes": list(call.scopes_in_order),
        "x-app-tokens": call.app_tokens,
        "x-idempotency-key": _key_lengths(call),
        "x-streams": _streams(call),
        **({} if call.error_codes is None else {"x-errors": dict(call.error_codes)}),
    }


def _key_lengths(call: Call) -> Schema | None:
    """The fewest and the most characters of an idempotency key, if the call takes one."""
    if call.key_lengths is None:
        return None
    fewest, most = call.key_lengths
    return {"minLength": fewest, "maxLength": most}


def _opening(call: Call, part: str) -> Schema:
    return {
        "$schema": DIALECT,
        "$id": f"{call.name}/{part}.json",
        "title": f"{call.name}: {part}",
        "description": _flowing(call.description),
    }


def _flowing(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _streams(call: Call) -> bool:
    return bool(call.kinds)


def _request(call: Call, generated: Schema) -> Schema:
    """Return the schema of a request: the key that names the call first, common fields last."""
    properties = dict(
        sorted(
            generated["properties"].items(),
            key=lambda field: (field[0] != call.name, field[0] in _COMMON),
        )
    )
    shown = _examples(call, generated)
    return {
        "type": "object",
        "properties": properties,
        "required": generated.get("required", []),
        "additionalProperties": False,
        **({"examples": shown} if shown else {}),
    }


def _reply(call: Call, bodies: Iterable[Schema], head: Schema, error: Schema) -> Schema:
    answers = [(next(iter(body["properties"])), body) for body in bodies]
    names = dict.fromkeys([*(name for name, _ in answers), call.name, "error"])
    return {
        "type": "object",
        "allOf": [head],
        "properties": {
            "msg_type": {"enum": list(names)},
            **({"subscription": _SUBSCRIPTION} if _streams(call) else {}),
        },
        "anyOf": [
            *(
                {
                    "title": name,
                    "properties": {"msg_type": {"const": name}, **body["properties"]},
                    "required": ["msg_type", *body.get("required", ())],
                }
                for name, body in answers
            ),
            error,
        ],
    }


# Examples.


def _examples(call: Call, schema: Schema) -> list[Schema]:
    """Return the examples of a request that its call accepts."""
    # From the model's configuration, in the author's order: pydantic's schema sorts the fields.
    extra = call.request.model_config.get("json_schema_extra")
    named: Any = extra.get("examples") if isinstance(extra, dict) else None
    return [example for example in named or _derived(call, schema) if _takes(call, example)]


def _takes(call: Call, example: Schema) -> bool:
    try:
        call.validate(example)
    except ValidationError:
        return False
    return True


def _derived(call: Call, schema: Schema) -> Iterator[Schema]:
    """Yield an example of the required fields, if the schema has a value for each of them."""
    wanted = dict.fromkeys([call.name, *schema.get("required", ())])
    example = {
        field: value for field in wanted for value in _values(schema["properties"].get(field, {}))
    }
    if example.keys() == wanted.keys():
        yield example | ({"subscribe": 1} if "subscribe" in call.request.model_fields else {})


def _values(field: Schema) -> list[Any]:
    """Return a list of the first value that the schema of a field offers, or an empty one."""
    named = [
        *field.get("examples", ()),
        *(field[word] for word in ("const", "minimum") if word in field),
        *field.get("enum", ()),
        *(["text"] if field.get("type") == "string" and "pattern" not in field else ()),
    ]
    return named[:1]


# JSON Schemas of types.


class InputSchema(GenerateJsonSchema):
    """Generates pydantic's JSON Schema of the input, with what that lacks or names differently.

    For a field that is normalized before it is validated, pydantic drops the pattern, and leaves
    bounds under pydantic's own names.
    """

    def generate_inner(self, schema: Any) -> Schema:
        """Generate the schema of a part, with the bounds under JSON Schema's names."""
        made = super().generate_inner(schema)
        made.pop("max_digits", None)
        for name in _BOUNDS.keys() & made.keys():
            made[_BOUNDS[name]] = made.pop(name)
        return made

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> Schema:
        """Exclude null for `OrAbsent`, and allow one item as well as a list for `OneOrMore`."""
        brings = schema["function"]["function"]
        inner: Any = schema["schema"]
        if brings is present:
            return self.generate_inner(inner["schema"])
        made = super().function_before_schema(schema)
        return {"anyOf": [made["items"], made]} if brings is listed else made

    def chain_schema(self, schema: core_schema.ChainSchema) -> Schema:
        """Merge the schemas of all steps, as for a string that is normalized, then matched."""
        made: Schema = {}
        for step in schema["steps"]:
            made |= self.generate_inner(step)
        return made

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        """Omit a default of null, which means only that the field may be left out."""
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made

    def encode_default(self, dft: Any) -> Any:
        """Encode a default that is a `Decimal` as a number."""
        return super().encode_default(float(dft) if isinstance(dft, Decimal) else dft)

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> Schema:
        """Add the docstring of each field to the schema of an object."""
        made = super().typed_dict_schema(schema)
        typed: Any = schema.get("cls")
        docs = {} if typed is None else field_docs(typed)
        for name, field in made["properties"].items():
            if name in docs:
                field["description"] = docs[name]
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Omit titles: the name of the field is enough."""
        return False


def _generated(
    types: Iterable[type], template: str, names: Names
) -> tuple[list[Schema], dict[str, Schema]]:
    """Return the schema of each type, and the definitions that these refer to.

    A field for a declared name lists the names in `names`.
    """
    wanted = list(types)
    keys: Mapping[Hashable, type] = dict(enumerate(wanted))
    made, rest = TypeAdapter.json_schemas(
        [(key, "validation", TypeAdapter[Any](type_)) for key, type_ in keys.items()],
        ref_template=template,
        schema_generator=InputSchema,
    )
    definitions: dict[str, Schema] = rest.get("$defs", {})
    by_ref = {template.format(model=name): name for name in definitions}

    def itself(schema: Schema) -> Schema:
        return definitions[by_ref[schema["$ref"]]] if "$ref" in schema else schema

    schemas = [with_names(itself(made[key, "validation"]), names) for key in keys]
    needed: dict[str, Schema] = {}
    waiting: list[Any] = list(schemas)
    while waiting:
        for name in {by_ref[ref] for ref in _refs(waiting.pop())} - needed.keys():
            needed[name] = with_names(definitions[name], names)
            waiting.append(definitions[name])
    return schemas, needed


def _refs(part: Any) -> Iterator[str]:
    """Yield every `$ref` in a schema."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _refs(value)
    elif isinstance(part, list):
        for value in part:
            yield from _refs(value)


def _draft_7(part: Any) -> Any:
    """Return a schema as AsyncAPI (JSON Schema draft 7) reads it: it ignores keys beside `$ref`."""
    if isinstance(part, list):
        return [_draft_7(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {key: _draft_7(value) for key, value in part.items()}
    if "$ref" in made and len(made) > 1:
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    return made
