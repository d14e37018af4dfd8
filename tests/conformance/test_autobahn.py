"""The transport follows RFC 6455; `python -m tests.conformance.autobahn --all` runs every case."""

import pytest

from scopegate.testing import World
from tests.conformance.autobahn import (
    COMPRESSED,
    EXCEPTIONS,
    FAST,
    LIBRARY,
    PATHS,
    FramePath,
    run,
    unexpected,
)
from tests.conformance.mutants import MUTANTS, Mutant, unmasks_nothing


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
async def test_every_case_has_the_expected_verdict(world: World, path: FramePath) -> None:
    verdicts = await run(world, path, path.cases)
    assert unexpected(verdicts) == {}
    if path is not COMPRESSED:
        assert verdicts.keys() >= EXCEPTIONS.keys()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.plant.__name__)
async def test_they_find_a_transport_that(
    mutant: Mutant, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant.plant(monkeypatch)
    assert unexpected(await run(world, mutant.path, [mutant.case]))


async def test_the_library_handles_every_frame_of_its_path(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmasks_nothing(monkeypatch)
    assert unexpected(await run(world, FAST, ["1.1.*"]))
    assert unexpected(await run(world, LIBRARY, ["1.1.*"])) == {}


def test_an_exception_that_passes_is_reported() -> None:
    assert unexpected({"7.1.5": "OK", "1.1.1": "OK", "7.13.1": "INFORMATIONAL"}) == {"7.1.5": "OK"}
