"""Dataclasses that are pickled quickly come back as they were."""

import pickle
from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from scopegate.runtime.pickling import quickly_pickled


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Nothing:
    """Without a field."""


@quickly_pickled
@dataclass(frozen=True, slots=True)
class One:
    """With one field, which may be a tuple."""

    values: tuple[int, ...]


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class Several(One):
    """With fields of its own and of its base."""

    name: str
    parts: list[One] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.name == "made twice":
            raise ValueError


@pytest.mark.parametrize(
    "made", [Nothing(), One(()), One((1, 2)), Several((3,), name="a", parts=[One((4,))])]
)
def test_it_comes_back_as_it_was(made: object) -> None:
    read = pickle.loads(pickle.dumps(made))
    assert read == made
    assert type(read) is type(made)
    with pytest.raises((FrozenInstanceError, TypeError)):
        read.values = ()


def test_what_was_checked_is_not_checked_again() -> None:
    made = Several((), name="once")
    object.__setattr__(made, "name", "made twice")
    assert pickle.loads(pickle.dumps(made)) == made
