"""What a client can make grow is bounded."""

import pytest

from gateway.access import users
from gateway.testing import World


async def test_the_latest_signings_in_are_kept(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "KEPT_SIGN_INS", 5)
    owner = await here.owner()
    client, token = here.connect(), await here.token()
    for _ in range(3):
        for _ in range(4):
            await client.ask({"authorize": token, "add_to_login_history": 1})
        await here.gateway.access.flush()
    row = await here.gateway.store.read(
        lambda reader: reader.one("SELECT count(*) FROM sign_ins WHERE user_id = ?", 1)
    )
    assert row is not None
    assert 5 <= row[0] <= 6  # the owner's own, at a page, has tokens that hang on it
    assert (await client.ask({"login_history": 1, "limit": 50}))["login_history"]
    assert "error" not in await owner.ask({"balance": 1})
