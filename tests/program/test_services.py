"""Services by type: made once when they are needed, closed in reverse, and missing ones named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from scopegate.gateway.calls.registry import DeclarationError
from scopegate.services import Services, needs_of, provided_by

events: list[str] = []


class Wheels:
    pass


class Engine:
    def __init__(self, wheels: Wheels, power: int = 5) -> None:
        self.wheels = wheels
        self.power = power


class Radio:
    pass


@asynccontextmanager
async def wheels() -> AsyncIterator[Wheels]:
    events.append("wheels open")
    yield Wheels()
    events.append("wheels closed")


@asynccontextmanager
async def engine(wheels: Wheels) -> AsyncIterator[Engine]:
    events.append("engine open")
    yield Engine(wheels)
    events.append("engine closed")


class Car:
    def __init__(self, engine: Engine, wheels: Wheels, radio: Radio | None) -> None:
        self.engine = engine
        self.wheels = wheels
        self.radio = radio


async def test_what_is_needed_is_made_once_and_closed_in_reverse() -> None:
    events.clear()
    async with Services([engine, wheels], {}) as services:
        car = await services.make(Car)
        assert car.engine.wheels is car.wheels
        assert car.radio is None
        assert (await services.make(Car)).engine is car.engine
        assert services[Wheels] is car.wheels
    assert events == ["wheels open", "engine open", "engine closed", "wheels closed"]


async def test_a_class_is_its_own_provider_and_its_defaults_stay() -> None:
    async with Services([Engine, Wheels, Radio], {}) as services:
        car = await services.make(Car)
    assert car.engine.power == 5
    assert isinstance(car.radio, Radio)


async def test_what_is_given_wins_and_of_two_providers_the_later() -> None:
    given = Wheels()

    def better() -> Wheels:
        return given

    async with Services([wheels], {Wheels: given}) as services:
        assert (await services.make(Engine)).wheels is given
    async with Services([Wheels, better], {}) as services:
        assert (await services.make(Engine)).wheels is given


def test_what_nothing_provides_is_named_before_anything_is_made() -> None:
    events.clear()
    with pytest.raises(DeclarationError, match=r"Car asks for wheels: Wheels, which nothing"):
        Services([Engine], {}).check([Car])
    with pytest.raises(DeclarationError, match="engine asks for wheels"):
        Services([engine], {}).check([])
    Services([engine, wheels], {}).check([Car])
    Services([engine], {}).check([Car], also=[Wheels])
    assert events == []


class Chicken:
    def __init__(self, egg: "Egg") -> None: ...


class Egg:
    def __init__(self, chicken: Chicken) -> None: ...


def test_services_that_need_each_other_are_named() -> None:
    with pytest.raises(DeclarationError, match="Chicken -> Egg -> Chicken"):
        Services([Chicken, Egg], {}).check([])


def unsaid():  # type: ignore[no-untyped-def]
    return Wheels()


def of_a_list(wheels: list[Wheels]) -> Engine: ...


class Unread:
    def __init__(self, wheels: "Nowhere") -> None: ...  # type: ignore[name-defined] # noqa: F821


def test_what_cannot_be_understood_is_refused() -> None:
    with pytest.raises(DeclarationError, match="unsaid must annotate the service that it returns"):
        provided_by(unsaid)
    with pytest.raises(DeclarationError, match="annotate it with the class of a service"):
        needs_of(of_a_list)
    with pytest.raises(DeclarationError, match="Nowhere"):
        needs_of(Unread)
