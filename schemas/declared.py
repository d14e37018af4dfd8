"""Names that a gateway declares, such as its scopes: a request accepts only these."""

import functools
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

Names = Mapping[str, Collection[str]]
"""The declared names by what they name; the context in which a request is validated."""

MARK: Final = "x-declared"
"""The key in the JSON Schema of a field for what its names name."""


class Declared:
    """Marks a string as one of the declared names of `what`.

    Without a validation context any string is accepted.
    """

    def __init__(self, what: str) -> None:
        self.what = what

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {MARK: self.what}

    def _check(self, name: str, info: ValidationInfo) -> str:
        names = (info.context or {}).get(self.what)
        if names is not None and name not in names:
            raise PydanticCustomError(
                "enum", "Input should be {expected}", {"expected": alternatives(names)}
            )
        return name


def alternatives(names: Iterable[str]) -> str:
    """Names in quotes: 'a', 'b' or 'c'."""
    quoted = [f"'{name}'" for name in names]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]])) or "left out"


@functools.cache  # tests start many gateways in one process, and a start asks twice
def takes_declared(request: type[BaseModel]) -> bool:
    """Whether a field of the request is a declared name, at any depth in lists and unions."""
    return any(map(_is_declared, request.model_fields.values()))


def _is_declared(part: Any) -> bool:
    if isinstance(part, Declared):
        return True
    if isinstance(part, FieldInfo):
        return any(map(_is_declared, (part.annotation, *part.metadata)))
    metadata = getattr(part, "__metadata__", ())
    return any(map(_is_declared, (*typing.get_args(part), *metadata)))


def with_names(schema: Any, names: Names) -> Any:
    """The JSON Schema with every mark replaced by the declared names."""
    if isinstance(schema, list):
        return [with_names(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: with_names(value, names) for key, value in schema.items() if key != MARK}
    if MARK in schema:
        made["enum"] = [str(name) for name in names.get(schema[MARK], ())]
    return made
