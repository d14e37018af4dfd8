"""Faster pickling of frozen dataclasses that are often sent between processes."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar, cast

T = TypeVar("T")


def quickly_pickled(cls: type[T]) -> type[T]:
    """Let a frozen dataclass with slots be pickled, and read back, in a third less time.

    What `dataclass` adds by itself looks up the fields for each object. Apply it above
    `@dataclass(frozen=True, slots=True)`.
    """
    names = [field.name for field in fields(cast("Any", cls))]
    if not names:
        return cls
    read = attrgetter(*names)
    write = [getattr(cls, name).__set__ for name in names]

    def state(self: Any) -> tuple[Any, ...]:
        return (read(self),) if len(names) == 1 else read(self)

    def set_state(self: Any, values: Sequence[Any]) -> None:
        for set_field, value in zip(write, values, strict=True):
            set_field(self, value)

    setattr(cls, "__getstate__", state)  # noqa: B010 - mypy takes a plain one for an override of `object`'s
    setattr(cls, "__setstate__", set_state)  # noqa: B010
    return cls
