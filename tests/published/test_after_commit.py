"""Nothing that can fail comes between a COMMIT and its reply: committed writes are acknowledged.

Every call that is offered is made once in a world whose reader fails from the moment at which the
writer commits something for that call, until the reply is there. The failure is SQLite's own: its
progress handler interrupts every statement.
"""

import re

import pytest

from scopegate.gateway.access import guard
from scopegate.testing import World
from tests.published.scenes import OWN, SCENES, signed_in

pytestmark = pytest.mark.sqlite

_BOOKKEEPING = re.compile(r"\b(token_uses|daily_authorizations|sign_ins|last_used_at|commits)\b")
"""Writes of token uses and the count of commits, which belong to no call in particular."""


class BrokenReader:
    """Makes every read of a world's store fail once its writer has committed something."""

    def __init__(self, world: World) -> None:
        self._store = world.gateway.store
        self._statements: list[str] = []
        self.armed = False
        self.commits: list[list[str]] = []

    async def install(self) -> None:
        await self._store._writer.run(lambda writer: writer.set_trace_callback(self._written))
        await self._store._reader.run(
            lambda reader: reader.set_progress_handler(self._interrupts, 1)
        )

    def _written(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self._statements = []
        elif statement == "COMMIT" and self.armed and self._statements:
            self.commits.append(self._statements)
        elif re.match(r"INSERT|UPDATE|DELETE", statement) and not _BOOKKEEPING.search(statement):
            self._statements.append(statement)

    def _interrupts(self) -> bool:
        return self.armed and bool(self.commits)


@pytest.mark.parametrize("name", SCENES)
async def test_committed_writes_are_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(guard, "FLUSH", 3600.0)
    client = await world.owner() if name in OWN else await signed_in(world, to_make=name)
    request = await SCENES[name](world, client)
    broken = BrokenReader(world)
    await broken.install()
    broken.armed = True
    reply = await client.ask(request)
    broken.armed = False
    if broken.commits:
        assert "error" not in reply, (reply["error"], broken.commits)
        results = reply[reply["msg_type"]]
        if isinstance(results, dict) and "result" in results:
            assert any("code" not in result for result in results["result"])


async def test_the_fault_is_felt_at_all(world: World) -> None:
    broken = BrokenReader(world)
    await broken.install()
    client = await signed_in(world)
    broken.armed = True
    assert "error" not in await client.ask(
        {"api_token": 1, "new_token": "Bot", "new_token_scopes": ["read"]}
    )
    assert broken.commits
    assert await client.refused({"statement": 1}) == "StorageUnavailable"
    broken.armed = False
    assert "error" not in await client.ask({"statement": 1})
